"""The parts that queries are made of, as sqlglot trees: what is asked for, columns, members, ranges, joins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from shared.analyst.builtin.goal import Cycle, Grain
from shared.analyst.builtin.joins import Lookup
from shared.analyst.builtin.measures import Measure
from shared.analyst.builtin.roles import Times
from shared.analyst.builtin.view import Column, Table
from shared.warehouses.dialect import Dialect
from shared.warehouses.types import Kind

Operator = Literal["in", "not_in"]
OTHER = "Other"
_WEEKDAYS = ("7 Sun", "1 Mon", "2 Tue", "3 Wed", "4 Thu", "5 Fri", "6 Sat")


@dataclass(frozen=True)
class Dimension:
    """What results are split by: a column, its name in a lookup table, or a column of that table."""

    id: str
    noun: str
    column: Column
    lookup: Lookup | None = None
    field: Column | None = None
    """The lookup's column to show; None with a lookup: the key itself."""
    distinct: int | None = None
    by_code: bool = False
    """Show the key, although a name is there: the goal used the keys."""

    @property
    def uses_lookup(self) -> bool:
        """Whether the query must join."""
        return self.lookup is not None and self.field is not None and not self.by_code


@dataclass(frozen=True)
class Restriction:
    """Only (or all but) these members of a dimension."""

    dimension: Dimension
    values: tuple[str, ...]
    operator: Operator = "in"
    said: str = ""
    """How the goal named them, where that is shorter."""

    @property
    def spoken(self) -> str:
        """The members in words."""
        if len(self.values) <= 3:
            return (
                ", ".join(self.values[:-1]) + f" and {self.values[-1]}"
                if len(self.values) > 1
                else self.values[0]
            )
        return self.said or f"{len(self.values)} members"


@dataclass(frozen=True)
class Scope:
    """Which rows of the subject count: the reader's range and choices, and what the goal fixed."""

    table: Table
    time: Times | None = None
    restrictions: tuple[Restriction, ...] = ()
    choices: tuple[Dimension, ...] = ()
    """Dimensions that the reader can choose from; each binds @its-id."""
    range_id: str = "period"

    @property
    def dialect(self) -> Dialect:
        """How the subject's warehouse writes SQL."""
        return self.table.dialect


@dataclass(frozen=True)
class Step:
    """One step of time on an axis."""

    id: str
    grain: Grain | None = None
    cycle: Cycle | None = None
    column: Column | None = None
    """Where the step comes from another column than the time."""


@dataclass(frozen=True)
class Cut:
    """What a query computes: figures by steps of time and by members."""

    measures: tuple[Measure, ...]
    step: Step | None = None
    dimensions: tuple[Dimension, ...] = ()
    leaders: int | None = None
    leaders_by: Measure | None = None
    order_by: Measure | None = None
    ascending: bool = False
    limit: int | None = None
    least_rows: int | None = None
    latest: bool = False
    """Only the last step of time in the range."""


def aliases(scope: Scope, dimensions: tuple[Dimension, ...]) -> dict[str, str]:
    """Aliases: "" is the subject's; a joined lookup is known by the column that leads to it."""
    names = {"": identifier(scope.table.short)}
    for dimension in _all_dimensions(scope, dimensions):
        if dimension.uses_lookup and dimension.lookup is not None:
            path, table = dimension.lookup.column.path, identifier(dimension.lookup.table.short)
            taken = {alias for key, alias in names.items() if key != path}
            names.setdefault(
                path, table if table not in taken else f"{plain(dimension.lookup.column)}_{table}"
            )
    return names


def _all_dimensions(scope: Scope, dimensions: tuple[Dimension, ...]) -> list[Dimension]:
    return [*dimensions, *scope.choices, *(restriction.dimension for restriction in scope.restrictions)]


def source(scope: Scope, dimensions: tuple[Dimension, ...], names: dict[str, str]) -> exp.Select:
    query = exp.Select().from_(table_of(scope.table, names[""]))
    joined: set[str] = set()
    for dimension in _all_dimensions(scope, dimensions):
        lookup = dimension.lookup
        if lookup is None or not dimension.uses_lookup or lookup.column.path in joined:
            continue
        joined.add(lookup.column.path)
        alias = names[lookup.column.path]
        on = exp.EQ(
            this=column_of(scope.dialect, alias, lookup.key),
            expression=column_of(scope.dialect, names[""], lookup.column),
        )
        query = query.join(table_of(lookup.table, alias), on=on, join_type="left")
    for condition in _conditions(scope, names):
        query = query.where(condition)
    return query


def _conditions(scope: Scope, names: dict[str, str]) -> list[exp.Expression]:
    found = _in_range(scope, names[""])
    for restriction in scope.restrictions:
        tested = member(scope.dialect, restriction.dimension, names)
        values = [exp.Literal.string(value) for value in restriction.values]
        test: exp.Expression = (
            exp.EQ(this=tested, expression=values[0])
            if len(values) == 1
            else exp.In(this=tested, expressions=values)
        )
        found.append(exp.Not(this=exp.paren(test)) if restriction.operator == "not_in" else test)
    for dimension in scope.choices:
        chosen = scope.dialect.parameter(dimension.id)
        free = exp.Is(this=chosen, expression=exp.Null())
        match = exp.EQ(this=member(scope.dialect, dimension, names), expression=chosen.copy())
        found.append(exp.paren(exp.or_(free, match, copy=False)))
    return found


def _in_range(scope: Scope, alias: str) -> list[exp.Expression]:
    if scope.time is None:
        return []
    column = column_of(scope.dialect, alias, scope.time.column)
    if scope.time.kind == "year":
        low = scope.dialect.parameter(f"{scope.range_id}_min")
        high = scope.dialect.parameter(f"{scope.range_id}_max")
        first = exp.Coalesce(this=low, expressions=[exp.Literal.number(0)])
        last = exp.Coalesce(this=high, expressions=[exp.Literal.number(9999)])
        return [exp.GTE(this=column, expression=first), exp.LTE(this=column.copy(), expression=last)]
    first, last = scope.dialect.bounds(
        Kind(scope.time.kind), f"{scope.range_id}_start", f"{scope.range_id}_end"
    )
    below = exp.LTE if scope.time.kind == "date" else exp.LT
    return [exp.GTE(this=column, expression=first), below(this=column.copy(), expression=last)]


def step_of(scope: Scope, step: Step, names: dict[str, str]) -> exp.Expression:
    assert scope.time is not None
    dialect = scope.dialect
    column = column_of(dialect, names[""], scope.time.column)
    if step.column is not None and step.column.is_number:
        return column_of(dialect, names[""], step.column)
    if step.column is not None:
        return dialect.part("hour", column_of(dialect, names[""], step.column))
    if scope.time.kind == "year":
        return column
    day: exp.Expression = column if scope.time.kind == "date" else dialect.day_of(column)
    if step.cycle == "weekday":
        return exp.Case(
            this=dialect.weekday(day),
            ifs=[
                exp.If(this=exp.Literal.number(index + 1), true=exp.Literal.string(name))
                for index, name in enumerate(_WEEKDAYS)
            ],
        )
    if step.cycle is not None:
        return dialect.part(step.cycle, column if step.cycle == "hour" else day)
    if step.grain == "hour" and scope.time.kind != "date":
        return dialect.hour_of(column)
    if step.grain in (None, "day", "hour"):
        return day
    return dialect.start_of(step.grain, day)


def member(dialect: Dialect, dimension: Dimension, names: dict[str, str]) -> exp.Expression:
    """A member of a dimension as readers see it: its name, or its key where no name is known."""
    own = column_of(dialect, names[""], dimension.column)
    code: exp.Expression = (
        own if dimension.column.kind == Kind.TEXT else exp.cast(own, exp.DataType.Type.TEXT)
    )
    if dimension.uses_lookup and dimension.lookup is not None and dimension.field is not None:
        shown: exp.Expression = column_of(dialect, names[dimension.lookup.column.path], dimension.field)
        if dimension.field.kind != Kind.TEXT:
            shown = exp.cast(shown, exp.DataType.Type.TEXT)
        label = dimension.lookup.label
        if label is not None and label.path == dimension.field.path:
            return exp.Coalesce(this=shown, expressions=[code])
        return exp.Coalesce(this=shown, expressions=[exp.Literal.string("Unknown")])
    if dimension.column.stats.null_share:
        return exp.Coalesce(this=code, expressions=[exp.Literal.string("Unknown")])
    return code


def table_of(table: Table, alias: str) -> exp.Table:
    parts = table.name.split(".")
    catalog, dataset, name = ([None, None, None, *parts])[-3:]
    return exp.table_(name, db=dataset, catalog=catalog, quoted=True, alias=alias)


def column_of(dialect: Dialect, alias: str, column: Column) -> exp.Expression:
    return dialect.column(column.path, alias)


def plain(column: Column) -> str:
    return identifier(column.path)


def identifier(text: str) -> str:
    name = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in text)
    return name if name[:1].isalpha() else f"t_{name}"
