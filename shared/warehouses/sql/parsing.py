"""SQL text to tokens and trees, with the work bounded by the size of the text.

    text ── length ── tokens ── count, nesting, pipes, calls on calls ── parser with a budget of steps ── trees

The parser tries some readings, goes back and tries others, and where they nest its time doubles with each
level. Three things keep it in bounds: what decides between two readings is looked up before one is tried
(`bounded`), what can't be decided so is nested at most a few levels, and whatever is left meets a budget
of steps that grows with the number of tokens and no faster.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

from shared.warehouses.declared import QueryNotReadOnly
from shared.warehouses.dialect import Dialect
from shared.warehouses.sql.bounded import TooMuch, bounded, pairs

MAX_CHARACTERS = 100_000
MAX_TOKENS = 20_000
MAX_NESTING = 40
"""Brackets and CASEs inside each other. The parser looks through what stands in some of them once a level."""
MAX_PIPES = 25
"""Pipe operators: the parser copies what stands before each."""
MAX_DOTS = 50
"""Names in a path a.b.c."""
MAX_CALLS_ON_CALLS = 20
"""`f(x).g(y)`: the parser copies what stands before each."""

_OPENING = frozenset(("L_PAREN", "L_BRACKET", "L_BRACE", "CASE"))
_BRACKETS = frozenset(("L_PAREN", "R_PAREN", "L_BRACKET", "R_BRACKET", "L_BRACE", "R_BRACE"))
_CLOSING = frozenset(("R_PAREN", "R_BRACKET", "R_BRACE", "END"))


# The parser logs the statement when it falls back to a Command; a statement can hold values.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


def tokens(sql: str, dialect: Dialect) -> list[Any]:
    """The tokens of a text; raises QueryNotReadOnly for one that is too long or can't be read as tokens."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    if len(sql) > MAX_CHARACTERS:
        raise _refused(f"The query is longer than {MAX_CHARACTERS} characters.", "too long")
    try:
        return list(sqlglot.tokenize(sql, read=dialect.engine()))
    except SqlglotError as error:
        raise _refused(
            "The query can't be understood, so it is not run.",
            "it can't be read as SQL; is a quote or comment open?",
        ) from error


def is_quoted(token: Any) -> bool:
    """Whether a token is a text or a name in quotes: its letters are the author's, whatever they spell."""
    kind = token.token_type.name
    return bool(kind == "IDENTIFIER" or kind.endswith("STRING"))


def statements(sql: str, dialect: Dialect) -> list[Any]:
    """The tree of each statement of a text.

    Raises QueryNotReadOnly for a text that takes too much work, and the parser's own error for one that it
    can't read.
    """
    found = tokens(sql, dialect)
    _check(found)
    try:
        trees = _parser(dialect).parse(found, sql)
    except (TooMuch, RecursionError) as error:
        raise _refused(
            "The query is nested too deeply. Write it as several steps in a WITH.", "nested too deeply"
        ) from error
    return [tree for tree in trees if tree is not None]


def statement(sql: str, dialect: Dialect) -> Any:
    """The tree of a text that is one statement; raises QueryNotReadOnly for none or several."""
    trees = statements(sql, dialect)
    if len(trees) != 1:
        raise QueryNotReadOnly(
            field="sql", reason="it is empty" if not trees else f"it has {len(trees)} statements"
        )
    return trees[0]


def _check(found: list[Any]) -> None:
    if len(found) > MAX_TOKENS:
        raise _refused(f"The query has more than {MAX_TOKENS} words and signs.", "too many parts")
    kinds = [token.token_type.name for token in found]
    if 2 * len(pairs(found)) != sum(kind in _BRACKETS for kind in kinds):
        raise _refused(
            "The query can't be understood, so it is not run. Write one plain SELECT statement.",
            "it can't be parsed: a bracket stands alone",
        )
    if _deepest(kinds) > MAX_NESTING:
        raise _refused(
            f"The query is nested deeper than {MAX_NESTING} levels. Write it as several steps in a WITH.",
            "nested too deeply",
        )
    if kinds.count("PIPE_GT") > MAX_PIPES:
        raise _refused(f"The query has more than {MAX_PIPES} pipe operators.", "too many pipe operators")
    if _longest_path(kinds) > MAX_DOTS:
        raise _refused(f"A name in the query has more than {MAX_DOTS} parts.", "a name of too many parts")
    called = sum(
        kinds[index - 1] in _CLOSING and kind == "DOT" and kinds[index + 2 : index + 3] == ["L_PAREN"]
        for index, kind in enumerate(kinds)
        if index
    )
    if called > MAX_CALLS_ON_CALLS:
        raise _refused("The query calls functions on the results of others.", "too many calls on calls")


def _deepest(kinds: list[str]) -> int:
    depth = deepest = 0
    for kind in kinds:
        if kind in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif kind in _CLOSING:
            depth = max(0, depth - 1)
    return deepest


def _longest_path(kinds: list[str]) -> int:
    dots = longest = 0
    for before, kind in pairwise(["", *kinds]):
        if kind == "DOT":
            dots += 1
            longest = max(longest, dots)
        elif before != "DOT":
            dots = 0
    return longest


def _refused(message: str, reason: str) -> QueryNotReadOnly:
    return QueryNotReadOnly(message, field="sql", reason=reason)


def _parser(dialect: Dialect) -> Any:
    """A parser whose helpers (a type's name read as a statement of its own) share its kind and its budget."""
    from sqlglot.dialects.dialect import Dialect as Engine

    engine = Engine.get_or_raise(dialect.engine())
    engine.parser_class = bounded(engine.parser_class)
    return engine.parser()
