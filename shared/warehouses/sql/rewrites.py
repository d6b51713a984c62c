"""The two rewrites of a query's text: the clock as parameters, and a row limit at the end.

Both edit the author's text at token positions instead of printing a parsed tree: what the warehouse
runs is what the author wrote, so its messages and its meaning stay the author's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.warehouses.dialect import Dialect
from shared.warehouses.sql import bounded, parsing

_NAMES_FOLLOW = ("DOT", "ALIAS", "PARAMETER")
"""After these the word is somebody's name: t.current_date, AS current_date, @current_date."""


def bind_clock(sql: str, dialect: Dialect) -> str:
    """What asks for the time as @today, @now and @now_local, so that equal questions have equal text.

    All of them follow the zone of the document; a zone that the author names stays (CURRENT_DATE('Europe/Paris')).
    """
    tokens = parsing.tokens(sql, dialect)
    closers = bounded.pairs(tokens)
    parts: list[str] = []
    done = 0
    for index, token in enumerate(tokens):
        word = token.text.upper()
        if word not in dialect.clock_words or parsing.is_quoted(token):
            continue
        if index and tokens[index - 1].token_type.name in _NAMES_FOLLOW:
            continue
        if token.start < done:
            continue  # Inside an argument that was taken over as it stands.
        end, argument, called = _call(sql, tokens, closers, index)
        text = dialect.clock(word, argument, called=called)
        if text is not None:
            parts += [sql[done : token.start], text]
            done = end
    return "".join([*parts, sql[done:]])


def with_common_tables(sql: str, common: list[tuple[str, str]], dialect: Dialect) -> str:
    """The statement with these common table expressions before its own."""
    sql = trimmed(sql, dialect)
    if not common:
        return sql
    tables = ",\n".join(f"{name} AS (\n{text}\n)" for name, text in common)
    tokens = parsing.tokens(sql, dialect)
    if tokens and tokens[0].text.upper() == "WITH":
        recursive = len(tokens) > 1 and tokens[1].text.upper() == "RECURSIVE"
        rest = sql[tokens[1 if recursive else 0].end + 1 :]
        return f"WITH {'RECURSIVE ' if recursive else ''}{tables},\n{rest.lstrip()}"
    return f"WITH {tables}\n{sql}"


def limited(sql: str, tree: Any, rows: int) -> str:
    """The statement with a LIMIT where its outermost query has none."""
    return sql if tree.args.get("limit") is not None else f"{sql}\nLIMIT {rows}"


def trimmed(sql: str, dialect: Dialect) -> str:
    """The statement up to its last token that is not a semicolon: comments behind it go too."""
    tokens = parsing.tokens(sql, dialect)
    while tokens and tokens[-1].token_type.name == "SEMICOLON":
        tokens.pop()
    return sql[: tokens[-1].end + 1].strip() if tokens else ""


def _call(
    sql: str, tokens: list[Any], closers: Mapping[int, int], index: int
) -> tuple[int, str | None, bool]:
    """Where a call that starts at this token ends, its argument's text if it has one, and whether it is a call."""
    closed = closers.get(index + 1)
    if closed is None or tokens[index + 1].token_type.name != "L_PAREN":
        return tokens[index].end + 1, None, False
    inner = tokens[index + 2 : closed]
    argument = sql[inner[0].start : inner[-1].end + 1] if inner else None
    return tokens[closed].end + 1, argument, True
