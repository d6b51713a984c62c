"""Take secrets out of text before a model, a log or a message object sees it.

People paste keys into chats and warehouses hold them in columns. These detectors look for the shapes of
credentials only: what looks like a name or a number is left to the team's policy.

Each pattern either takes what it began to read or gives it up after a few characters, so the time grows with
the text and no faster: a pattern that reads far and then fails begins again a character later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from shared.platform.text import characters

storable = characters.storable
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "private key",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
    ),
    ("API key", re.compile(r"\bsk-[A-Za-z0-9_-]{16,}+")),
    ("access token", re.compile(r"\bbrg_[A-Za-z0-9_-]{20,}+")),
    ("access token", re.compile(r"\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,}+")),
    ("access token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}+")),
    ("API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}")),
    ("access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("access token", re.compile(r"\bya29\.[A-Za-z0-9_-]{20,}+")),
    ("credential", re.compile(r"(?i)(?<=\bbearer )[A-Za-z0-9._~+/-]{16,}+=*+")),
    ("password", re.compile(r"(?<=://)[^\s:/@]{1,80}+:[^\s/@]{1,200}+(?=@)")),
    (
        "password",
        re.compile(r"(?i)(?<![a-z])(?:password|passwd|secret|api[_-]?key)\s*+[=:]\s*+[\"']?[^\s\"',;]{6,}+"),
    ),
)
_DOTTED = re.compile(r"(?<![A-Za-z0-9_.-])[A-Za-z0-9_.-]{29,}+")
"""Where a signed token (RFC 7519) may stand: three parts with dots between them, the first one of JSON in base 64."""
_HEADER = re.compile(r"\bey[JI][A-Za-z0-9_-]{8}")
_LEAST = 8


def text(value: str) -> str:
    """The text with every secret replaced by `[name removed]`."""
    if len(value) < 12:
        return value
    value = _DOTTED.sub(_without_tokens, value)
    for name, shape in _SHAPES:
        value = shape.sub(f"[{name} removed]", value)
    return value


def _without_tokens(run: re.Match[str]) -> str:
    parts = run[0].split(".")
    kept: list[str] = []
    at = 0
    while at < len(parts):
        header = _HEADER.search(parts[at])
        if (
            header is not None
            and all(len(part) >= _LEAST for part in parts[at + 1 : at + 3])
            and at + 2 < len(parts)
        ):
            kept.append(parts[at][: header.start()] + "[token removed]")
            at += 3
        else:
            kept.append(parts[at])
            at += 1
    return ".".join(kept)


def tree(value: Any) -> Any:
    """A JSON value with every string inside it redacted and storable, keys included."""
    return _each(value, lambda string: text(storable(string)))


def storable_tree(value: Any) -> Any:
    """A JSON value with every string storable."""
    return _each(value, storable)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case list():
            return [_each(item, change) for item in value]
        case dict():
            return {change(key): _each(item, change) for key, item in value.items()}
    return value
