"""The parser with a budget: what it would read twice is looked up before it is read.

DATE(x) may be a type or a call, a[x] a type or an element, SAFE.F(x) a name or a function. The parser tries the
one and then the other; nested, it tries twice a level. What stands behind the closing bracket tells which it is.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from shared.warehouses.declared import QueryNotReadOnly

MAX_INTERVAL = 100
"""Characters of the text of an INTERVAL; the parser's patterns for it take time that grows faster."""
STEPS, STEPS_PER_TOKEN = 200, 6
"""Moves over the tokens, back and forth. A statement without dead ends takes about one and a half a token."""


class TooMuch(Exception):
    """The statement takes more steps than its size allows. No error of the parser, so that it is not caught there."""


@cache
def bounded(base: Any) -> Any:
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
                raise TooMuch
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
                raise QueryNotReadOnly(
                    "The text of an INTERVAL is too long.", field="sql", reason="an INTERVAL that is too long"
                )
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

        FUNCTIONS: ClassVar[Any] = {
            **base.FUNCTIONS,
            # The dialect compiles their patterns to count the groups; nothing here asks for that.
            "REGEXP_EXTRACT": extract(exp.RegexpExtract),
            "REGEXP_SUBSTR": extract(exp.RegexpExtract),
            "REGEXP_EXTRACT_ALL": extract(exp.RegexpExtractAll),
        }

        def _parse_column_ops(self, this: Any) -> Any:
            """SAFE.F(x) and NET.F(x) read once; the dialect reads them as a name and then as a function."""
            index = self._index
            name = this.name.upper() if isinstance(this, exp.Column) and not this.table else ""
            called = self._curr.token_type == TokenType.DOT and self._kind(index + 2) == TokenType.L_PAREN
            if called and name in ("AI", "ML"):
                raise QueryNotReadOnly(
                    f"The function {name}.{self._text(index + 1)[:80]} is not allowed in a query.",
                    field="sql",
                    reason=f"functions of {name} are not allowed",
                )
            if called and (kind := prefixes.get(name)) is not None:
                end = self._closer(index + 2)
                if end is not None and self._ends(end + 1):
                    self._advance()
                    function = self._parse_function(any_token=True)
                    if isinstance(function, exp.Func) and self._index == end + 1:
                        return kind(this=function)
                    self._retreat(index)
            return super()._parse_column_ops(this)

        def _ends(self, index: int) -> bool:
            return self._kind(index) not in goes_on and self._text(index) not in (
                "WITHIN",
                "IGNORE",
                "RESPECT",
            )

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
