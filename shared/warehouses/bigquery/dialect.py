"""How BigQuery writes SQL (GoogleSQL): cloud.google.com/bigquery/docs/reference/standard-sql."""

from __future__ import annotations

import re
from typing import Any

from shared.warehouses.dialect import Dialect, Grain, Part
from shared.warehouses.types import Kind

_PLAIN = re.compile(r"[\w -]+\Z")
_KINDS = {
    "STRING": Kind.TEXT, "TEXT": Kind.TEXT, "VARCHAR": Kind.TEXT, "CHAR": Kind.TEXT,
    "INT64": Kind.INTEGER, "INTEGER": Kind.INTEGER, "INT": Kind.INTEGER, "SMALLINT": Kind.INTEGER,
    "BIGINT": Kind.INTEGER, "TINYINT": Kind.INTEGER, "BYTEINT": Kind.INTEGER,
    "FLOAT64": Kind.REAL, "FLOAT": Kind.REAL, "DOUBLE": Kind.REAL,
    "NUMERIC": Kind.DECIMAL, "DECIMAL": Kind.DECIMAL, "BIGNUMERIC": Kind.DECIMAL, "BIGDECIMAL": Kind.DECIMAL,
    "BOOL": Kind.BOOLEAN, "BOOLEAN": Kind.BOOLEAN, "BYTES": Kind.BYTES, "JSON": Kind.JSON,
    "DATE": Kind.DATE, "TIME": Kind.TIME, "DATETIME": Kind.DATETIME, "TIMESTAMP": Kind.TIMESTAMP,
    "INTERVAL": Kind.INTERVAL, "GEOGRAPHY": Kind.GEOGRAPHY,
    "ARRAY": Kind.LIST, "STRUCT": Kind.RECORD, "RECORD": Kind.RECORD,
}  # fmt: skip
_NAMES = {
    Kind.TEXT: "STRING",
    Kind.INTEGER: "INT64",
    Kind.REAL: "FLOAT64",
    Kind.BOOLEAN: "BOOL",
    Kind.DATE: "DATE",
    Kind.DATETIME: "DATETIME",
    Kind.TIMESTAMP: "TIMESTAMP",
}
_CLOCK = {"CURRENT_DATE": "@today", "CURRENT_TIMESTAMP": "@now", "CURRENT_DATETIME": "@now_local"}
_CLOCK["CURRENT_TIME"] = "TIME(@now_local)"
_IN_A_ZONE = {"CURRENT_DATE": "DATE", "CURRENT_DATETIME": "DATETIME", "CURRENT_TIME": "TIME"}
# Names of types and parts of dates: allowed bare as names of columns, and read more easily in quotes.
_MISREAD = frozenset("column date day hour month table time timestamp user value values year".split())


class BigQueryDialect(Dialect):
    """GoogleSQL."""

    name = "bigquery"
    # Whatever begins also ends: a quote that nobody closes ends with its line, a comment with the text. So nothing
    # that was read is read again, and the time grows with the text and no faster.
    quiet = re.compile(
        r"""
        (?:[rRbB]{0,2})(?:'{3}(?:\\.|[^\\])*?(?:'{3}|\\?\Z)|"{3}(?:\\.|[^\\])*?(?:"{3}|\\?\Z))   # triple-quoted strings
        | '(?:\\.|[^'\\\n])*+'?+ | "(?:\\.|[^"\\\n])*+"?+                                          # strings
        | `[^`]*+`?+                                                                               # quoted names
        | --[^\n]*+ | \#[^\n]*+ | /\*.*?(?:\*/|\Z)                                                 # comments
        """,
        re.VERBOSE | re.DOTALL,
    )
    comment_starts = ("--", "#", "/*")
    clock_words = frozenset(_CLOCK)
    # On demand (cloud.google.com/bigquery/pricing, 2025).
    usd_per_tebibyte = 6.25
    reserved = frozenset(
        """
        ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE
        CURRENT DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH
        FOLLOWING FOR FROM FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS
        JOIN LATERAL LEFT LIKE LIMIT LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER
        PARTITION PRECEDING PROTO QUALIFY RANGE RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT
        TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN WHERE WINDOW WITH WITHIN
        """.split()
    )

    def engine(self) -> str:
        """See the base."""
        import sqlglot.dialects.bigquery  # noqa: F401

        return "bigquery"

    def quoted(self, *names: str) -> str:
        """See the base. Names come from the warehouse, and still nothing else may stand in the back-ticks."""
        for name in names:
            if not _PLAIN.match(name):
                raise ValueError(f"{name[:80]!r} can't be a name in BigQuery")
        return ".".join(f"`{name}`" for name in names)

    def text(self, value: str) -> str:
        """See the base. Without a backslash before a quote, which the guard refuses."""
        quote = '"' if "'" in value and '"' not in value else "'"
        escaped = value.replace("\\", "\\x5c").replace(quote, f"\\x{ord(quote):02x}")
        return quote + escaped.replace("\n", "\\n").replace("\r", "\\r") + quote

    def write(self, tree: Any, *, pretty: bool = False) -> str:
        """See the base. The parser's writer would put a backslash before a quote."""
        from sqlglot import exp

        def written(node: Any) -> Any:
            odd = isinstance(node, exp.Literal) and node.is_string and ("'" in node.name or "\\" in node.name)
            return exp.Var(this=self.text(node.name)) if odd else node

        return super().write(tree.transform(written), pretty=pretty)

    def clock(self, word: str, argument: str | None, *, called: bool) -> str | None:  # noqa: ARG002
        """See the base. CURRENT_DATE('Europe/Paris') keeps its zone."""
        if argument is None or word not in _IN_A_ZONE:
            return _CLOCK[word]
        return f"{_IN_A_ZONE[word]}(@now, {argument})"

    def kind(self, type_name: str) -> Kind:
        """See the base."""
        return _KINDS.get(re.split(r"[<(]", type_name.upper().strip())[0].strip(), Kind.OTHER)

    def type_name(self, kind: Kind, *, array: bool = False) -> str:
        """See the base."""
        return f"ARRAY<{_NAMES[kind]}>" if array else _NAMES[kind]

    def identifier(self, name: str) -> Any:
        """See the base."""
        from sqlglot import exp

        plain = name.replace("_", "a").isalnum() and name.isascii() and name.islower()
        return exp.to_identifier(name, quoted=not plain or name.upper() in self.reserved or name in _MISREAD)

    def parameter(self, name: str) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.Parameter(this=exp.Var(this=name))

    def bounds(self, kind: Kind, start: str, end: str) -> tuple[Any, Any]:
        """See the base."""
        first = f"COALESCE(@{start}, DATE '0001-01-01')"
        # The day after 9999-12-31 is none.
        after = f"DATE_ADD(COALESCE(@{end}, DATE '9999-12-30'), INTERVAL 1 DAY)"
        texts = {
            Kind.DATE: (first, f"COALESCE(@{end}, DATE '9999-12-31')"),
            Kind.TIMESTAMP: (f"TIMESTAMP({first})", f"TIMESTAMP({after})"),
            Kind.DATETIME: (f"CAST({first} AS DATETIME)", f"CAST({after} AS DATETIME)"),
        }[kind]
        return self.read(texts[0]), self.read(texts[1])

    def day_of(self, moment: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.Date(this=moment)

    def start_of(self, grain: Grain, day: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        unit: Any = exp.Literal.string(grain.upper())
        if grain == "week":
            unit = exp.WeekStart(this=exp.Var(this="MONDAY"))
        return exp.DateTrunc(this=day, unit=unit)

    def hour_of(self, moment: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.TimestampTrunc(this=moment, unit=exp.Var(this="HOUR"))

    def day_in(self, step: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        if isinstance(step, exp.TimestampTrunc):
            return exp.Date(this=step.this)
        return step.this if isinstance(step, exp.DateTrunc) else step

    def part(self, part: Part, value: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.Extract(this=exp.Var(this=part.upper()), expression=value)

    def weekday(self, day: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.Extract(this=exp.Var(this="DAYOFWEEK"), expression=day)

    def count_where(self, condition: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.CountIf(this=condition)

    def count_distinct_roughly(self, value: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        return exp.ApproxDistinct(this=value)

    def median(self, value: Any) -> Any:
        """See the base."""
        from sqlglot import exp

        template = self.read("APPROX_QUANTILES(placeholder, 2)[OFFSET(1)]")
        return template.transform(lambda node: value.copy() if isinstance(node, exp.Column) else node)


BIGQUERY = BigQueryDialect()
