"""First questions for a new user, made from the catalog: each names things that are there."""

from __future__ import annotations

from shared.analyst.builtin import measures, roles
from shared.analyst.builtin.view import Table, View

MOST = 6


def questions(view: View) -> list[str]:
    """Goals that the tables can answer, one or two a table, the richest tables first."""
    ranked = sorted(view.tables, key=lambda table: (-_richness(table), -(table.rows or 0), table.name))
    found: list[str] = []
    for place in range(2):
        for table in ranked:
            made = _of_table(table)
            if place < len(made) and len(found) < MOST:
                found.append(made[place])
    return list(dict.fromkeys(found))


def _figures(table: Table) -> list[str]:
    return [
        measures.readable(column, None)
        for column in table.columns
        if roles.role(column) == "measure" and (column.stats.null_share or 0) < 0.5
    ]


def _splits(table: Table) -> list[str]:
    return [
        measures.readable(column, None)
        for column in table.columns
        if column.type == "STRING" and roles.role(column) in ("dimension", "name")
    ]


def _richness(table: Table) -> int:
    """Events with a time, figures and splits make the best dashboards."""
    return (3 if roles.time_of(table) else 0) + min(2, len(_figures(table))) + min(2, len(_splits(table)))


def _of_table(table: Table) -> list[str]:
    figures, splits, noun = _figures(table), _splits(table), measures.noun_of(table)
    time = roles.time_of(table)
    made: list[str] = []
    if time is not None and time.kind != "year":
        subject = noun if noun != "records" else figures[0] if figures else ""
        if subject:
            made.append(f"Show monthly {subject}" + (f" by {splits[0]}" if splits else ""))
    elif time is not None and figures:
        made.append(f"{figures[0].capitalize()}{f' by {splits[0]}' if splits else ''} over the years")
    if figures and splits:
        made.append(f"Which {measures.plural(splits[-1])} have the highest average {figures[0]}? Top 10")
    return made
