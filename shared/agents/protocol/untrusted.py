"""Tool results are data from elsewhere: bounded in size, and fenced where a model reads them.

A description or a cell may say "ignore your instructions" or try to close the fence and speak as the
system. The fence's closing tag can't occur inside, because every `<` of the data is escaped.
"""

from __future__ import annotations

import json
from typing import Any

MAX_STRING, MAX_ITEMS, MAX_TOTAL = 4_000, 500, 40_000
_STEPS = ((MAX_STRING, MAX_ITEMS), (1_000, 200), (400, 100), (200, 50), (120, 20), (80, 10))
_NOTE = "_cut"


def fit(value: Any, most: int = MAX_TOTAL) -> Any:
    """A JSON value cut until its text has at most `most` characters; an object says what was cut."""
    for longest, items in _STEPS:
        found: list[str] = []
        cut = _cut(value, longest, items, found)
        if found and isinstance(cut, dict):
            cut[_NOTE] = "; ".join(dict.fromkeys(found))
        if len(_text(cut)) <= most:
            return cut
    return {
        _NOTE: f"the result has {len(_text(value))} characters, more than the {most} that fit; ask for less"
    }


def fence(value: Any) -> str:
    """The value as fenced JSON text for a model's prompt."""
    body = _text(value).replace("<", "\\u003c")
    return f"<tool_data>\n{body}\n</tool_data>"


def _cut(value: Any, longest: int, items: int, found: list[str]) -> Any:
    match value:
        case str() if len(value) > longest:
            found.append("long texts were shortened")
            return value[:longest] + "…"
        case list():
            if len(value) > items:
                found.append(f"lists were cut to {items} of up to {len(value)} items")
            return [_cut(item, longest, items, found) for item in value[:items]]
        case dict():
            return {key: _cut(item, longest, items, found) for key, item in value.items()}
    return value


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
