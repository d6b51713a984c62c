"""Recipes: one way to lay a dashboard out for each kind of question.

filter bar ─ figures (KPIs) ─ the chart that answers the question ─ one or two that explain it ─ the rows
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from sqlglot import exp

from shared.analyst.builtin import board as parts
from shared.analyst.builtin import measures, titles
from shared.analyst.builtin import sql as sqls
from shared.analyst.builtin.board import SERIES, Board
from shared.analyst.builtin.decide import Recipe
from shared.analyst.builtin.measures import Measure
from shared.analyst.builtin.trees import Cut, Step
from shared.warehouses.types import Kind

_SPREAD: tuple[tuple[Literal["avg", "min", "max"], str], ...] = (
    ("avg", "Average"),
    ("min", "Lowest"),
    ("max", "Highest"),
)


def _trend_recipe(board: Board) -> None:
    plan = board.plan
    dimension = plan.dimensions[0] if plan.dimensions else None
    figures = plan.figures
    counted: tuple[Measure, ...] = ()
    if dimension is not None and parts.compared(plan, dimension) > 2 and parts.is_own(dimension):
        counted = (
            Measure(
                f"{dimension.id}_count",
                titles.upper(measures.plural(dimension.noun)),
                "distinct",
                column=dimension.column,
                format="integer",
            ),
        )
    parts.kpis(board, figures, extra=(*parts.context(plan), *counted))
    main = figures[:2] if len(figures) > 1 else figures
    parts.trend(
        board,
        main,
        dimension,
        name="trend",
        size="medium" if len(main) > 1 else "large",
        tell=dimension is None,
    )
    for split in parts.splits(plan)[: 1 if len(main) > 1 and dimension is not None else 2]:
        for measure in main if dimension is not None and len(main) > 1 else main[:1]:
            parts.ranking(board, measure, split, tell=split is dimension)
    if dimension is None and len(parts.splits(plan)) < 2:
        _season(board, figures[0])
    if dimension is not None:
        parts.table(board, figures, dimension)
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
        options={"mark": "bar", "x": parts.axis(step), "y": {"field": shown.id, "title": titles.axis(shown)}, "format": ",.1~f"},
    )  # fmt: skip


def _step_table(board: Board, figures: tuple[Measure, ...]) -> None:
    plan = board.plan
    assert plan.step is not None
    query = board.cut(
        "over_time",
        Cut(tuple({measure.id: measure for measure in (*figures, *parts.context(plan))}.values()), plan.step),
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
    parts.kpis(
        board, plan.figures, extra=(*parts.context(plan), *((counted,) if parts.is_own(dimension) else ()))
    )
    parts.ranking(
        board,
        measure,
        dimension,
        size="large" if len(plan.figures) == 1 else None,
        tell=True,
        others=parts.context(plan),
    )
    for other in plan.figures[1:3]:
        parts.ranking(board, other, dimension)
    if plan.step is not None and len(plan.figures) == 1:
        parts.trend(board, (measure,), None, name="over_time")
    for split in parts.splits(plan)[1:2]:
        parts.ranking(board, measure, split)
    parts.table(
        board, plan.figures, dimension, second=plan.dimensions[1] if len(plan.dimensions) > 1 else None
    )


def _compare_recipe(board: Board) -> None:
    plan = board.plan
    dimension = plan.dimensions[0]
    parts.kpis(board, plan.figures, extra=parts.context(plan))
    for measure in plan.figures[:3]:
        parts.ranking(
            board,
            measure,
            dimension,
            size="small" if len(plan.figures) > 3 else None,
            tell=True,
            others=plan.figures,
        )
    if plan.step is not None:
        shown = next((measure for measure in plan.figures if measure.good != "none"), plan.figures[0])
        parts.trend(
            board, (shown,), dimension, name="trend", size="large" if len(plan.figures) % 2 == 0 else None
        )
    parts.table(board, plan.figures, dimension)


def _share_recipe(board: Board) -> None:
    plan = board.plan
    dimension, measure = plan.dimensions[0], plan.figures[0]
    parts.kpis(board, plan.figures)
    query = board.cut(
        f"share_by_{dimension.id}",
        Cut(
            (measure,),
            None,
            (dimension,),
            leaders=SERIES + 1 if parts.compared(plan, dimension) > parts.MOST_SERIES else None,
            order_by=measure,
        ),
        tell=True,
    )
    board.tile(
        id="share", type="chart", query=query, title=f"Share of {titles.lower(measure.label)} by {dimension.noun}", subtitle=titles.ranking_note(plan, measure, None, False, dimension),
        options={"mark": "arc", "x": {"field": dimension.id, "title": titles.upper(dimension.noun)}, "y": {"field": measure.id, "title": measure.label}},
    )  # fmt: skip
    parts.ranking(board, measure, dimension)
    if plan.step is not None and plan.step.cycle is None:
        many = parts.compared(plan, dimension) > parts.MOST_SERIES
        name = board.cut("trend", Cut((measure,), plan.step, (dimension,), leaders=SERIES if many else None))
        board.tile(
            id="trend", type="chart", query=name, size="large", title=f"How the shares move, by {plan.step.id}", subtitle=titles.trend_note(plan, measure, dimension, SERIES if many else None),
            options={"mark": "area", "stack": "normalize", "x": parts.axis(plan.step), "y": {"field": measure.id, "title": measure.label},
                     "series": {"field": dimension.id, "title": titles.upper(dimension.noun)}, "format": "percent"},
        )  # fmt: skip
    parts.table(board, plan.figures, dimension)


def _spread_recipe(board: Board) -> None:
    plan = board.plan
    measure = plan.figures[0]
    assert measure.column is not None
    column = measure.column
    middle = tuple(
        replace(
            measure,
            id=f"{name}_{measures.identifier(measures.readable(column, None))}",
            label=f"{label} {measures.readable(column, None)}",
            aggregate=name,
            format=",.1~f",
        )
        for name, label in _SPREAD
    )
    parts.kpis(board, middle, extra=(plan.rows,), spark=False)
    query = board.query("spread", sqls.binned(board.scope, column, _width(column), (plan.rows,)), tell=True)
    name = titles.upper(measures.readable(column, None))
    board.tile(
        id="spread", type="chart", query=query, size="large", title=f"Distribution of {measures.readable(column, None)}", subtitle=titles.range_note(plan, f"{plan.rows.label} by {name.lower()}"),
        options={"mark": "histogram", "x": {"field": "from_value", "title": name + (f" ({measure.unit_words})" if measure.unit_words else "")}, "y": {"field": plan.rows.id, "title": plan.rows.label}},
    )  # fmt: skip
    for split in parts.splits(plan)[:2]:
        parts.ranking(board, middle[0], split)
    if parts.splits(plan):
        parts.table(board, middle, parts.splits(plan)[0])


def _relation_recipe(board: Board) -> None:
    plan = board.plan
    cause, effect = [measure for measure in plan.figures if measure.column is not None][:2]
    assert cause.column is not None
    parts.kpis(board, (cause, effect), extra=parts.context(plan))
    counted = plan.rows
    query = board.query(
        "relation", sqls.binned(board.scope, cause.column, _width(cause.column), (effect, counted)), tell=True
    )
    name = measures.readable(cause.column, None)
    board.tile(
        id="relation", type="chart", query=query, size="large", title=f"{effect.label} by {name}", subtitle=titles.range_note(plan, f"Each point is a step of {_width(cause.column):g} in {name}"),
        options={"mark": "point", "x": {"field": "from_value", "title": titles.upper(name) + (f" ({cause.unit_words})" if cause.unit_words else "")}, "y": {"field": effect.id, "title": titles.axis(effect)}, "format": effect.format},
    )  # fmt: skip
    for split in parts.splits(plan)[:2]:
        parts.ranking(board, effect, split)
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
    return max(1.0, found) if column.kind == Kind.INTEGER else float(found)


def _beside_recipe(board: Board) -> None:
    plan = board.plan
    assert plan.companion is not None
    assert plan.step is not None
    parts.kpis(board, plan.figures, extra=parts.context(plan))
    readings, main = plan.companion.readings, plan.figures[0]
    cut = Cut(tuple(dict.fromkeys((*plan.figures, *parts.context(plan)))), plan.step)
    tree = sqls.beside(board.scope, cut, plan.companion.table, plan.companion.time, readings)
    query = board.query(
        f"{plan.step.id}s_beside_{measures.identifier(plan.companion.table.short)}"[:60], tree
    )
    # The closing words name the extreme steps, which the first rows by date are not.
    extreme = tree.order_by(
        exp.Ordered(this=exp.column(main.id), desc=not plan.ascending, nulls_first=False), append=False
    )
    board.telling["extremes"] = sqls.write(extreme.limit(5), board.scope.dialect)
    board.tile(
        id="trend", type="chart", query=query, size="large", title=titles.trend(plan, main, None), subtitle=titles.trend_note(plan, main, None, None),
        options={"mark": "bar" if not main.is_mean else "line", "x": parts.axis(plan.step), "y": {"field": main.id, "title": main.label}, "format": main.format},
    )  # fmt: skip
    for reading in readings[:2]:
        board.tile(
            id=f"beside_{reading.id}"[:60], type="chart", query=query, title=f"{reading.label} by {plan.step.id}", subtitle=titles.companion_note(plan, reading),
            options={"mark": "line", "x": parts.axis(plan.step), "y": {"field": reading.id, "title": titles.axis(reading)}, "format": reading.format},
        )  # fmt: skip
    effect = next((measure for measure in plan.figures if measure.is_mean), main)
    for reading in readings[1:3] or readings[:1]:
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
        subtitle=f"{'Highest' if main.is_mean else 'Most'} {titles.lower(main.label)} first",
        options={"columns": columns, "sort": sort},
    )


def _cycle_recipe(board: Board) -> None:
    plan = board.plan
    assert plan.step is not None
    dimension = plan.dimensions[0] if plan.dimensions else None
    parts.kpis(board, plan.figures, extra=parts.context(plan), spark=False)
    query = board.cut("cycle", Cut(plan.figures, plan.step), tell=True)
    for measure in plan.figures[:2]:
        board.tile(
            id=f"cycle_{measure.id}"[:60], type="chart", query=query, size="large" if len(plan.figures) == 1 else None,
            title=titles.trend(plan, measure, None), subtitle=titles.trend_note(plan, measure, None, None),
            options={"mark": "bar", "x": parts.axis(plan.step), "y": {"field": measure.id, "title": titles.axis(measure)}, "format": measure.format},
        )  # fmt: skip
    for split in parts.splits(plan)[:1]:
        cells = board.cut(
            f"cycle_by_{split.id}",
            Cut(
                plan.figures[:1],
                plan.step,
                (split,),
                leaders=SERIES + 4 if parts.compared(plan, split) > 10 else None,
                leaders_by=plan.rows,
            ),
        )
        board.tile(
            id="heat", type="chart", query=cells, size="large" if dimension is not None else None, title=titles.trend(plan, plan.figures[0], split),
            subtitle=titles.range_note(plan, "Darker is more"),
            options={"mark": "heatmap", "x": parts.axis(plan.step), "y": {"field": split.id, "title": ""}, "series": {"field": plan.figures[0].id, "title": titles.axis(plan.figures[0])}},
        )  # fmt: skip
        parts.ranking(board, plan.figures[0], split)
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
    parts.kpis(board, plan.figures, spark=True)
    shown = list(plan.table.columns[:14])
    tree = sqls.rows(board.scope, shown, (), plan.time.column if plan.time else None, 500)
    query = board.query("rows", tree, tell=True)
    board.tile(id="table", type="table", query=query, title=titles.upper(measures.noun_of(plan.table)), subtitle=titles.range_note(plan, "The newest 500" if plan.time else "500 rows"),
               options={"columns": [{"field": column.path.replace(".", "_"), "title": titles.upper(measures.readable(column, None))} for column in shown]})  # fmt: skip


def _overview_recipe(board: Board) -> None:
    plan = board.plan
    parts.kpis(board, plan.figures, extra=parts.context(plan), spark=False)
    splits = parts.splits(plan)
    for split in splits[:2]:
        for measure in plan.figures[:2]:
            parts.ranking(board, measure, split, tell=True)
    if splits:
        parts.table(board, plan.figures, splits[0])
    else:
        _detail_recipe(board)


RECIPES: dict[Recipe, Callable[[Board], None]] = {
    "trend": _trend_recipe, "ranking": _ranking_recipe, "compare": _compare_recipe, "share": _share_recipe,
    "spread": _spread_recipe, "relation": _relation_recipe, "beside": _beside_recipe, "cycle": _cycle_recipe,
    "detail": _detail_recipe, "overview": _overview_recipe,
}  # fmt: skip
