"""Statistics of columns, by one query a table: distinct values, least, greatest, share of nulls.

A query that would read too much is asked for fewer columns; what it can't measure is left out, and said.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from shared.agents.protocol.model import ToolContext
from shared.analyst.tools import reading
from shared.catalog.model import Column, TableShape
from shared.warehouses.dialect import Dialect
from shared.warehouses.types import COMPARED

MOST_COLUMNS = 60
MOST_VALUES = 50
_LONGEST = 80


def of_table(context: ToolContext, shape: TableShape) -> tuple[dict[str, dict[str, Any]], str | None]:
    """Statistics by column, and a warning where some could not be measured."""
    dialect = reading.opened(context).warehouse.dialect
    measurable = _measurable(shape, dialect)
    if not measurable:
        return {}, None
    wanted = measurable[:MOST_COLUMNS]
    while wanted:
        found = reading.estimate(
            context, reading.plan(context, dialect.write(_overview(shape, wanted, dialect)))
        )
        if found.within:
            result = reading.rows(context, found, 1, "get_table_schema")
            left = len(measurable) - len(wanted)
            warning = f"{left} columns were not measured: the byte cap does not allow more." if left else None
            return _read(result.rows[0] if result.rows else (), wanted), warning
        wanted = wanted[: len(wanted) // 2]
    return {}, "No column was measured: the byte cap does not allow it."


def of_column(
    context: ToolContext, shape: TableShape, column: Column, matching: str | None
) -> dict[str, Any]:
    """One column's statistics with its most frequent values; `matching` keeps values that contain the text."""
    dialect = reading.opened(context).warehouse.dialect
    answer: dict[str, Any] = {"table": shape.fully_qualified_name, "column": column.path}
    if matching is None:
        result = reading.read(
            context, dialect.write(_overview(shape, [column], dialect)), 1, "profile_column"
        )
        answer |= {"rows": result.rows[0][0] if result.rows else 0} | _read(
            result.rows[0] if result.rows else (), [column]
        ).get(column.path, {})
    top = reading.read(
        context, dialect.write(_frequent(shape, column, matching, dialect)), MOST_VALUES, "profile_column"
    )
    answer["top_values"] = [{"value": _cut(value), "count": count} for value, count in top.rows]
    return answer


def _measurable(shape: TableShape, dialect: Dialect) -> list[Column]:
    """Columns whose values can be compared: scalars that stand in no list."""
    repeated = tuple(f"{column.path}." for column in shape.columns if column.mode == "REPEATED")
    return [
        column
        for column in shape.columns
        if dialect.kind(column.data_type) in COMPARED
        and column.mode != "REPEATED"
        and not column.path.startswith(repeated or ("\x00",))
    ]


def _overview(shape: TableShape, columns: list[Column], dialect: Dialect) -> exp.Select:
    """COUNT(*), then for each column its distinct, least, greatest and known values."""
    shown: list[exp.Expression] = [exp.Count(this=exp.Star()).as_("row_total")]
    for index, column in enumerate(columns):
        value = dialect.column(column.path, quoted=True)
        shown += [
            dialect.count_distinct_roughly(value.copy()).as_(f"d{index}"),
            exp.Min(this=value.copy()).as_(f"l{index}"),
            exp.Max(this=value.copy()).as_(f"g{index}"),
            exp.Count(this=value.copy()).as_(f"n{index}"),
        ]
    return exp.select(*shown).from_(_table(shape))


def _frequent(shape: TableShape, column: Column, matching: str | None, dialect: Dialect) -> exp.Select:
    value = dialect.column(column.path, quoted=True)
    text = exp.cast(value.copy(), exp.DataType.Type.TEXT)
    query = exp.select(text.as_("value"), exp.Count(this=exp.Star()).as_("row_total")).from_(_table(shape))
    query = query.where(exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null())))
    if matching is not None:
        position = exp.StrPosition(
            this=exp.Lower(this=text.copy()), substr=exp.Literal.string(matching.lower())
        )
        query = query.where(exp.GT(this=position, expression=exp.Literal.number(0)))
    return query.group_by("1").order_by("2 DESC", "1").limit(MOST_VALUES)


def _read(row: tuple[Any, ...], columns: list[Column]) -> dict[str, dict[str, Any]]:
    if not row:
        return {}
    total = int(row[0] or 0)
    found = {}
    for index, column in enumerate(columns):
        distinct, least, greatest, known = row[1 + 4 * index : 5 + 4 * index]
        found[column.path] = {
            "distinct": distinct,
            "min": _cut(least),
            "max": _cut(greatest),
            "null_share": round(1 - int(known or 0) / total, 6) if total else None,
        }
    return found


def _cut(value: Any) -> Any:
    return value if not isinstance(value, str) or len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"


def _table(shape: TableShape) -> exp.Table:
    catalog, dataset, name = ([None, None, None, *shape.fully_qualified_name.split(".")])[-3:]
    return exp.table_(name, db=dataset, catalog=catalog, quoted=True)
