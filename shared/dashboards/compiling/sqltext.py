"""What a query's text says before any parser sees it: its {{ ref('id') }} and its @parameters.

Text inside strings and comments says nothing, so it is blanked first (lengths are kept: an offset in
the mask is an offset in the text).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

# Whatever begins also ends: a quote that nobody closes ends with its line, a comment with the text. So nothing
# that was read is read again, and the time grows with the text and no faster.
_QUIET = re.compile(
    r"""
    (?:[rRbB]{0,2})(?:'{3}(?:\\.|[^\\])*?(?:'{3}|\\?\Z)|"{3}(?:\\.|[^\\])*?(?:"{3}|\\?\Z))   # triple-quoted strings
    | '(?:\\.|[^'\\\n])*+'?+ | "(?:\\.|[^"\\\n])*+"?+                                          # strings
    | `[^`]*+`?+                                                                               # quoted names
    | --[^\n]*+ | \#[^\n]*+ | /\*.*?(?:\*/|\Z)                                                 # comments
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = ("--", "#", "/*")
_REF = re.compile(r"\{\{\s*+ref\(\s*+(['\"])([A-Za-z0-9_-]++)\1\s*+\)\s*+\}\}")
_OPENED = re.compile(r"(?=(\{\{|\{%))")
_CLOSES = {"{{": "}}", "{%": "%}"}
_PARAMETER = re.compile(r"(?<![@\w])@([A-Za-z_][A-Za-z0-9_]*+)")


def mask(sql: str) -> str:
    """The text with strings, quoted names and comments blanked out."""
    return _QUIET.sub(lambda match: " " * len(match[0]), sql)


def refs(sql: str) -> list[str]:
    """The queries that this one builds on, in order, once each."""
    return list(dict.fromkeys(match[2] for match in _REF.finditer(_without_comments(sql))))


def unknown_templates(sql: str) -> list[str]:
    """Template expressions other than ref(): nothing evaluates them."""
    text = _without_comments(sql)
    return [found for found in _templates(text) if not _REF.fullmatch(found)]


def parameters(sql: str) -> list[str]:
    """The @parameters that the query mentions, in order, once each."""
    return list(dict.fromkeys(_PARAMETER.findall(mask(sql))))


def replace_refs(sql: str, names: dict[str, str]) -> str:
    """The SQL with each {{ ref('id') }} as the name of its common table expression."""
    comments = [match.span() for match in _QUIET.finditer(sql) if match[0].startswith(_COMMENT)]
    starts = [start for start, _ in comments]

    def replaced(match: re.Match[str]) -> str:
        before = bisect_right(starts, match.start()) - 1
        commented = before >= 0 and match.start() < comments[before][1]
        return match[0] if commented else names[match[2]]

    return _REF.sub(replaced, sql)


def _without_comments(sql: str) -> str:
    return _QUIET.sub(lambda m: " " * len(m[0]) if m[0].startswith(_COMMENT) else m[0], sql)


def _templates(text: str) -> Iterator[str]:
    """Each {{ … }} and {% … %}. An end that is missing once is missing for all that follow."""
    done = 0
    missing: set[str] = set()
    for match in _OPENED.finditer(text):
        opened, start = match[1], match.start()
        if start < done or opened in missing:
            continue
        end = text.find(_CLOSES[opened], start + 2)
        if end < 0:
            missing.add(opened)
            continue
        done = end + 2
        yield text[start:done]
