"""Queries as sqlglot trees, written in the connection's dialect.

    picked   the subject's rows in the range and choice, with the dimensions by their names
    leaders  the members that get a series of their own; the rest become "Other"
    result   one row for each member and each step of time

Every query restricts the subject's time with bound parameters, so a partitioned table is read by partition, and an
open end of the range stays an open end: COALESCE gives a bound that is never reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlglot import exp, parse_one

from shared.analyst.builtin.goal import Cycle, Grain
from shared.analyst.builtin.joins import Lookup
from shared.analyst.builtin.measures import Measure
from shared.analyst.builtin.roles import Times
from shared.analyst.builtin.view import Column, Table

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


@dataclass(frozen=True)
class Scope:
    """Which rows of the subject count: the reader's range and choices, and what the goal fixed."""

    table: Table
    time: Times | None = None
    restrictions: tuple[Restriction, ...] = ()
    choices: tuple[Dimension, ...] = ()
    """Dimensions that the reader can choose from; each binds @its-id."""
    range_id: str = "period"


@dataclass(frozen=True)
class Step:
    """One step of time on an axis."""

    id: str
    grain: Grain | None = None
    cycle: Cycle | None = None


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


def write(tree: exp.Expression, dialect: str) -> str:
    """The text of a query."""
    return str(tree.sql(dialect=dialect, pretty=True))


def aggregate(scope: Scope, cut: Cut) -> exp.Select:
    """The query of a cut."""
    if cut.leaders is not None and cut.dimensions:
        return _with_leaders(scope, cut)
    names = _names(scope, cut.dimensions)
    source = _source(scope, cut.dimensions, names)
    keys: list[tuple[str, exp.Expression]] = []
    if cut.step is not None:
        keys.append((cut.step.id, _step(scope, cut.step, names)))
    keys += [(dimension.id, _member(dimension, names)) for dimension in cut.dimensions]
    figures = [(measure.id, figure(measure, names[""])) for measure in cut.measures]
    query = source.select(*[expression.as_(name) for name, expression in (*keys, *figures)])
    return _finished(query, cut, len(keys), names[""])


def members(scope: Scope, dimension: Dimension) -> exp.Select:
    """The choices of a filter: every member of a dimension in the subject, whatever is chosen now."""
    bare = replace(scope, choices=(), restrictions=(), time=None)
    names = _names(bare, (dimension,))
    shown = _member(dimension, names)
    query = _source(bare, (dimension,), names).select(shown.as_(dimension.id)).distinct()
    return (
        query.where(exp.Not(this=exp.Is(this=shown.copy(), expression=exp.Null()))).order_by("1").limit(500)
    )


def rows(
    scope: Scope, columns: Sequence[Column], dimensions: Sequence[Dimension], order: Column | None, limit: int
) -> exp.Select:
    """Single rows of the subject."""
    names = _names(scope, tuple(dimensions))
    shown = [_column(names[""], column).as_(_plain(column)) for column in columns]
    shown += [_member(dimension, names).as_(dimension.id) for dimension in dimensions]
    query = _source(scope, tuple(dimensions), names).select(*shown)
    if order is not None:
        query = query.order_by(exp.Ordered(this=_column(names[""], order), desc=True, nulls_first=False))
    return query.limit(limit)


def beside(
    scope: Scope, cut: Cut, other: Table, other_time: Times, readings: Sequence[Measure]
) -> exp.Select:
    """Two tables of events side by side: each is brought to one row a step first, so no row is counted twice."""
    assert cut.step is not None
    own = aggregate(scope, replace(cut, order_by=None, limit=None))
    own.set("order", None)
    step = cut.step.id
    around = Scope(other, other_time, range_id=scope.range_id)
    theirs = aggregate(around, Cut(tuple(readings), cut.step))
    theirs.set("order", None)
    left, right = "subject", "companion"
    query = exp.Select().with_(left, as_=own).with_(right, as_=theirs)
    shown = [exp.column(step, table=left), *(exp.column(measure.id, table=left) for measure in cut.measures)]
    shown += [exp.column(measure.id, table=right) for measure in readings]
    on = exp.EQ(this=exp.column(step, table=right), expression=exp.column(step, table=left))
    return query.select(*shown).from_(left).join(exp.to_table(right), on=on, join_type="left").order_by("1")


def binned(scope: Scope, across: Column, width: float, figures: Sequence[Measure]) -> exp.Select:
    """Figures by equal steps of a number: a histogram, or how one figure goes with another."""
    names = _names(scope, ())
    column = _column(names[""], across)
    size = exp.Literal.number(f"{width:g}")
    start = exp.Mul(
        this=exp.Floor(this=exp.Div(this=column, expression=size, typed=False, safe=False)),
        expression=size.copy(),
    )
    query = _source(scope, (), names).where(exp.Not(this=exp.Is(this=column.copy(), expression=exp.Null())))
    query = query.select(
        start.as_("from_value"), *[figure(measure, names[""]).as_(measure.id) for measure in figures]
    )
    return query.group_by("1").order_by("1")


def fan_out(subject: Table, lookup: Lookup) -> exp.Select:
    """One row that proves a lookup: how many keys the subject has, how many are found, how many rows that gives."""
    keys = exp.select(_column("subject", lookup.column).as_("k")).distinct().from_(_table(subject, "subject"))
    keys = keys.where(exp.Not(this=exp.Is(this=_column("subject", lookup.column), expression=exp.Null())))
    found = _column("looked_up", lookup.key)
    on = exp.EQ(this=found.copy(), expression=exp.column("k", table="keys"))
    return (
        exp.Select()
        .with_("keys", as_=keys)
        .select(
            exp.Count(this=exp.Distinct(expressions=[exp.column("k", table="keys")])).as_("keys_in_subject"),
            exp.CountIf(this=exp.Not(this=exp.Is(this=found.copy(), expression=exp.Null()))).as_(
                "keys_found"
            ),
            exp.Count(this=exp.Star()).as_("rows_after_join"),
        )
        .from_("keys")
        .join(_table(lookup.table, "looked_up"), on=on, join_type="left")
    )


def figure(measure: Measure, alias: str) -> exp.Expression:
    """The expression of a figure over the rows of `alias`."""
    if measure.kind == "rows":
        return exp.Count(this=exp.Star())
    assert measure.column is not None
    column = _column(alias, measure.column)
    match measure.kind:
        case "distinct":
            return exp.Count(this=exp.Distinct(expressions=[column]))
        case "flagged":
            return exp.CountIf(this=_is_true(measure.column, column))
        case "flagged_share":
            return _share(exp.CountIf(this=_is_true(measure.column, column)))
        case "missing":
            return exp.CountIf(this=exp.Is(this=column, expression=exp.Null()))
        case "missing_share":
            return _share(exp.CountIf(this=exp.Is(this=column, expression=exp.Null())))
        case "per_entity":
            assert measure.entity is not None
            entities = exp.Count(this=exp.Distinct(expressions=[_column(alias, measure.entity)]))
            return exp.Div(this=exp.Sum(this=column), expression=_not_zero(entities), typed=False, safe=False)
    match measure.aggregate:
        case "sum":
            return exp.Sum(this=column)
        case "max":
            return exp.Max(this=column)
        case "min":
            return exp.Min(this=column)
        case "median":
            template = parse_one("APPROX_QUANTILES(placeholder, 2)[OFFSET(1)]", dialect="bigquery")
            return template.transform(lambda node: column.copy() if isinstance(node, exp.Column) else node)
    return exp.Avg(this=column)


def _share(part: exp.Expression) -> exp.Expression:
    return exp.Div(this=part, expression=_not_zero(exp.Count(this=exp.Star())), typed=False, safe=False)


def _not_zero(expression: exp.Expression) -> exp.Expression:
    return exp.Nullif(this=expression, expression=exp.Literal.number(0))


def _is_true(column: Column, expression: exp.Expression) -> exp.Expression:
    return expression if column.type == "BOOL" else exp.EQ(this=expression, expression=exp.Literal.number(1))


def _with_leaders(scope: Scope, cut: Cut) -> exp.Select:
    """Few series: the leaders by their own names, everybody else together as "Other"."""
    dimension = cut.dimensions[0]
    names = _names(scope, cut.dimensions)
    needed = {
        measure.column.path: measure.column
        for measure in (*cut.measures, cut.leaders_by)
        if measure is not None and measure.column is not None
    }
    picked = _source(scope, cut.dimensions, names)
    shown = [_member(dimension, names).as_(dimension.id)]
    if cut.step is not None:
        shown.insert(0, _step(scope, cut.step, names).as_(cut.step.id))
    picked = picked.select(
        *shown, *[_column(names[""], column).as_(_plain(column)) for column in needed.values()]
    )
    weight = cut.leaders_by or cut.measures[0]
    leaders = (
        exp.select(exp.column(dimension.id))
        .from_("picked")
        .where(exp.Not(this=exp.Is(this=exp.column(dimension.id), expression=exp.Null())))
        .group_by("1")
        .order_by(exp.Ordered(this=figure(_flat(weight), "picked"), desc=True), "1")
        .limit(cut.leaders or 6)
    )
    member = exp.Coalesce(
        this=exp.column(dimension.id, table="leaders"), expressions=[exp.Literal.string(OTHER)]
    )
    keys = [member.as_(dimension.id)]
    if cut.step is not None:
        keys.insert(0, exp.column(cut.step.id, table="picked").as_(cut.step.id))
    on = exp.EQ(
        this=exp.column(dimension.id, table="leaders"), expression=exp.column(dimension.id, table="picked")
    )
    query = (
        exp.Select()
        .with_("picked", as_=picked)
        .with_("leaders", as_=leaders)
        .select(*keys, *[figure(_flat(measure), "picked").as_(measure.id) for measure in cut.measures])
        .from_("picked")
        .join(exp.to_table("leaders"), on=on, join_type="left")
    )
    return _finished(query, cut, len(keys), "picked")


def _flat(measure: Measure) -> Measure:
    """The figure over `picked`, where struct leaves have plain names."""
    if measure.column is None:
        return measure
    return replace(measure, column=replace(measure.column, path=_plain(measure.column)))


def _finished(query: exp.Select, cut: Cut, keys: int, alias: str) -> exp.Select:
    """Group, keep only members with enough rows, order, limit."""
    if keys:
        query = query.group_by(*[str(index + 1) for index in range(keys)])
    if cut.least_rows is not None:
        measured = cut.order_by or cut.measures[0]
        counted: exp.Expression = exp.Star()
        if measured.column is not None and measured.kind == "column":
            counted = _column(alias, measured.column)
        query = query.having(
            exp.GTE(this=exp.Count(this=counted), expression=exp.Literal.number(cut.least_rows))
        )
    if cut.order_by is not None:
        first = exp.Ordered(this=exp.column(cut.order_by.id), desc=not cut.ascending, nulls_first=False)
        query = query.order_by(first, *[str(index + 1) for index in range(keys)])
    elif keys:
        query = query.order_by(*[str(index + 1) for index in range(keys)])
    return query.limit(cut.limit) if cut.limit is not None else query


def _names(scope: Scope, dimensions: tuple[Dimension, ...]) -> dict[str, str]:
    """Aliases: "" is the subject's; a joined lookup is known by the column that leads to it."""
    names = {"": _identifier(scope.table.short)}
    for dimension in _all_dimensions(scope, dimensions):
        if dimension.uses_lookup and dimension.lookup is not None:
            path, table = dimension.lookup.column.path, _identifier(dimension.lookup.table.short)
            taken = {alias for key, alias in names.items() if key != path}
            names.setdefault(
                path, table if table not in taken else f"{_plain(dimension.lookup.column)}_{table}"
            )
    return names


def _all_dimensions(scope: Scope, dimensions: tuple[Dimension, ...]) -> list[Dimension]:
    return [*dimensions, *scope.choices, *(restriction.dimension for restriction in scope.restrictions)]


def _source(scope: Scope, dimensions: tuple[Dimension, ...], names: dict[str, str]) -> exp.Select:
    query = exp.Select().from_(_table(scope.table, names[""]))
    joined: set[str] = set()
    for dimension in _all_dimensions(scope, dimensions):
        lookup = dimension.lookup
        if lookup is None or not dimension.uses_lookup or lookup.column.path in joined:
            continue
        joined.add(lookup.column.path)
        alias = names[lookup.column.path]
        on = exp.EQ(this=_column(alias, lookup.key), expression=_column(names[""], lookup.column))
        query = query.join(_table(lookup.table, alias), on=on, join_type="left")
    for condition in _conditions(scope, names):
        query = query.where(condition)
    return query


def _conditions(scope: Scope, names: dict[str, str]) -> list[exp.Expression]:
    found = _in_range(scope, names[""])
    for restriction in scope.restrictions:
        member = _member(restriction.dimension, names)
        values = [exp.Literal.string(value) for value in restriction.values]
        test: exp.Expression = (
            exp.EQ(this=member, expression=values[0])
            if len(values) == 1
            else exp.In(this=member, expressions=values)
        )
        found.append(exp.Not(this=exp.paren(test)) if restriction.operator == "not_in" else test)
    for dimension in scope.choices:
        chosen = _parameter(dimension.id)
        free = exp.Is(this=chosen, expression=exp.Null())
        match = exp.EQ(this=_member(dimension, names), expression=chosen.copy())
        found.append(exp.paren(exp.or_(free, match, copy=False)))
    return found


def _in_range(scope: Scope, alias: str) -> list[exp.Expression]:
    if scope.time is None:
        return []
    column = _column(alias, scope.time.column)
    if scope.time.kind == "year":
        low, high = _parameter(f"{scope.range_id}_min"), _parameter(f"{scope.range_id}_max")
        first = exp.Coalesce(this=low, expressions=[exp.Literal.number(0)])
        last = exp.Coalesce(this=high, expressions=[exp.Literal.number(9999)])
        return [exp.GTE(this=column, expression=first), exp.LTE(this=column.copy(), expression=last)]
    start, end = f"@{scope.range_id}_start", f"@{scope.range_id}_end"
    texts = {
        "date": (f"COALESCE({start}, DATE '0001-01-01')", f"COALESCE({end}, DATE '9999-12-31')"),
        "timestamp": (
            f"TIMESTAMP(COALESCE({start}, DATE '0001-01-01'))",
            f"TIMESTAMP(DATE_ADD(COALESCE({end}, DATE '9999-12-30'), INTERVAL 1 DAY))",
        ),
        "datetime": (
            f"CAST(COALESCE({start}, DATE '0001-01-01') AS DATETIME)",
            f"CAST(DATE_ADD(COALESCE({end}, DATE '9999-12-30'), INTERVAL 1 DAY) AS DATETIME)",
        ),
    }[scope.time.kind]
    first, last = (parse_one(text, dialect="bigquery") for text in texts)
    below = exp.LTE if scope.time.kind == "date" else exp.LT
    return [exp.GTE(this=column, expression=first), below(this=column.copy(), expression=last)]


def _step(scope: Scope, step: Step, names: dict[str, str]) -> exp.Expression:
    assert scope.time is not None
    column = _column(names[""], scope.time.column)
    if scope.time.kind == "year":
        return column
    day: exp.Expression = column if scope.time.kind == "date" else exp.Date(this=column)
    if step.cycle == "weekday":
        number = exp.Extract(this=exp.Var(this="DAYOFWEEK"), expression=day)
        return exp.Case(
            this=number,
            ifs=[
                exp.If(this=exp.Literal.number(index + 1), true=exp.Literal.string(name))
                for index, name in enumerate(_WEEKDAYS)
            ],
        )
    if step.cycle is not None:
        part = {"hour": "HOUR", "month": "MONTH"}[step.cycle]
        return exp.Extract(this=exp.Var(this=part), expression=column if part == "HOUR" else day)
    if step.grain == "hour" and scope.time.kind != "date":
        return exp.TimestampTrunc(this=column, unit=exp.Var(this="HOUR"))
    if step.grain in (None, "day", "hour"):
        return day
    if step.grain == "week":
        return exp.DateTrunc(this=day, unit=exp.WeekStart(this=exp.Var(this="MONDAY")))
    return exp.DateTrunc(this=day, unit=exp.Literal.string(str(step.grain).upper()))


def _member(dimension: Dimension, names: dict[str, str]) -> exp.Expression:
    """A member of a dimension as readers see it: its name, or its key where no name is known."""
    own = _column(names[""], dimension.column)
    code: exp.Expression = own if dimension.column.type == "STRING" else exp.cast(own, exp.DataType.Type.TEXT)
    if dimension.uses_lookup and dimension.lookup is not None and dimension.field is not None:
        shown: exp.Expression = _column(names[dimension.lookup.column.path], dimension.field)
        if dimension.field.type != "STRING":
            shown = exp.cast(shown, exp.DataType.Type.TEXT)
        label = dimension.lookup.label
        if label is not None and label.path == dimension.field.path:
            return exp.Coalesce(this=shown, expressions=[code])
        return exp.Coalesce(this=shown, expressions=[exp.Literal.string("Unknown")])
    if dimension.column.stats.null_share:
        return exp.Coalesce(this=code, expressions=[exp.Literal.string("Unknown")])
    return code


def _parameter(name: str) -> exp.Parameter:
    return exp.Parameter(this=exp.Var(this=name))


def _table(table: Table, alias: str) -> exp.Table:
    parts = table.name.split(".")
    catalog, dataset, name = ([None, None, None, *parts])[-3:]
    return exp.table_(name, db=dataset, catalog=catalog, quoted=True, alias=alias)


def _column(alias: str, column: Column) -> exp.Expression:
    first, *rest = column.path.split(".")
    base: exp.Expression = exp.column(exp.to_identifier(first, quoted=_needs_quotes(first)), table=alias)
    for part in rest:
        base = exp.Dot(this=base, expression=exp.to_identifier(part, quoted=_needs_quotes(part)))
    return base


def _plain(column: Column) -> str:
    return _identifier(column.path)


def _identifier(text: str) -> str:
    name = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in text)
    return name if name[:1].isalpha() else f"t_{name}"


def _needs_quotes(name: str) -> bool:
    return not (name.replace("_", "a").isalnum() and name.isascii() and name.islower()) or name in _RESERVED


_RESERVED = frozenset(
    "all and any array as asc at between by case cast collate contains create cross cube current date default define desc distinct else end enum escape "
    "except exists extract false fetch following for from full group grouping groups hash having if ignore in inner intersect interval into is "
    "join lateral left like limit lookup merge natural new no not null nulls of on or order outer over partition preceding proto qualify range "
    "recursive respect right rollup rows select set some struct tablesample then to treat true unbounded union unnest using when where window with within year month day hour time "
    "timestamp user value values column table".split()
)
