"""First questions for a new user, made from the catalog: each names things that are there."""

from __future__ import annotations

from shared.analyst.builtin import measures, roles
from shared.analyst.builtin.view import Column, Table, View
from shared.warehouses.types import Kind

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
    """Figures with a unit or a plain word: what people ask about."""
    found = [
        column for column in table.columns if roles.role(column) == "measure" and not _is_position(column)
    ]
    found.sort(
        key=lambda column: (
            roles.good_direction(column.words) is None,
            roles.unit(column) is None,
            column.position,
        )
    )
    return [measures.readable(column, None) for column in found]


def _is_position(column: Column) -> bool:
    """Starts, ends and offsets of ranges are no figures to ask about."""
    return bool({"start", "end", "from", "to", "offset", "rank", "position"} & set(column.words))


def _splits(table: Table) -> list[str]:
    found = [
        column
        for column in table.columns
        if column.kind == Kind.TEXT and roles.role(column) in ("dimension", "name")
    ]
    found.sort(key=lambda column: (len(column.words) > 1, column.position))
    return [measures.readable(column, None) for column in found]


def _richness(table: Table) -> int:
    """Events with a time, figures and splits make the best dashboards."""
    time = roles.time_of(table)
    timed = 0 if time is None else 4 if time.kind != "year" else 2
    return timed + min(2, len(_figures(table))) + min(2, len(_splits(table)))


def _of_table(table: Table) -> list[str]:
    figures, splits, noun = _figures(table), _splits(table), measures.noun_of(table)
    time = roles.time_of(table)
    if time is None or not figures:
        return []
    by = f" by {splits[0]}" if splits else ""
    if time.kind == "year":
        return [f"{figures[0].capitalize()}{by} over the years"]
    made = [f"Show monthly {noun if noun != 'records' else figures[0]}{by}"]
    if splits and noun != "records":
        made.append(f"Which {measures.plural(splits[-1])} have the highest average {figures[0]}? Top 10")
    return made
