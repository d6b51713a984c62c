"""SQL text to tokens and trees, with the work bounded by the size of the text.

    text ── length ── tokens ── count, nesting, pipes, calls on calls ── parser with a budget of steps ── trees

The parser tries some readings, goes back and tries others, and where they nest its time doubles with each
level. Three things keep it in bounds: what decides between two readings is looked up before one is tried
(`_bounded`), what can't be decided so is nested at most a few levels, and whatever is left meets a budget
of steps that grows with the number of tokens and no faster.
"""

from __future__ import annotations

import logging
from functools import cache
from itertools import pairwise
from typing import Any

from shared.platform.errors import QueryNotReadOnly
from shared.warehouses.contract import Dialect
from shared.warehouses.sql.loading import loaded

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
MAX_INTERVAL = 100
"""Characters of the text of an INTERVAL; the parser's patterns for it take time that grows faster."""
STEPS, STEPS_PER_TOKEN = 2_000, 8
"""Moves over the tokens, back and forth. A statement without dead ends takes about one and a half a token."""

_OPENING = frozenset(("L_PAREN", "L_BRACKET", "L_BRACE", "CASE"))
_CLOSING = frozenset(("R_PAREN", "R_BRACKET", "R_BRACE", "END"))


# The parser logs the statement when it falls back to a Command; a statement can hold values.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


class _TooMuch(Exception):
    """The statement takes more steps than its size allows. No error of the parser, so that it is not caught there."""


def tokens(sql: str, dialect: Dialect) -> list[Any]:
    """The tokens of a text; raises QueryNotReadOnly for one that is too long or can't be read as tokens."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    if len(sql) > MAX_CHARACTERS:
        raise _refused(f"The query is longer than {MAX_CHARACTERS} characters.", "too long")
    try:
        return list(sqlglot.tokenize(sql, read=loaded(dialect)))
    except SqlglotError as error:
        raise _refused(
            "The query can't be understood, so it is not run.",
            "it can't be read as SQL; is a quote or comment open?",
        ) from error


def statements(sql: str, dialect: Dialect) -> list[Any]:
    """The tree of each statement of a text.

    Raises QueryNotReadOnly for a text that takes too much work, and the parser's own error for one that it
    can't read.
    """
    found = tokens(sql, dialect)
    _check(found)
    try:
        trees = _parser(dialect).parse(found, sql)
    except (_TooMuch, RecursionError) as error:
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

    engine = Engine.get_or_raise(loaded(dialect))
    engine.parser_class = _bounded(engine.parser_class)
    return engine.parser()


@cache
def _bounded(base: Any) -> Any:
    """The dialect's parser with a budget, and without the readings that it would try twice."""
    from sqlglot.parsers.bigquery import BigQueryParser
    from sqlglot.tokens import TokenType

    # What may follow DATE(…) where that is a type: a text, a parameter, WITH TIME ZONE.
    after_a_type = {*base.STRING_PARSERS, *base.PLACEHOLDER_PARSERS}

    class Bounded(base):  # type: ignore[misc]
        """See the module."""

        def reset(self) -> None:
            super().reset()
            self._closers: dict[int, int] = {}
            self._closers_of: Any = None

        def _parse(self, parse_method: Any, raw_tokens: Any, sql: str | None = None) -> Any:
            # Kept on the dialect's object, which a parser within this one is handed on.
            left = getattr(self.dialect, "steps_left", STEPS)
            self.dialect.steps_left = left + STEPS_PER_TOKEN * len(raw_tokens)
            return super()._parse(parse_method, raw_tokens, sql)

        def _advance(self, times: int = 1) -> None:
            self.dialect.steps_left -= 1
            if self.dialect.steps_left < 0:
                raise _TooMuch
            super()._advance(times)

        def _parse_types(self, check_func: bool = False, *more: Any, **named: Any) -> Any:
            """DATE(x) and a[x] are no types: known by what stands behind the bracket, not by trying."""
            if check_func and self._curr.token_type in self.TYPE_TOKENS and self._is_no_type():
                return None
            return super()._parse_types(check_func, *more, **named)

        def _is_no_type(self) -> bool:
            end = self._closer(self._index + 1)
            if end is None or self._kind(end + 1) in after_a_type:
                return False
            if self._next.token_type == TokenType.L_PAREN:
                return self._text(end + 1) not in ("WITH", "WITHOUT")
            return (
                self._next.token_type == TokenType.L_BRACKET
                and self._curr.token_type != TokenType.MAP
                and not self.dialect.SUPPORTS_FIXED_SIZE_ARRAYS
                and end > self._index + 2
            )

        def _parse_interval_span(self, this: Any, *more: Any, **named: Any) -> Any:
            if this is not None and this.is_string and len(this.name) > MAX_INTERVAL:
                raise _refused("The text of an INTERVAL is too long.", "an INTERVAL that is too long")
            return super()._parse_interval_span(this, *more, **named)

        def _kind(self, index: int) -> Any:
            return self._tokens[index].token_type if index < len(self._tokens) else None

        def _text(self, index: int) -> str:
            return str(self._tokens[index].text).upper() if index < len(self._tokens) else ""

        def _closer(self, index: int) -> int | None:
            """Where the bracket that opens at a token closes: of all brackets, found in one pass."""
            if self._closers_of is not self._tokens:
                self._closers, self._closers_of = pairs(self._tokens), self._tokens
            return self._closers.get(index)

    return _bounded_bigquery(Bounded) if issubclass(base, BigQueryParser) else Bounded


def _bounded_bigquery(base: Any) -> Any:
    """What the dialect adds to the parser, done once where it does it once a level."""
    from sqlglot import exp
    from sqlglot.parser import Parser
    from sqlglot.tokens import TokenType

    goes_on = {*base.BRACKETS, *base.COLUMN_OPERATORS, TokenType.OVER, TokenType.FILTER}
    prefixes = {"SAFE": exp.SafeFunc, "NET": exp.NetFunc}

    def extract(kind: Any) -> Any:
        names = ("this", "expression", "position", "occurrence")
        return lambda arguments: kind(**dict(zip(names, arguments, strict=False)))

    class BoundedBigQuery(base):  # type: ignore[misc]
        """See the module."""

        FUNCTIONS = {
            **base.FUNCTIONS,
            # The dialect compiles their patterns to count the groups; nothing here asks for that.
            "REGEXP_EXTRACT": extract(exp.RegexpExtract),
            "REGEXP_SUBSTR": extract(exp.RegexpExtract),
            "REGEXP_EXTRACT_ALL": extract(exp.RegexpExtractAll),
        }

        def _parse_column_ops(self, this: Any) -> Any:
            """SAFE.F(x) and NET.F(x) read once; the dialect reads them as a name and then as a function."""
            kind = prefixes.get(this.name.upper()) if isinstance(this, exp.Column) and not this.table else None
            if kind is not None and self._curr.token_type == TokenType.DOT:
                index = self._index
                end = self._closer(index + 2) if self._kind(index + 2) == TokenType.L_PAREN else None
                if end is not None and self._ends(end + 1):
                    self._advance()
                    function = self._parse_function(any_token=True)
                    if isinstance(function, exp.Func) and self._index == end + 1:
                        return kind(this=function)
                    self._retreat(index)
            return super()._parse_column_ops(this)

        def _ends(self, index: int) -> bool:
            return self._kind(index) not in goes_on and self._text(index) not in ("WITHIN", "IGNORE", "RESPECT")

        def _parse_unnest(self, with_alias: bool = True) -> Any:
            """Without the types of what is unnested: only writers for other engines ask for them."""
            return Parser._parse_unnest(self, with_alias=with_alias)

        def _implicit_unnests_to_explicit(self, this: Any) -> Any:
            """`FROM t, t.items`: a look at the names in FROM, for which the dialect copies whole subqueries."""
            holders = [this.args["from_"], *(this.args.get("joins") or ())]
            whole = [(holder, holder.this) for holder in holders if _has_parts(holder.this)]
            for holder, source in whole:
                alias = source.args.get("alias")
                holder.args["this"] = type(source)(alias=alias.copy()) if alias else type(source)()
            try:
                return super()._implicit_unnests_to_explicit(this)
            finally:
                for holder, source in whole:
                    holder.args["this"] = source

    def _has_parts(source: Any) -> bool:
        return isinstance(source, exp.Expression) and not isinstance(source, exp.Table)

    return BoundedBigQuery


def pairs(found: list[Any]) -> dict[int, int]:
    """Each opening bracket with the one that closes it."""
    pairs: dict[int, int] = {}
    opened: list[tuple[str, int]] = []
    for index, token in enumerate(found):
        kind = token.token_type.name
        if kind in ("L_PAREN", "L_BRACKET", "L_BRACE"):
            opened.append((kind[2:], index))
        elif kind in ("R_PAREN", "R_BRACKET", "R_BRACE") and opened and opened[-1][0] == kind[2:]:
            pairs[opened.pop()[1]] = index
    return pairs
