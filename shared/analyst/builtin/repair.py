"""Mend a dashboard that a check refused: narrow what it reads, or leave out a part that is not its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.analyst.builtin import ranges
from shared.analyst.builtin.decide import Plan
from shared.analyst.builtin.desk import Answer
from shared.analyst.builtin.ranges import Period, Span

ATTEMPTS = 5
_ESSENTIAL = 1
"""The first charts that answer the question can't be left out."""


def without(document: dict[str, Any], refused: Mapping[str, Answer]) -> dict[str, Any] | None:
    """The document without the tiles of refused queries, or None where one of them is its answer."""
    charts = [tile for tile in document["layout"] if tile["type"] in ("chart", "table")]
    answers = {tile["query"] for tile in charts[:_ESSENTIAL]} | {"totals"}
    if answers & set(refused):
        return None
    tiles = []
    for tile in document["layout"]:
        if tile.get("query") in refused:
            continue
        line = tile.get("options", {}).get("sparkline")
        if line and line.get("query") in refused:
            tile = {
                **tile,
                "options": {key: value for key, value in tile["options"].items() if key != "sparkline"},
            }
        tiles.append(tile)
    filters = [entry for entry in document.get("filters", []) if entry.get("options_query") not in refused]
    if len(filters) < len(document.get("filters", [])):
        return None
    return tidy({**document, "layout": tiles})


def tidy(document: dict[str, Any]) -> dict[str, Any]:
    """The document without queries that nothing shows."""
    used = {tile.get("query") for tile in document["layout"]}
    used |= {(tile.get("options", {}).get("sparkline") or {}).get("query") for tile in document["layout"]}
    used |= {entry.get("options_query") for entry in document.get("filters", [])}
    used |= {
        found for query in document["queries"] for found in re.findall(r"ref\('([a-z0-9_]+)'\)", query["sql"])
    }
    return {**document, "queries": [query for query in document["queries"] if query["id"] in used]}


def narrower(plan: Plan, refused: Mapping[str, Answer]) -> tuple[Plan, str] | None:
    """A plan that reads less, with a word about it; None where nothing is left to give up.

    A shorter range first where the table is partitioned by its time, for that is what makes it cheap; then
    the reader's choices and the names (fewer columns and tables), then all figures but the first.
    """
    share = min((_share(answer) for answer in refused.values()), default=None)
    over = share is not None and share < 1
    if (
        over
        and plan.time is not None
        and plan.period is not None
        and plan.table.partition.get("column") == plan.time.column.path
    ):
        days = (plan.period.end - plan.period.start).days + 1
        kept = int(days * (share or 1) * 0.8)
        if 1 <= kept < days:
            period = Period(plan.period.end - timedelta(days=kept - 1), plan.period.end)
            goal = replace(plan.goal, span=Span(period.start, period.end, text=ranges.spoken(period)))
            note = f"The whole range would read more than the cap allows, so it opens with {ranges.spoken(period)}."
            return replace(plan, period=period, goal=goal, notes=(*plan.notes, note)), note
    if plan.choices:
        note = "I leave out the choice filters, so that the queries read fewer columns."
        return replace(plan, choices=(), notes=(*plan.notes, note)), note
    if any(dimension.uses_lookup for dimension in plan.dimensions):
        note = "I show keys instead of names, so that the queries read one table less."
        bare = tuple(replace(dimension, by_code=True) for dimension in plan.dimensions)
        return replace(plan, dimensions=bare, notes=(*plan.notes, note)), note
    if len(plan.figures) > 1:
        note = f"I keep the first figure, {plan.figures[0].label.lower()}, so that the queries read fewer columns."
        return replace(plan, figures=plan.figures[:1], notes=(*plan.notes, note)), note
    return None


def _share(answer: Answer) -> float:
    """The cap as a share of what the query would read; 1 where it was refused for another reason."""
    scanned, cap = answer.get("bytes_scanned"), answer.get("cap_bytes")
    if not scanned or not cap or scanned < cap:
        return 1.0
    return float(cap) / float(scanned)


def mended(document: dict[str, Any], errors: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The document without the tiles that validation refuses, or None where that would be its answer."""
    tiles, queries = set(), set()
    for error in errors:
        if found := re.match(r"layout\[(\d+)\]", str(error.get("path") or "")):
            tiles.add(int(found[1]))
        elif found := re.match(r"queries\[(\d+)\]", str(error.get("path") or "")):
            queries.add(document["queries"][int(found[1])]["id"])
        else:
            return None
    refused = {
        tile["query"]: Answer({}, True)
        for index, tile in enumerate(document["layout"])
        if index in tiles and "query" in tile
    }
    refused |= {id: Answer({}, True) for id in queries}
    essential = next(
        (index for index, tile in enumerate(document["layout"]) if tile["type"] in ("chart", "table")), None
    )
    if not errors or essential in tiles:
        return None
    if queries:
        return without(document, {id: refused[id] for id in queries})
    return tidy(
        {**document, "layout": [tile for index, tile in enumerate(document["layout"]) if index not in tiles]}
    )


def if_empty(plan: Plan, previews: Mapping[str, Mapping[str, Any]]) -> str | None:
    """What to say where the range and the restrictions leave no row at all."""
    totals = previews.get("totals")
    if totals is None or not totals.get("rows"):
        return None
    row = totals["rows"][0]
    if any(value not in (None, 0, "0") for value in row):
        return None
    where = " and ".join(
        f"{restriction.dimension.noun} {' or '.join(restriction.values)}" for restriction in plan.restrictions
    )
    return f"There are no rows{f' for {where}' if where else ''} in that range, so a dashboard would be empty. Ask for another range or another value."
