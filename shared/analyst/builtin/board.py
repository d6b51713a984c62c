"""A dashboard in the making: its queries, and the tiles that most recipes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.analyst.builtin import measures, titles
from shared.analyst.builtin import sql as sqls
from shared.analyst.builtin.decide import Plan
from shared.analyst.builtin.measures import Measure
from shared.analyst.builtin.trees import Cut, Dimension, Scope, Step

SERIES = 6
"""So many members get a series of their own."""
MOST_SERIES = 8
"""Up to so many, nobody has to be "Other"."""

Tile = dict[str, Any]


@dataclass
class Board:
    """A dashboard in the making."""

    plan: Plan
    scope: Scope
    queries: dict[str, str] = field(default_factory=dict)
    tiles: list[Tile] = field(default_factory=list)
    telling: dict[str, str] = field(default_factory=dict)
    """Queries whose rows the closing words speak of, by name."""

    def query(self, name: str, tree: Any, *, tell: bool = False) -> str:
        """Keep a query; the same text is kept once."""
        text = sqls.write(tree, self.scope.dialect)
        known = next((id for id, sql in self.queries.items() if sql == text), None)
        if known is None:
            if name in self.queries:
                name = next(f"{name}_{n}" for n in range(2, 99) if f"{name}_{n}" not in self.queries)
            self.queries[name] = text
        if tell:
            self.telling[known or name] = text
        return known or name

    def cut(self, name: str, cut: Cut, *, tell: bool = False) -> str:
        """Keep the query of a cut."""
        return self.query(name, sqls.aggregate(self.scope, cut), tell=tell)

    def tile(self, **tile: Any) -> None:
        """Add a tile; fields that say nothing are left out."""
        self.tiles.append({key: value for key, value in tile.items() if value not in (None, "", [], {})})


def kpis(
    board: Board, figures: tuple[Measure, ...], *, extra: tuple[Measure, ...] = (), spark: bool = True
) -> None:
    """The figures on top: over the whole range, or at its end where adding them up over time means nothing."""
    plan = board.plan
    shown = tuple({measure.id: measure for measure in (*figures, *extra)}.values())[:4]
    ended = tuple(measure for measure in shown if at_end(plan, measure))
    plain = tuple(measure for measure in shown if measure not in ended)
    moving = spark and plan.step is not None and plan.step.cycle is None and _moves(plan)
    trend = board.cut("over_time", Cut(shown, plan.step)) if moving else None
    totals = board.cut("totals", Cut(plain), tell=True) if plain else ""
    ends = ""
    if ended and plan.step is not None:
        ends = board.query("first_and_last", sqls.ends(board.scope, ended, plan.step), tell=True)
    for measure in shown:
        at_last = measure in ended
        options: dict[str, Any] = {"value": measure.id, "format": measure.format}
        if measure.unit:
            options["unit"] = measure.unit
        if measure.good != "none":
            options["good_direction"] = measure.good
        if at_last and plan.step is not None:
            options["compare"] = {"column": f"{measure.id}_at_first", "label": f"vs the first {plan.step.id}"}
        elif _has_before(plan):
            options["compare"] = "previous_period"
        if trend is not None and plan.step is not None and measure.kind != "distinct":
            options["sparkline"] = {"query": trend, "x": plan.step.id, "y": measure.id}
        board.tile(
            id=f"kpi_{measure.id}"[:60], type="kpi", query=ends if at_last else totals, title=measure.label,
            subtitle=titles.kpi(plan, at_last), options=options,
        )  # fmt: skip


def at_end(plan: Plan, measure: Measure) -> bool:
    """Whether a figure is read at the last step: a level, or any figure of a yearly panel."""
    if plan.step is None or plan.step.grain is None or measure.kind != "column" or not _moves(plan):
        return False
    yearly = plan.time is not None and plan.time.kind == "year"
    return measure.held or (yearly and not measures.is_event(plan.table))


def _moves(plan: Plan) -> bool:
    return plan.period is None or (plan.period.end - plan.period.start).days > 1


def _has_before(plan: Plan) -> bool:
    """Whether the data reaches back far enough for a period before the opening one."""
    if (
        plan.goal.span is None
        or plan.period is None
        or plan.data is None
        or plan.time is None
        or plan.time.kind == "year"
    ):
        return False
    length = plan.period.end - plan.period.start
    return plan.period.start - length > plan.data.start


def trend(
    board: Board,
    figures: tuple[Measure, ...],
    dimension: Dimension | None,
    *,
    name: str,
    size: str | None = None,
    tell: bool = False,
) -> None:
    plan = board.plan
    assert plan.step is not None
    if dimension is None:
        query = board.cut(name, Cut(figures, plan.step), tell=tell)
    else:
        many = compared(plan, dimension) > MOST_SERIES
        weight = weight_of(plan, figures)
        cut = Cut(figures, plan.step, (dimension,), leaders=SERIES if many else None, leaders_by=weight)
        query = board.cut(name, cut, tell=tell)
    for measure in figures:
        options: dict[str, Any] = {
            "mark": "line",
            "x": axis(plan.step),
            "y": {"field": measure.id, "title": measure.label},
            "format": measure.format,
        }
        if dimension is not None:
            options["series"] = {"field": dimension.id, "title": titles.upper(dimension.noun)}
        board.tile(
            id=f"{name}_{measure.id}"[:60], type="chart", query=query, size=size,
            title=titles.trend(plan, measure, dimension), subtitle=titles.trend_note(plan, measure, dimension, SERIES if dimension and compared(plan, dimension) > MOST_SERIES else None),
            options=options,
        )  # fmt: skip


def weight_of(plan: Plan, figures: tuple[Measure, ...]) -> Measure:
    """By what members lead: an amount, else how many rows they have, else the figure itself."""
    amount = next((measure for measure in figures if not measure.is_mean), None)
    return amount or (plan.rows if counts(plan) else figures[0])


def compared(plan: Plan, dimension: Dimension) -> int:
    """How many members there can be."""
    for restriction in plan.restrictions:
        if restriction.dimension.column.path == dimension.column.path and restriction.operator == "in":
            return len(restriction.values)
    return dimension.distinct if dimension.distinct is not None else 1_000


def axis(step: Step) -> Any:
    if step.cycle is not None:
        return {"field": step.id, "type": "ordinal", "title": titles.upper(step.id.replace("_", " "))}
    return (
        {"field": step.id, "title": "", "type": "ordinal"}
        if step.id == "year" and step.grain == "year"
        else step.id
    )


def ranking(
    board: Board,
    measure: Measure,
    dimension: Dimension,
    *,
    size: str | None = None,
    tell: bool = False,
    others: tuple[Measure, ...] = (),
) -> str:
    plan = board.plan
    few = compared(plan, dimension) <= plan.top
    least = None if few or not measure.is_mean or at_end(plan, measure) else plan.least_rows
    figures = tuple({entry.id: entry for entry in (measure, *others)}.values())
    cut = Cut(
        figures,
        None,
        (dimension,),
        order_by=measure,
        ascending=plan.ascending,
        limit=None if few else plan.top,
        least_rows=least,
        latest=at_end(plan, measure),
    )
    query = board.cut(f"by_{dimension.id}_{measure.id}"[:60], cut, tell=tell)
    options: dict[str, Any] = {
        "mark": "bar", "x": {"field": measure.id, "title": titles.axis(measure)}, "y": {"field": dimension.id, "title": ""},
        "format": measure.format,
    }  # fmt: skip
    if plan.ascending:
        options["sort"] = "x"
    board.tile(
        id=f"rank_{dimension.id}_{measure.id}"[:60], type="chart", query=query, size=size,
        title=titles.ranking(plan, measure, dimension, few), subtitle=titles.ranking_note(plan, measure, least, at_end(plan, measure), dimension), options=options,
    )  # fmt: skip
    return query


def table(
    board: Board, figures: tuple[Measure, ...], dimension: Dimension, *, second: Dimension | None = None
) -> None:
    plan = board.plan
    shown = (
        tuple({measure.id: measure for measure in (*figures, plan.rows)}.values())
        if counts(plan)
        else figures
    )
    dimensions = (dimension, second) if second is not None else (dimension,)
    last = at_end(plan, shown[0])
    cut = Cut(shown, None, dimensions, order_by=shown[0], ascending=plan.ascending, limit=500, latest=last)
    query = board.cut(f"{dimension.id}_table", cut, tell=True)
    columns = [{"field": entry.id, "title": titles.upper(entry.noun)} for entry in dimensions]
    columns += [
        {"field": measure.id, "title": titles.axis(measure), "format": measure.format} for measure in shown
    ]
    board.tile(
        id="table", type="table", query=query, title=f"All {measures.plural(dimension.noun)}", subtitle=titles.table_note(plan),
        options={"columns": columns, "sort": shown[0].id if plan.ascending else f"-{shown[0].id}"},
    )  # fmt: skip


def is_own(dimension: Dimension) -> bool:
    """Whether the members are the column's own values, so that counting these counts them."""
    return dimension.field is None or dimension.lookup is None or dimension.field == dimension.lookup.label


def counts(plan: Plan) -> bool:
    """Whether counting the subject's rows says something."""
    return measures.is_event(plan.table)


def context(plan: Plan) -> tuple[Measure, ...]:
    """The count of rows beside figures that do not tell how many they come from."""
    return (plan.rows,) if counts(plan) and all(measure.kind != "rows" for measure in plan.figures) else ()


def splits(plan: Plan) -> tuple[Dimension, ...]:
    """Dimensions to explain a figure by: those of the goal, then the reader's choices."""
    found = {dimension.column.path: dimension for dimension in (*plan.dimensions, *plan.choices)}
    return tuple(found.values())
