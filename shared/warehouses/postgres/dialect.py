"""How Postgres writes SQL: postgresql.org/docs/current/sql-syntax-lexical.html and the chapters on functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from shared.warehouses.dialect import Bound, Dialect, Grain, Part
from shared.warehouses.sql import text
from shared.warehouses.types import Kind, Parameter

_KINDS = {
    "text": Kind.TEXT, "varchar": Kind.TEXT, "character varying": Kind.TEXT, "char": Kind.TEXT,
    "character": Kind.TEXT, "bpchar": Kind.TEXT, "name": Kind.TEXT, "uuid": Kind.TEXT, "citext": Kind.TEXT,
    "smallint": Kind.INTEGER, "int2": Kind.INTEGER, "integer": Kind.INTEGER, "int": Kind.INTEGER,
    "int4": Kind.INTEGER, "bigint": Kind.INTEGER, "int8": Kind.INTEGER,
    "real": Kind.REAL, "float4": Kind.REAL, "double precision": Kind.REAL, "float8": Kind.REAL,
    "numeric": Kind.DECIMAL, "decimal": Kind.DECIMAL,
    "boolean": Kind.BOOLEAN, "bool": Kind.BOOLEAN, "bytea": Kind.BYTES, "json": Kind.JSON, "jsonb": Kind.JSON,
    "date": Kind.DATE, "time": Kind.TIME, "time without time zone": Kind.TIME,
    "timestamp": Kind.DATETIME, "timestamp without time zone": Kind.DATETIME,
    "timestamp with time zone": Kind.TIMESTAMP, "timestamptz": Kind.TIMESTAMP,
    "interval": Kind.INTERVAL, "geography": Kind.GEOGRAPHY, "geometry": Kind.GEOGRAPHY, "record": Kind.RECORD,
}  # fmt: skip
_NAMES = {
    Kind.TEXT: "text",
    Kind.INTEGER: "bigint",
    Kind.REAL: "double precision",
    Kind.BOOLEAN: "boolean",
    Kind.DATE: "date",
    Kind.DATETIME: "timestamp",
    Kind.TIMESTAMP: "timestamptz",
}
# Words that ask for the time by themselves, and functions that do when they are called.
_WORDS = {
    "CURRENT_DATE": "@today",
    "CURRENT_TIMESTAMP": "@now",
    "LOCALTIMESTAMP": "@now_local",
    "LOCALTIME": "CAST(@now_local AS time)",
    "CURRENT_TIME": "CAST(@now_local AS time)",
}
_CALLS = ("NOW", "TRANSACTION_TIMESTAMP", "STATEMENT_TIMESTAMP", "CLOCK_TIMESTAMP")


class PostgresDialect(Dialect):
    """Postgres 16 and later."""

    name = "postgres"
    # A quote, a tag or a comment that nobody closes goes on to the end of the text, as it does for the server.
    quiet = re.compile(
        r"""
        (?<![\w$])[eE]'(?:\\.|''|[^'\\])*+'?+                        # strings with backslash escapes
        | '(?:''|[^'])*+'?+                                          # strings
        | "(?:""|[^"])*+"?+                                          # quoted names
        | (?<![\w$])\$(?P<tag>(?:[^\W0-9]\w*+)?)\$.*?(?:\$(?P=tag)\$|\Z)   # $tag$ strings $tag$
        | --[^\n]*+ | /\*                                            # comments; the end of the second is counted
        """,
        re.VERBOSE | re.DOTALL,
    )
    comment_starts = ("--", "/*")
    nested_comments = True
    clock_words = frozenset((*_WORDS, *_CALLS))
    # Table C.1 of the documentation, "reserved" in PostgreSQL, also where a name of a function or type may be.
    reserved = frozenset(
        """
        ALL ANALYSE ANALYZE AND ANY ARRAY AS ASC ASYMMETRIC AUTHORIZATION BINARY BOTH CASE CAST CHECK COLLATE
        COLLATION COLUMN CONCURRENTLY CONSTRAINT CREATE CROSS CURRENT_CATALOG CURRENT_DATE CURRENT_ROLE
        CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER DEFAULT DEFERRABLE DESC DISTINCT DO ELSE END
        EXCEPT FALSE FETCH FOR FOREIGN FREEZE FROM FULL GRANT GROUP HAVING ILIKE IN INITIALLY INNER INTERSECT INTO
        IS ISNULL JOIN LATERAL LEADING LEFT LIKE LIMIT LOCALTIME LOCALTIMESTAMP NATURAL NOT NOTNULL NULL OFFSET ON
        ONLY OR ORDER OUTER OVERLAPS PLACING PRIMARY REFERENCES RETURNING RIGHT SELECT SESSION_USER SIMILAR SOME
        SYMMETRIC SYSTEM_USER TABLE TABLESAMPLE THEN TO TRAILING TRUE UNION UNIQUE USER USING VARIADIC VERBOSE WHEN
        WHERE WINDOW WITH
        """.split()
    )

    def engine(self) -> str:
        """See the base."""
        import sqlglot.dialects.postgres  # noqa: F401

        return "postgres"

    def quoted(self, *names: str) -> str:
        """See the base."""
        for name in names:
            if not name or "\x00" in name:
                raise ValueError(f"{name[:80]!r} can't be a name in Postgres")
        return ".".join('"' + name.replace('"', '""') + '"' for name in names)

    def text(self, value: str) -> str:
        """See the base. Right while standard_conforming_strings is on, as it is by default."""
        return "'" + value.replace("'", "''") + "'"

    def clock(self, word: str, argument: str | None, *, called: bool) -> str | None:  # noqa: ARG002
        """See the base. An argument is a precision, and @now has none below the hour."""
        return _WORDS.get(word) or ("@now" if called else None)

    def bound(self, sql: str, parameters: Sequence[Parameter]) -> Bound:
        """See the base. @name becomes a typed $1, $2 …, one for each name."""
        known = {parameter.name: parameter for parameter in parameters}
        order: dict[str, int] = {}
        parts: list[str] = []
        done = 0
        for match in text.parameter_places(sql, self):
            parameter = known[match[1]]
            place = order.setdefault(parameter.name, len(order) + 1)
            type_name = self.type_name(parameter.kind, array=parameter.array)
            parts += [sql[done : match.start()], f"CAST(${place} AS {type_name})"]
            done = match.end()
        return Bound("".join([*parts, sql[done:]]), tuple(known[name] for name in order))

    def kind(self, type_name: str) -> Kind:
        """See the base."""
        name, _, rest = type_name.lower().partition("(")
        bare = " ".join((name + " " + rest.partition(")")[2]).split()).replace(" []", "[]")
        return Kind.LIST if bare.endswith("[]") else _KINDS.get(bare, Kind.OTHER)

    def type_name(self, kind: Kind, *, array: bool = False) -> str:
        """See the base."""
        return f"{_NAMES[kind]}[]" if array else _NAMES[kind]

    def adopted(self, tree: Any) -> Any:
        """See the base. @name stays @name: the parser's writer would make it $name."""
        from sqlglot import exp

        return tree.transform(
            lambda node: self.parameter(node.name) if isinstance(node, exp.Parameter) else node
        )

    def identifier(self, name: str) -> Any:
        """See the base. Names without quotes are folded to small letters."""
        from sqlglot import exp

        plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) is not None
        return exp.to_identifier(name, quoted=not plain or name.upper() in self.reserved)

    def inside(self, value: Any, name: str, *, quoted: bool = False) -> Any:
        """See the base. (column).field: without brackets the column is taken for a table."""
        from sqlglot import exp

        return super().inside(exp.paren(value), name, quoted=quoted)

    def parameter(self, name: str) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.Var(this=f"@{name}")

    def bounds(self, kind: Kind, start: str, end: str) -> tuple[Any, Any]:
        """See the base."""
        first = f"COALESCE(@{start}, DATE '0001-01-01')"
        after = f"COALESCE(@{end}, DATE '9999-12-30') + INTERVAL '1 day'"
        texts = {
            Kind.DATE: (first, f"COALESCE(@{end}, DATE '9999-12-31')"),
            Kind.TIMESTAMP: (f"CAST({first} AS TIMESTAMPTZ)", f"CAST({after} AS TIMESTAMPTZ)"),
            Kind.DATETIME: (f"CAST({first} AS TIMESTAMP)", f"CAST({after} AS TIMESTAMP)"),
        }[kind]
        return self.read(texts[0]), self.read(texts[1])

    def day_of(self, moment: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.cast(moment, "date")

    def start_of(self, grain: Grain, day: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.cast(exp.TimestampTrunc(this=day, unit=exp.Var(this=grain.upper())), "date")

    def hour_of(self, moment: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.TimestampTrunc(this=moment, unit=exp.Var(this="HOUR"))

    def day_in(self, step: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        inner = step.this if isinstance(step, exp.Cast) else step
        if not isinstance(inner, exp.TimestampTrunc):
            return step
        return inner.this if inner is not step else self.day_of(inner.this)

    def part(self, part: Part, value: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.Extract(this=exp.Var(this=part.upper()), expression=value)

    def weekday(self, day: Any) -> Any:
        """See the base. DOW counts from 0."""
        from sqlglot import exp

        number = exp.Extract(this=exp.Var(this="DOW"), expression=day)
        return exp.Add(this=number, expression=exp.Literal.number(1))

    def count_where(self, condition: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition))

    def count_distinct_roughly(self, value: Any) -> Any:
        """See the base. Exact: the server has no sketches of its own."""
        from sqlglot import exp

        return exp.Count(this=exp.Distinct(expressions=[value]))

    def median(self, value: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        template = self.read("PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY placeholder)")
        return template.transform(lambda node: value.copy() if isinstance(node, exp.Column) else node)


POSTGRES = PostgresDialect()
