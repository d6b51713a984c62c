"""What a query's text says before any parser sees it: its {{ ref('id') }} and its @parameters.

Text inside strings and comments says nothing, so it is blanked first (lengths are kept: an offset in
the mask is an offset in the text).
"""

from __future__ import annotations

import re

_QUIET = re.compile(
    r"""
    (?:[rRbB]{0,2})(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\")   # triple-quoted strings
    | '(?:\\.|[^'\\\n])*' | "(?:\\.|[^"\\\n])*"                            # strings
    | `[^`]*`                                                              # quoted names
    | --[^\n]* | \#[^\n]* | /\*.*?\*/                                      # comments
    """,
    re.VERBOSE | re.DOTALL,
)
_REF = re.compile(r"\{\{\s*ref\(\s*(['\"])([A-Za-z0-9_-]+)\1\s*\)\s*\}\}")
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_PARAMETER = re.compile(r"(?<![@\w])@([A-Za-z_][A-Za-z0-9_]*)")


def mask(sql: str) -> str:
    """The text with strings, quoted names and comments blanked out."""
    return _QUIET.sub(lambda match: " " * len(match[0]), sql)


def refs(sql: str) -> list[str]:
    """The queries that this one builds on, in order, once each."""
    return list(dict.fromkeys(match[2] for match in _REF.finditer(_without_comments(sql))))


def unknown_templates(sql: str) -> list[str]:
    """Template expressions other than ref(): nothing evaluates them."""
    text = _without_comments(sql)
    return [match[0] for match in _TEMPLATE.finditer(text) if not _REF.fullmatch(match[0])]


def parameters(sql: str) -> list[str]:
    """The @parameters that the query mentions, in order, once each."""
    return list(dict.fromkeys(_PARAMETER.findall(mask(sql))))


def replace_refs(sql: str, names: dict[str, str]) -> str:
    """The SQL with each {{ ref('id') }} as the name of its common table expression."""
    quiet = _comments(sql)
    return _REF.sub(
        lambda match: match[0] if any(a <= match.start() < b for a, b in quiet) else names[match[2]], sql
    )


def _comments(sql: str) -> list[tuple[int, int]]:
    return [m.span() for m in _QUIET.finditer(sql) if m[0].startswith(("--", "#", "/*"))]


def _without_comments(sql: str) -> str:
    for start, end in _comments(sql):
        sql = sql[:start] + " " * (end - start) + sql[end:]
    return sql
