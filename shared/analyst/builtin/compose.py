"""Lay a plan out: its queries, its tiles, its filters. One recipe for each kind of question.

filter bar ─ figures (KPIs) ─ the chart that answers the question ─ one or two that explain it ─ the rows
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from shared.analyst.builtin import measures, titles
from shared.analyst.builtin import sql as sqls
from shared.analyst.builtin.decide import Plan, Recipe
from shared.analyst.builtin.measures import Measure
from shared.analyst.builtin.sql import Cut, Dimension, Scope, Step

SERIES = 6
"""So many members get a series of their own."""
_MOST_SERIES = 8
"""Up to so many, nobody has to be "Other"."""

Tile = dict[str, Any]


@dataclass
class Board:
    """A dashboard in the making."""

    plan: Plan
    scope: Scope
    dialect: str
    queries: dict[str, str] = field(default_factory=dict)
    tiles: list[Tile] = field(default_factory=list)
    telling: dict[str, str] = field(default_factory=dict)
    """Queries whose rows the closing words speak of, by name."""

    def query(self, name: str, tree: Any, *, tell: bool = False) -> str:
        """Keep a query; the same text is kept once."""
        text = sqls.write(tree, self.dialect)
        known = next((id for id, sql in self.queries.items() if sql == text), None)
        if known is None:
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


def compose(plan: Plan, dialect: str, connection: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The document of a plan, and the queries that the closing words speak of."""
    yearly = plan.time is not None and plan.time.kind == "year"
    scope = Scope(plan.table, plan.time, plan.restrictions, plan.choices, "years" if yearly else "period")
    board = Board(plan, scope, dialect)
    if plan.time is not None or plan.choices:
        board.tile(id="filters", type="filter_bar")
    _RECIPES[plan.recipe](board)
    filters = _filters(board)
    queries = [{"id": name, "sql": sql} for name, sql in board.queries.items()]
    title = titles.dashboard(plan)
    document = {
        "version": 1, "kind": "dashboard", "slug": titles.slug(title), "title": title,
        "description": titles.description(plan), "view_type": "analytical", "connection": connection,
        "tags": sorted({plan.table.short.replace("_", " "), plan.recipe}),
        "filters": filters, "queries": queries, "layout": board.tiles,
    }  # fmt: skip
    return {key: value for key, value in document.items() if value not in ([], {})}, board.telling


def _filters(board: Board) -> list[dict[str, Any]]:
    plan, filters = board.plan, []
    if plan.time is not None:
        asked = plan.goal.span is not None and plan.period is not None
        if plan.time.kind == "year":
            entry: dict[str, Any] = {"id": "years", "type": "number_range", "label": "Years"}
            if asked and plan.period is not None:
                entry["default"] = {"min": float(plan.period.start.year), "max": float(plan.period.end.year)}
        else:
            entry = {"id": "period", "type": "date_range", "label": "Period"}
            if plan.period is not None:
                # An open end: rows that arrive later belong to it too.
                entry["default"] = {"start": plan.period.start.isoformat()} | (
                    {"end": plan.period.end.isoformat()} if asked else {}
                )
        filters.append(entry)
    for dimension in plan.choices:
        name = board.query(f"{dimension.id}_choices", sqls.members(board.scope, dimension))
        filters.append(
            {
                "id": dimension.id,
                "type": "select",
                "label": titles.upper(dimension.noun),
                "options_query": name,
            }
        )
    return filters


# Pieces ---------------------------------------------------------------------------------------


def _kpis(
    board: Board, figures: tuple[Measure, ...], *, extra: tuple[Measure, ...] = (), spark: bool = True
) -> None:
    plan = board.plan
    shown = tuple({measure.id: measure for measure in (*figures, *extra)}.values())[:4]
    latest = (
        [measure for measure in shown if measure.held] if plan.step is not None and plan.step.grain else []
    )
    plain = tuple(measure for measure in shown if measure not in latest)
    trend = (
        board.cut("over_time", Cut(shown, plan.step))
        if spark and plan.step is not None and plan.step.cycle is None and _moves(plan)
        else None
    )
    if plain:
        totals = board.cut("totals", Cut(plain), tell=True)
    for measure in shown:
        held = measure in latest
        query = totals if not held else board.query("latest", _latest(board, tuple(latest)), tell=True)
        options: dict[str, Any] = {"value": measure.id, "format": measure.format}
        if measure.unit:
            options["unit"] = measure.unit
        if measure.good != "none":
            options["good_direction"] = measure.good
        if _has_before(plan) and not held:
            options["compare"] = "previous_period"
        if trend is not None and plan.step is not None and measure.kind != "distinct":
            options["sparkline"] = {"query": trend, "x": plan.step.id, "y": measure.id}
        board.tile(
            id=f"kpi_{measure.id}"[:60],
            type="kpi",
            query=query,
            title=measure.label,
            subtitle=titles.kpi(plan, held),
            options=options,
        )


def _latest(board: Board, held: tuple[Measure, ...]) -> Any:
    """Levels are read at the last step, never added up over time."""
    assert board.plan.step is not None
    tree = sqls.aggregate(board.scope, Cut(held, board.plan.step))
    tree.set("order", None)
    return tree.order_by("1 DESC").limit(1)


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


def _trend(
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
        compared = _compared(plan, dimension)
        many = compared > _MOST_SERIES
        weight = next((measure for measure in figures if not measure.is_mean), plan.rows)
        cut = Cut(figures, plan.step, (dimension,), leaders=SERIES if many else None, leaders_by=weight)
        query = board.cut(name, cut, tell=tell)
    for measure in figures:
        options: dict[str, Any] = {
            "mark": "line",
            "x": _axis(plan.step),
            "y": {"field": measure.id, "title": measure.label},
            "format": measure.format,
        }
        if dimension is not None:
            options["series"] = {"field": dimension.id, "title": titles.upper(dimension.noun)}
        board.tile(
            id=f"{name}_{measure.id}"[:60], type="chart", query=query, size=size,
            title=titles.trend(plan, measure, dimension), subtitle=titles.trend_note(plan, measure, dimension, SERIES if dimension and _compared(plan, dimension) > _MOST_SERIES else None),
            options=options,
        )  # fmt: skip


def _compared(plan: Plan, dimension: Dimension) -> int:
    """How many members there can be."""
    for restriction in plan.restrictions:
        if restriction.dimension.column.path == dimension.column.path and restriction.operator == "in":
            return len(restriction.values)
    return dimension.distinct if dimension.distinct is not None else 1_000


def _axis(step: Step) -> Any:
    if step.cycle is not None:
        return {"field": step.id, "type": "ordinal", "title": titles.upper(step.id.replace("_", " "))}
    return (
        {"field": step.id, "title": "", "type": "ordinal"}
        if step.id == "year" and step.grain == "year"
        else step.id
    )


def _ranking(
    board: Board,
    measure: Measure,
    dimension: Dimension,
    *,
    size: str | None = None,
    tell: bool = False,
    others: tuple[Measure, ...] = (),
) -> str:
    plan = board.plan
    few = _compared(plan, dimension) <= plan.top
    least = None if few or not measure.is_mean else plan.least_rows
    figures = tuple({entry.id: entry for entry in (measure, *others)}.values())
    cut = Cut(
        figures,
        None,
        (dimension,),
        order_by=measure,
        ascending=plan.ascending,
        limit=None if few else plan.top,
        least_rows=least,
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
        title=titles.ranking(plan, measure, dimension, few), subtitle=titles.ranking_note(plan, measure, dimension, least), options=options,
    )  # fmt: skip
    return query


def _table(
    board: Board, figures: tuple[Measure, ...], dimension: Dimension, *, second: Dimension | None = None
) -> None:
    plan = board.plan
    shown = (
        tuple({measure.id: measure for measure in (*figures, plan.rows)}.values())
        if _counts(plan)
        else figures
    )
    dimensions = (dimension, second) if second is not None else (dimension,)
    cut = Cut(shown, None, dimensions, order_by=shown[0], ascending=plan.ascending, limit=500)
    query = board.cut(f"{dimension.id}_table", cut, tell=True)
    columns = [{"field": entry.id, "title": titles.upper(entry.noun)} for entry in dimensions]
    columns += [
        {"field": measure.id, "title": titles.axis(measure), "format": measure.format} for measure in shown
    ]
    board.tile(
        id="table", type="table", query=query, title=f"All {measures.plural(dimension.noun)}", subtitle=titles.table_note(plan),
        options={"columns": columns, "sort": shown[0].id if plan.ascending else f"-{shown[0].id}"},
    )  # fmt: skip


def _counts(plan: Plan) -> bool:
    """Whether counting the subject's rows says something."""
    return measures.noun_of(plan.table) != "records"


def _context(plan: Plan) -> tuple[Measure, ...]:
    """The count of rows beside figures that do not tell how many they come from."""
    return (plan.rows,) if _counts(plan) and all(measure.kind != "rows" for measure in plan.figures) else ()


def _splits(plan: Plan) -> tuple[Dimension, ...]:
    """Dimensions to explain a figure by: those of the goal, then the reader's choices."""
    found = {dimension.column.path: dimension for dimension in (*plan.dimensions, *plan.choices)}
    return tuple(found.values())


# Recipes --------------------------------------------------------------------------------------


def _trend_recipe(board: Board) -> None:
    plan = board.plan
    dimension = plan.dimensions[0] if plan.dimensions else None
    figures = plan.figures
    counted: tuple[Measure, ...] = ()
    if dimension is not None and _compared(plan, dimension) > 2:
        counted = (
            Measure(
                f"{dimension.id}_count",
                titles.upper(measures.plural(dimension.noun)),
                "distinct",
                column=dimension.column,
                format="integer",
            ),
        )
    _kpis(board, figures, extra=(*_context(plan), *counted))
    main = figures[:2] if len(figures) > 1 else figures
    _trend(
        board,
        main,
        dimension,
        name="trend",
        size="medium" if len(main) > 1 else "large",
        tell=dimension is None,
    )
    for split in _splits(plan)[: 1 if len(main) > 1 and dimension is not None else 2]:
        for measure in main if dimension is not None and len(main) > 1 else main[:1]:
            _ranking(board, measure, split, tell=split is dimension)
    if dimension is None and len(_splits(plan)) < 2:
        _season(board, figures[0])
    if dimension is not None:
        _table(board, figures, dimension)
    else:
        _step_table(board, figures)


def _season(board: Board, measure: Measure) -> None:
    """The year's rhythm, where the data has two years of it or more."""
    plan = board.plan
    if (
        plan.period is None
        or plan.time is None
        or plan.time.kind == "year"
        or (plan.period.end - plan.period.start).days < 700
    ):
        return
    if plan.step is None or plan.step.grain in ("quarter", "year"):
        return
    shown = measure
    if measure.aggregate == "sum" or not measure.is_mean:
        if measure.column is None or measure.kind != "column":
            return
        shown = replace(
            measure,
            aggregate="avg",
            id=f"average_{measure.id}"[:60],
            label=f"Average {titles.lower(measures.readable(measure.column, None))}",
        )
    step = Step("month_of_year", cycle="month")
    query = board.cut("season", Cut((shown,), step))
    board.tile(
        id="season", type="chart", query=query, title=f"{shown.label} by month of the year", subtitle=titles.season_note(plan),
        options={"mark": "bar", "x": _axis(step), "y": {"field": shown.id, "title": titles.axis(shown)}, "format": ",.1~f"},
    )  # fmt: skip


def _step_table(board: Board, figures: tuple[Measure, ...]) -> None:
    plan = board.plan
    assert plan.step is not None
    query = board.cut(
        "over_time",
        Cut(tuple({measure.id: measure for measure in (*figures, *_context(plan))}.values()), plan.step),
    )
    columns = [{"field": plan.step.id, "title": titles.upper(plan.step.id)}]
    columns += [
        {"field": measure.id, "title": titles.axis(measure), "format": measure.format} for measure in figures
    ]
    board.tile(id="table", type="table", query=query, title=f"Every {plan.step.id}", subtitle=titles.table_note(plan),
               options={"columns": columns, "sort": f"-{plan.step.id}"})  # fmt: skip


def _ranking_recipe(board: Board) -> None:
    plan = board.plan
    dimension, measure = plan.dimensions[0], plan.figures[0]
    counted = Measure(
        f"{dimension.id}_count",
        titles.upper(measures.plural(dimension.noun)),
        "distinct",
        column=dimension.column,
        format="integer",
    )
    _kpis(board, plan.figures, extra=(*_context(plan), counted))
    _ranking(
        board,
        measure,
        dimension,
        size="large" if plan.step is None and len(plan.figures) == 1 else None,
        tell=True,
        others=_context(plan),
    )
    for other in plan.figures[1:3]:
        _ranking(board, other, dimension)
    if plan.step is not None and len(plan.figures) == 1:
        _trend(board, (measure,), None, name="over_time")
    for split in _splits(plan)[1:2]:
        _ranking(board, measure, split)
    _table(board, plan.figures, dimension, second=plan.dimensions[1] if len(plan.dimensions) > 1 else None)


def _compare_recipe(board: Board) -> None:
    plan = board.plan
    dimension = plan.dimensions[0]
    _kpis(board, plan.figures, extra=_context(plan))
    for measure in plan.figures[:3]:
        _ranking(
            board,
            measure,
            dimension,
            size="small" if len(plan.figures) > 3 else None,
            tell=True,
            others=plan.figures,
        )
    if plan.step is not None:
        shown = next((measure for measure in plan.figures if measure.good != "none"), plan.figures[0])
        _trend(board, (shown,), dimension, name="trend", size="large" if len(plan.figures) % 2 == 0 else None)
    _table(board, plan.figures, dimension)


def _share_recipe(board: Board) -> None:
    plan = board.plan
    dimension, measure = plan.dimensions[0], plan.figures[0]
    _kpis(board, plan.figures)
    query = board.cut(
        f"share_by_{dimension.id}",
        Cut(
            (measure,),
            None,
            (dimension,),
            leaders=SERIES + 1 if _compared(plan, dimension) > _MOST_SERIES else None,
            order_by=measure,
        ),
        tell=True,
    )
    board.tile(
        id="share", type="chart", query=query, title=f"Share of {titles.lower(measure.label)} by {dimension.noun}", subtitle=titles.ranking_note(plan, measure, dimension, None),
        options={"mark": "arc", "x": {"field": dimension.id, "title": titles.upper(dimension.noun)}, "y": {"field": measure.id, "title": measure.label}},
    )  # fmt: skip
    _ranking(board, measure, dimension)
    if plan.step is not None and plan.step.cycle is None:
        many = _compared(plan, dimension) > _MOST_SERIES
        name = board.cut("trend", Cut((measure,), plan.step, (dimension,), leaders=SERIES if many else None))
        board.tile(
            id="trend", type="chart", query=name, size="large", title=f"How the shares move, by {plan.step.id}", subtitle=titles.trend_note(plan, measure, dimension, SERIES if many else None),
            options={"mark": "area", "stack": "normalize", "x": _axis(plan.step), "y": {"field": measure.id, "title": measure.label},
                     "series": {"field": dimension.id, "title": titles.upper(dimension.noun)}, "format": "percent"},
        )  # fmt: skip
    _table(board, plan.figures, dimension)


def _spread_recipe(board: Board) -> None:
    plan = board.plan
    measure = plan.figures[0]
    assert measure.column is not None
    column = measure.column
    middle = tuple(
        replace(
            measure,
            id=f"{name}_{measures._id(measures.readable(column, None))}",
            label=f"{label} {measures.readable(column, None)}",
            aggregate=name,
            format=",.1~f",
        )
        for name, label in (("avg", "Average"), ("min", "Lowest"), ("max", "Highest"))
    )
    _kpis(board, middle, extra=(plan.rows,), spark=False)
    query = board.query("spread", sqls.binned(board.scope, column, _width(column), (plan.rows,)), tell=True)
    name = titles.upper(measures.readable(column, None))
    board.tile(
        id="spread", type="chart", query=query, size="large", title=f"Distribution of {measures.readable(column, None)}", subtitle=titles.range_note(plan, f"{plan.rows.label} by {name.lower()}"),
        options={"mark": "histogram", "x": {"field": "from_value", "title": name + (f" ({measure.unit_words})" if measure.unit_words else "")}, "y": {"field": plan.rows.id, "title": plan.rows.label}},
    )  # fmt: skip
    for split in _splits(plan)[:2]:
        _ranking(board, middle[0], split)
    if _splits(plan):
        _table(board, middle, _splits(plan)[0])


def _relation_recipe(board: Board) -> None:
    plan = board.plan
    cause, effect = [measure for measure in plan.figures if measure.column is not None][:2]
    assert cause.column is not None
    _kpis(board, (cause, effect), extra=_context(plan))
    counted = plan.rows
    query = board.query(
        "relation", sqls.binned(board.scope, cause.column, _width(cause.column), (effect, counted)), tell=True
    )
    name = measures.readable(cause.column, None)
    board.tile(
        id="relation", type="chart", query=query, size="large", title=f"{effect.label} by {name}", subtitle=titles.range_note(plan, f"Each point is a step of {_width(cause.column):g} in {name}"),
        options={"mark": "point", "x": {"field": "from_value", "title": titles.upper(name) + (f" ({cause.unit_words})" if cause.unit_words else "")}, "y": {"field": effect.id, "title": titles.axis(effect)}, "format": effect.format},
    )  # fmt: skip
    for split in _splits(plan)[:2]:
        _ranking(board, effect, split)
    columns = [
        {"field": "from_value", "title": f"{titles.upper(name)} from"},
        {"field": effect.id, "title": titles.axis(effect), "format": effect.format},
        {"field": counted.id, "title": counted.label, "format": "integer"},
    ]
    board.tile(
        id="table",
        type="table",
        query=query,
        title="Every step",
        options={"columns": columns, "sort": "from_value"},
    )


def _width(column: Any) -> float:
    """A round width that gives some thirty steps over the values."""
    low, high = float(column.stats.minimum or 0), float(column.stats.maximum or 1)
    raw = max((high - low) / 30, 1e-9)
    size = 10 ** math.floor(math.log10(raw))
    found = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= raw)
    return max(1.0, found) if column.type == "INT64" else float(found)


def _beside_recipe(board: Board) -> None:
    plan = board.plan
    assert plan.companion is not None
    assert plan.step is not None
    _kpis(board, plan.figures, extra=_context(plan))
    readings, main = plan.companion.readings, plan.figures[0]
    cut = Cut(tuple(dict.fromkeys((*plan.figures, *_context(plan)))), plan.step)
    query = board.query(
        f"{plan.step.id}s_beside_{measures._id(plan.companion.table.short)}"[:60],
        sqls.beside(board.scope, cut, plan.companion.table, plan.companion.time, readings),
        tell=True,
    )
    board.tile(
        id="trend", type="chart", query=query, size="large", title=titles.trend(plan, main, None), subtitle=titles.trend_note(plan, main, None, None),
        options={"mark": "bar" if not main.is_mean else "line", "x": _axis(plan.step), "y": {"field": main.id, "title": main.label}, "format": main.format},
    )  # fmt: skip
    for reading in readings[:2]:
        board.tile(
            id=f"beside_{reading.id}"[:60], type="chart", query=query, title=f"{reading.label} by {plan.step.id}", subtitle=titles.companion_note(plan, reading),
            options={"mark": "line", "x": _axis(plan.step), "y": {"field": reading.id, "title": titles.axis(reading)}, "format": reading.format},
        )  # fmt: skip
    effect = next((measure for measure in plan.figures if measure.is_mean), main)
    for reading in readings[:2]:
        board.tile(
            id=f"against_{reading.id}"[:60], type="chart", query=query, title=f"{effect.label} against {titles.lower(reading.label)}", subtitle=titles.range_note(plan, f"Each point is one {plan.step.id}"),
            options={"mark": "point", "x": {"field": reading.id, "title": titles.axis(reading), "format": reading.format}, "y": {"field": effect.id, "title": titles.axis(effect)}, "format": effect.format},
        )  # fmt: skip
    columns = [{"field": plan.step.id, "title": titles.upper(plan.step.id)}]
    columns += [
        {"field": measure.id, "title": titles.axis(measure), "format": measure.format}
        for measure in (*cut.measures, *readings)
    ]
    sort = main.id if plan.ascending else f"-{main.id}"
    board.tile(
        id="table",
        type="table",
        query=query,
        title=f"Every {plan.step.id}",
        subtitle=f"Most {titles.lower(main.label)} first",
        options={"columns": columns, "sort": sort},
    )


def _cycle_recipe(board: Board) -> None:
    plan = board.plan
    assert plan.step is not None
    dimension = plan.dimensions[0] if plan.dimensions else None
    _kpis(board, plan.figures, extra=_context(plan), spark=False)
    query = board.cut("cycle", Cut(plan.figures, plan.step), tell=True)
    for measure in plan.figures[:2]:
        board.tile(
            id=f"cycle_{measure.id}"[:60], type="chart", query=query, size="large" if len(plan.figures) == 1 else None,
            title=titles.trend(plan, measure, None), subtitle=titles.trend_note(plan, measure, None, None),
            options={"mark": "bar", "x": _axis(plan.step), "y": {"field": measure.id, "title": titles.axis(measure)}, "format": measure.format},
        )  # fmt: skip
    for split in _splits(plan)[:1]:
        cells = board.cut(
            f"cycle_by_{split.id}",
            Cut(
                plan.figures[:1],
                plan.step,
                (split,),
                leaders=SERIES + 4 if _compared(plan, split) > 10 else None,
                leaders_by=plan.rows,
            ),
        )
        board.tile(
            id="heat", type="chart", query=cells, size="large" if dimension is not None else None, title=titles.trend(plan, plan.figures[0], split),
            subtitle=titles.range_note(plan, "Darker is more"),
            options={"mark": "heatmap", "x": _axis(plan.step), "y": {"field": split.id, "title": ""}, "series": {"field": plan.figures[0].id, "title": titles.axis(plan.figures[0])}},
        )  # fmt: skip
        _ranking(board, plan.figures[0], split)
    columns = [{"field": plan.step.id, "title": titles.upper(plan.step.id.replace("_", " "))}]
    columns += [
        {"field": measure.id, "title": titles.axis(measure), "format": measure.format}
        for measure in plan.figures
    ]
    board.tile(
        id="table",
        type="table",
        query=query,
        title=f"Every {plan.step.id.replace('_', ' ')}",
        options={"columns": columns, "sort": plan.step.id},
    )


def _detail_recipe(board: Board) -> None:
    plan = board.plan
    _kpis(board, plan.figures, spark=True)
    shown = list(plan.table.columns[:14])
    tree = sqls.rows(board.scope, shown, (), plan.time.column if plan.time else None, 500)
    query = board.query("rows", tree, tell=True)
    board.tile(id="table", type="table", query=query, title=titles.upper(measures.noun_of(plan.table)), subtitle=titles.range_note(plan, "The newest 500" if plan.time else "500 rows"),
               options={"columns": [{"field": column.path.replace(".", "_"), "title": titles.upper(measures.readable(column, None))} for column in shown]})  # fmt: skip


def _overview_recipe(board: Board) -> None:
    plan = board.plan
    _kpis(board, plan.figures, extra=_context(plan), spark=False)
    splits = _splits(plan)
    for split in splits[:2]:
        for measure in plan.figures[:2]:
            _ranking(board, measure, split, tell=True)
    if splits:
        _table(board, plan.figures, splits[0])
    else:
        _detail_recipe(board)


_RECIPES: dict[Recipe, Callable[[Board], None]] = {
    "trend": _trend_recipe, "ranking": _ranking_recipe, "compare": _compare_recipe, "share": _share_recipe,
    "spread": _spread_recipe, "relation": _relation_recipe, "beside": _beside_recipe, "cycle": _cycle_recipe,
    "detail": _detail_recipe, "overview": _overview_recipe,
}  # fmt: skip
