"""Tool results are data from elsewhere: bounded in size, and fenced where a model reads them.

A description or a cell may say "ignore your instructions" or try to close the fence and speak as the
system. The fence's closing tag can't occur inside, because every `<` of the data is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

MAX_STRING, MAX_ITEMS, MAX_TOTAL = 4_000, 500, 40_000
MAX_READ = 10 * MAX_TOTAL
"""Characters of a result that are looked at; of what is beyond them nothing would be left."""
MAX_DEPTH, MAX_KEYS = 64, 2_000
_STEPS = ((MAX_STRING, MAX_ITEMS), (1_000, 200), (400, 100), (200, 50), (120, 20), (80, 10))
_NOTE = "_cut"


def clip(value: Any) -> tuple[Any, list[str]]:
    """The value without what `fit` would not keep anyway, and what was left out.

    It comes before secrets are taken out, whose cost grows with the text. Long texts keep twice what they may
    have in the end, and end at a space: half a secret is not known as one.
    """
    clipper = _Clipper()
    return clipper.cut(value, 0), list(dict.fromkeys(clipper.found))


def fit(value: Any, most: int = MAX_TOTAL, left_out: Sequence[str] = ()) -> Any:
    """A JSON value cut until its text has at most `most` characters; an object says what was cut."""
    for longest, items in _STEPS:
        found: list[str] = list(left_out)
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


class _Clipper:
    """One walk with a budget of characters."""

    def __init__(self) -> None:
        self.left = MAX_READ
        self.found: list[str] = []

    def cut(self, value: Any, depth: int) -> Any:
        if not isinstance(value, str | list | dict):
            self.left -= 8
            return value
        if depth > MAX_DEPTH or self.left <= 0:
            self.found.append(
                "what is nested deeply was left out"
                if depth > MAX_DEPTH
                else "the end of the result was left out"
            )
            return None
        self.left -= 2
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return self._items(value, depth)
        return self._members(value, depth)

    def _text(self, value: str) -> str:
        if len(value) > 2 * MAX_STRING:
            self.found.append("long texts were shortened")
            value = value[: 2 * MAX_STRING]
            end = max(value.rfind(space) for space in " \n\t,;")
            value = value[:end] if end > MAX_STRING else value
        self.left -= len(value)
        return value

    def _items(self, value: list[Any], depth: int) -> list[Any]:
        kept: list[Any] = []
        for item in value[:MAX_ITEMS]:
            if self.left <= 0:
                break
            kept.append(self.cut(item, depth + 1))
        if len(kept) < len(value):
            self.found.append(f"lists were cut to {len(kept)} of up to {len(value)} items")
        return kept

    def _members(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, item in islice(value.items(), MAX_KEYS):
            if self.left <= 0:
                break
            kept[self._text(name)] = self.cut(item, depth + 1)
        if len(kept) < len(value):
            self.found.append(f"objects were cut to {len(kept)} of up to {len(value)} members")
        return kept


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
