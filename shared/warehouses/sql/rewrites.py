"""The two rewrites of a query's text: the clock as parameters, and a row limit at the end.

Both edit the author's text at token positions instead of printing a parsed tree: what the warehouse
runs is what the author wrote, so its messages and its meaning stay the author's.
"""

from __future__ import annotations

from typing import Any

from shared.warehouses.contract import Dialect
from shared.warehouses.declared import QueryNotReadOnly
from shared.warehouses.sql.loading import loaded

_CLOCK = {"CURRENT_DATE": "@today", "CURRENT_TIMESTAMP": "@now"}
_CONVERTED = {"CURRENT_DATE": "DATE", "CURRENT_DATETIME": "DATETIME", "CURRENT_TIME": "TIME"}
_NAMES_FOLLOW = ("DOT", "ALIAS", "PARAMETER")
"""After these the word is somebody's name: t.current_date, AS current_date, @current_date."""


def bind_clock(sql: str, dialect: Dialect) -> str:
    """CURRENT_DATE() and its kin as @today and @now, so that equal questions have equal text.

    CURRENT_DATE('Europe/Paris') becomes DATE(@now, 'Europe/Paris').
    """
    tokens = _tokens(sql, dialect)
    edits: list[tuple[int, int, str]] = []
    for index, token in enumerate(tokens):
        name = token.text.upper()
        if name not in _CLOCK and name not in _CONVERTED:
            continue
        if sql[token.start] in "`\"'" or (index and tokens[index - 1].token_type.name in _NAMES_FOLLOW):
            continue
        end, argument = _call(sql, tokens, index)
        if argument is None:
            text = _CLOCK.get(name) or f"{_CONVERTED[name]}(@now)"
        elif name == "CURRENT_TIMESTAMP":
            text = "@now"
        else:
            text = f"{_CONVERTED[name]}(@now, {argument})"
        edits.append((token.start, end, text))
    for start, end, text in reversed(edits):
        sql = sql[:start] + text + sql[end:]
    return sql


def with_common_tables(sql: str, common: list[tuple[str, str]], dialect: Dialect) -> str:
    """The statement with these common table expressions before its own."""
    sql = trimmed(sql, dialect)
    if not common:
        return sql
    tables = ",\n".join(f"{name} AS (\n{text}\n)" for name, text in common)
    tokens = _tokens(sql, dialect)
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
    tokens = _tokens(sql, dialect)
    while tokens and tokens[-1].token_type.name == "SEMICOLON":
        tokens.pop()
    return sql[: tokens[-1].end + 1].strip() if tokens else ""


def _call(sql: str, tokens: list[Any], index: int) -> tuple[int, str | None]:
    """Where a call that starts at this token ends, and its argument's text if it has one."""
    if index + 1 >= len(tokens) or tokens[index + 1].token_type.name != "L_PAREN":
        return tokens[index].end + 1, None
    depth = 0
    for token in tokens[index + 1 :]:
        depth += {"L_PAREN": 1, "R_PAREN": -1}.get(token.token_type.name, 0)
        if depth == 0:
            return token.end + 1, sql[tokens[index + 1].end + 1 : token.start].strip() or None
    return tokens[index].end + 1, None


def _tokens(sql: str, dialect: Dialect) -> list[Any]:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        return list(sqlglot.tokenize(sql, read=loaded(dialect)))
    except SqlglotError as error:
        raise QueryNotReadOnly(
            "The query can't be understood, so it is not run.",
            field="sql",
            reason="it can't be read as SQL; is a quote or comment open?",
        ) from error
