"""Queries as sqlglot trees, written in the connection's dialect.

    picked   the subject's rows in the range and choice, with the dimensions by their names
    leaders  the members that get a series of their own; the rest become "Other"
    result   one row for each member and each step of time

Every query restricts the subject's time with bound parameters, so a partitioned table is read by partition, and an
open end of the range stays an open end: COALESCE gives a bound that is never reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from shared.analyst.builtin import trees
from shared.analyst.builtin.joins import Lookup
from shared.analyst.builtin.measures import Measure
from shared.analyst.builtin.roles import Times
from shared.analyst.builtin.trees import Cut, Dimension, Restriction, Scope, Step
from shared.analyst.builtin.view import Column, Table
from shared.warehouses.dialect import Dialect
from shared.warehouses.types import Kind

OTHER = "Other"


def write(tree: exp.Expression, dialect: Dialect) -> str:
    """The text of a query."""
    return dialect.write(tree, pretty=True)


def aggregate(scope: Scope, cut: Cut) -> exp.Select:
    """The query of a cut."""
    if cut.leaders is not None and cut.dimensions:
        return _with_leaders(scope, cut)
    names = trees.aliases(scope, cut.dimensions)
    source = trees.source(scope, cut.dimensions, names)
    keys: list[tuple[str, exp.Expression]] = []
    if cut.step is not None:
        keys.append((cut.step.id, trees.step_of(scope, cut.step, names)))
    keys += [(dimension.id, trees.member(scope.dialect, dimension, names)) for dimension in cut.dimensions]
    figures = [(measure.id, figure(scope.dialect, measure, names[""])) for measure in cut.measures]
    query = source.select(*[expression.as_(name) for name, expression in (*keys, *figures)])
    if cut.latest and scope.time is not None:
        query = query.where(_is_last(scope, names))
    return _finished(scope, query, cut, len(keys), names[""])


def ends(scope: Scope, figures: Sequence[Measure], step: Step) -> exp.Select:
    """Each figure at the last step of the range, and beside it the first, in one row."""
    steps = aggregate(scope, Cut(tuple(figures), step))
    steps.set("order", None)
    shown: list[exp.Expression] = []
    for name, down in (("", True), ("_at_first", False)):
        for measure in figures:
            known = exp.Not(this=exp.Is(this=exp.column(measure.id), expression=exp.Null()))
            one = exp.select(exp.column(measure.id)).from_("steps").where(known)
            one = one.order_by(exp.Ordered(this=exp.column(step.id), desc=down, nulls_first=False)).limit(1)
            shown.append(exp.Subquery(this=one).as_(f"{measure.id}{name}"))
    return exp.Select().with_("steps", as_=steps).select(*shown)


def counted(table: Table, dimension: Dimension, values: Sequence[str]) -> exp.Select:
    """How many rows of the subject each of these members has: a name in a lookup table may have none."""
    scope = Scope(table, restrictions=(Restriction(dimension, tuple(values)),))
    names = trees.aliases(scope, (dimension,))
    shown = trees.member(scope.dialect, dimension, names).as_("member")
    query = trees.source(scope, (dimension,), names).select(
        shown, exp.Count(this=exp.Star()).as_("row_total")
    )
    return query.group_by("1").order_by("2 DESC", "1").limit(20)


def _is_last(scope: Scope, names: dict[str, str]) -> exp.Expression:
    """The condition that a row is of the last time in the range."""
    assert scope.time is not None
    bare = replace(scope, choices=(), restrictions=())
    inner = trees.source(bare, (), trees.aliases(bare, ()))
    last = inner.select(exp.Max(this=trees.column_of(scope.dialect, names[""], scope.time.column)))
    return exp.EQ(
        this=trees.column_of(scope.dialect, names[""], scope.time.column), expression=exp.Subquery(this=last)
    )


def members(scope: Scope, dimension: Dimension) -> exp.Select:
    """The choices of a filter: every member of a dimension in the subject, whatever else is chosen now."""
    # A partitioned table is read by partition even here: without its column in WHERE it may refuse the query.
    partitioned = scope.time is not None and scope.table.partition.get("column") == scope.time.column.path
    bare = replace(scope, choices=(), restrictions=(), time=scope.time if partitioned else None)
    names = trees.aliases(bare, (dimension,))
    shown = trees.member(scope.dialect, dimension, names)
    query = trees.source(bare, (dimension,), names).select(shown.as_(dimension.id)).distinct()
    return (
        query.where(exp.Not(this=exp.Is(this=shown.copy(), expression=exp.Null()))).order_by("1").limit(500)
    )


def rows(
    scope: Scope, columns: Sequence[Column], dimensions: Sequence[Dimension], order: Column | None, limit: int
) -> exp.Select:
    """Single rows of the subject."""
    names = trees.aliases(scope, tuple(dimensions))
    shown = [trees.column_of(scope.dialect, names[""], column).as_(trees.plain(column)) for column in columns]
    shown += [trees.member(scope.dialect, dimension, names).as_(dimension.id) for dimension in dimensions]
    query = trees.source(scope, tuple(dimensions), names).select(*shown)
    if order is not None:
        query = query.order_by(
            exp.Ordered(this=trees.column_of(scope.dialect, names[""], order), desc=True, nulls_first=False)
        )
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
    names = trees.aliases(scope, ())
    column = trees.column_of(scope.dialect, names[""], across)
    size = exp.Literal.number(f"{width:g}")
    start = exp.Mul(
        this=exp.Floor(this=exp.Div(this=column, expression=size, typed=False, safe=False)),
        expression=size.copy(),
    )
    query = trees.source(scope, (), names).where(
        exp.Not(this=exp.Is(this=column.copy(), expression=exp.Null()))
    )
    query = query.select(
        start.as_("from_value"),
        *[figure(scope.dialect, measure, names[""]).as_(measure.id) for measure in figures],
    )
    return query.group_by("1").order_by("1")


def fan_out(subject: Table, lookup: Lookup) -> exp.Select:
    """One row that proves a lookup: how many keys the subject has, how many are found, how many rows that gives."""
    dialect = subject.dialect
    keys = (
        exp.select(trees.column_of(dialect, "subject", lookup.column).as_("k"))
        .distinct()
        .from_(trees.table_of(subject, "subject"))
    )
    keys = keys.where(
        exp.Not(this=exp.Is(this=trees.column_of(dialect, "subject", lookup.column), expression=exp.Null()))
    )
    found = trees.column_of(dialect, "looked_up", lookup.key)
    on = exp.EQ(this=found.copy(), expression=exp.column("k", table="keys"))
    return (
        exp.Select()
        .with_("keys", as_=keys)
        .select(
            exp.Count(this=exp.Distinct(expressions=[exp.column("k", table="keys")])).as_("keys_in_subject"),
            dialect.count_where(exp.Not(this=exp.Is(this=found.copy(), expression=exp.Null()))).as_(
                "keys_found"
            ),
            exp.Count(this=exp.Star()).as_("rows_after_join"),
        )
        .from_("keys")
        .join(trees.table_of(lookup.table, "looked_up"), on=on, join_type="left")
    )


def figure(dialect: Dialect, measure: Measure, alias: str) -> exp.Expression:
    """The expression of a figure over the rows of `alias`."""
    if measure.kind == "rows":
        return exp.Count(this=exp.Star())
    assert measure.column is not None
    column = trees.column_of(dialect, alias, measure.column)
    match measure.kind:
        case "distinct":
            return exp.Count(this=exp.Distinct(expressions=[column]))
        case "flagged":
            return dialect.count_where(_is_true(measure.column, column))
        case "flagged_share":
            return _share(dialect.count_where(_is_true(measure.column, column)))
        case "missing":
            return dialect.count_where(exp.Is(this=column, expression=exp.Null()))
        case "missing_share":
            return _share(dialect.count_where(exp.Is(this=column, expression=exp.Null())))
        case "per_entity":
            assert measure.entity is not None
            entities = exp.Count(
                this=exp.Distinct(expressions=[trees.column_of(dialect, alias, measure.entity)])
            )
            return exp.Div(this=exp.Sum(this=column), expression=_not_zero(entities), typed=False, safe=False)
    match measure.aggregate:
        case "sum":
            return exp.Sum(this=column)
        case "max":
            return exp.Max(this=column)
        case "min":
            return exp.Min(this=column)
        case "median":
            return dialect.median(column)
    return exp.Avg(this=column)


def _share(part: exp.Expression) -> exp.Expression:
    return exp.Div(this=part, expression=_not_zero(exp.Count(this=exp.Star())), typed=False, safe=False)


def _not_zero(expression: exp.Expression) -> exp.Expression:
    return exp.Nullif(this=expression, expression=exp.Literal.number(0))


def _is_true(column: Column, expression: exp.Expression) -> exp.Expression:
    return (
        expression
        if column.kind == Kind.BOOLEAN
        else exp.EQ(this=expression, expression=exp.Literal.number(1))
    )


def _with_leaders(scope: Scope, cut: Cut) -> exp.Select:
    """Few series: the leaders by their own names, everybody else together as "Other"."""
    dimension = cut.dimensions[0]
    names = trees.aliases(scope, cut.dimensions)
    needed = {
        measure.column.path: measure.column
        for measure in (*cut.measures, cut.leaders_by)
        if measure is not None and measure.column is not None
    }
    picked = trees.source(scope, cut.dimensions, names)
    shown = [trees.member(scope.dialect, dimension, names).as_(dimension.id)]
    if cut.step is not None:
        shown.insert(0, trees.step_of(scope, cut.step, names).as_(cut.step.id))
    picked = picked.select(
        *shown,
        *[
            trees.column_of(scope.dialect, names[""], column).as_(trees.plain(column))
            for column in needed.values()
        ],
    )
    weight = cut.leaders_by or cut.measures[0]
    leaders = (
        exp.select(exp.column(dimension.id))
        .from_("picked")
        .where(exp.Not(this=exp.Is(this=exp.column(dimension.id), expression=exp.Null())))
        .group_by("1")
        .order_by(exp.Ordered(this=figure(scope.dialect, _flat(weight), "picked"), desc=True), "1")
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
        .select(
            *keys,
            *[figure(scope.dialect, _flat(measure), "picked").as_(measure.id) for measure in cut.measures],
        )
        .from_("picked")
        .join(exp.to_table("leaders"), on=on, join_type="left")
    )
    return _finished(scope, query, cut, len(keys), "picked")


def _flat(measure: Measure) -> Measure:
    """The figure over `picked`, where struct leaves have plain names."""
    if measure.column is None:
        return measure
    return replace(measure, column=replace(measure.column, path=trees.plain(measure.column)))


def _finished(scope: Scope, query: exp.Select, cut: Cut, keys: int, alias: str) -> exp.Select:
    """Group, keep only members with enough rows, order, limit."""
    if keys:
        query = query.group_by(*[str(index + 1) for index in range(keys)])
    if cut.least_rows is not None:
        measured = cut.order_by or cut.measures[0]
        counted: exp.Expression = exp.Star()
        if measured.column is not None and measured.kind == "column":
            counted = trees.column_of(scope.dialect, alias, measured.column)
        query = query.having(
            exp.GTE(this=exp.Count(this=counted), expression=exp.Literal.number(cut.least_rows))
        )
    if cut.order_by is not None:
        first = exp.Ordered(this=exp.column(cut.order_by.id), desc=not cut.ascending, nulls_first=False)
        query = query.order_by(first, *[str(index + 1) for index in range(keys)])
    elif keys:
        query = query.order_by(*[str(index + 1) for index in range(keys)])
    return query.limit(cut.limit) if cut.limit is not None else query
