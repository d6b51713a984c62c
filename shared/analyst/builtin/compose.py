"""From a plan to a document: filters, queries and tiles, in the dashboard's own format."""

from __future__ import annotations

from typing import Any

from shared.analyst.builtin import sql as sqls
from shared.analyst.builtin import titles
from shared.analyst.builtin.board import Board
from shared.analyst.builtin.decide import Plan
from shared.analyst.builtin.recipes import RECIPES
from shared.analyst.builtin.trees import Scope


def compose(plan: Plan, connection: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The document of a plan, and the queries that the closing words speak of."""
    yearly = plan.time is not None and plan.time.kind == "year"
    scope = Scope(plan.table, plan.time, plan.restrictions, plan.choices, "years" if yearly else "period")
    board = Board(plan, scope)
    if plan.time is not None or plan.choices:
        board.tile(id="filters", type="filter_bar")
    RECIPES[plan.recipe](board)
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
