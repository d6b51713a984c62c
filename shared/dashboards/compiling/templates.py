"""The one template in a query's text: {{ ref('id') }} stands for another query of the document."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from shared.warehouses.dialect import Dialect
from shared.warehouses.sql.text import comments, without_comments

_REF = re.compile(r"\{\{\s*+ref\(\s*+(['\"])([A-Za-z0-9_-]++)\1\s*+\)\s*+\}\}")
_OPENED = re.compile(r"(?=(\{\{|\{%))")
_CLOSES = {"{{": "}}", "{%": "%}"}


def refs(sql: str, dialect: Dialect) -> list[str]:
    """The queries that this one builds on, in order, once each."""
    return list(dict.fromkeys(match[2] for match in _REF.finditer(without_comments(sql, dialect))))


def unknown(sql: str, dialect: Dialect) -> list[str]:
    """Template expressions other than ref(): nothing evaluates them."""
    return [found for found in _templates(without_comments(sql, dialect)) if not _REF.fullmatch(found)]


def replaced(sql: str, names: dict[str, str], dialect: Dialect) -> str:
    """The SQL with each {{ ref('id') }} as the name of its common table expression."""
    silent = comments(sql, dialect)
    starts = [start for start, _ in silent]

    def name_of(match: re.Match[str]) -> str:
        before = bisect_right(starts, match.start()) - 1
        commented = before >= 0 and match.start() < silent[before][1]
        return match[0] if commented else names[match[2]]

    return _REF.sub(name_of, sql)


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
