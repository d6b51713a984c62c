"""What a query's text says before any parser sees it, by the dialect's own strings, quoted names and comments.

Text inside them says nothing, so it is blanked first (lengths are kept: an offset in the mask is an offset in
the text). The text may be unfinished: whatever begins also ends, at the latest with the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.warehouses.dialect import Dialect

_PARAMETER = re.compile(r"(?<![@\w])@([A-Za-z_][A-Za-z0-9_]*+)")
_IN_COMMENT = re.compile(r"/\*|\*/")


def mask(sql: str, dialect: Dialect) -> str:
    """The text with strings, quoted names and comments blanked out."""
    return _blanked(sql, _quiet(sql, dialect))


def comments(sql: str, dialect: Dialect) -> list[tuple[int, int]]:
    """Where the comments stand: (start, end), in order."""
    return [span for span in _quiet(sql, dialect) if sql.startswith(dialect.comment_starts, span[0])]


def without_comments(sql: str, dialect: Dialect) -> str:
    """The text with its comments blanked out."""
    return _blanked(sql, comments(sql, dialect))


def parameters(sql: str, dialect: Dialect) -> list[str]:
    """The @parameters that the query mentions, in order, once each."""
    return list(dict.fromkeys(match[1] for match in parameter_places(sql, dialect)))


def parameter_places(sql: str, dialect: Dialect) -> Iterator[re.Match[str]]:
    """Each @parameter with its place; group 1 is its name."""
    return _PARAMETER.finditer(mask(sql, dialect))


def _quiet(sql: str, dialect: Dialect) -> Iterator[tuple[int, int]]:
    done = 0
    while (match := dialect.quiet.search(sql, done)) is not None:
        start, done = match.span()
        if dialect.nested_comments and match[0].startswith("/*"):
            done = _comment_end(sql, done)
        yield start, done


def _comment_end(sql: str, inside: int) -> int:
    depth = 1
    for match in _IN_COMMENT.finditer(sql, inside):
        depth += 1 if match[0] == "/*" else -1
        if not depth:
            return match.end()
    return len(sql)


def _blanked(sql: str, spans: Iterator[tuple[int, int]] | list[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += [sql[done:start], " " * (end - start)]
        done = end
    return "".join([*parts, sql[done:]])
