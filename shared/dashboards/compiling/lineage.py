"""Edges dashboard → tile → query → table, and → column where the text says it plainly.

A column is attributed to a table only where there is no doubt: it is qualified by that table, or the
query reads one table and no other source. Whatever is in doubt stays an edge to the table.
"""

from __future__ import annotations

from typing import Any

from shared.dashboards.compiling.compiler import Prepared, PreparedQuery
from shared.dashboards.document.model import Document


def edges(prepared: Prepared) -> list[dict[str, Any]]:
    """One edge for each query and table (column_path "") or column."""
    tiles = _tiles(prepared.document)
    found: list[dict[str, Any]] = []
    for query in prepared.queries.values():
        shown = sorted({tile for id, names in tiles.items() for tile in names if id == query.id})
        columns = _columns(query)
        for table in query.tables:
            for column in ["", *sorted(columns.get(table, set()))]:
                found.append(
                    {"query_id": query.id, "table_name": table, "column_path": column, "tiles": shown}
                )
    return found


def _tiles(document: Document) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {}
    for tile in document.layout:
        query = getattr(tile, "query", None)
        if query is not None:
            shown.setdefault(query, []).append(tile.id)
        options = getattr(tile, "options", None)
        spark = getattr(options, "sparkline", None)
        if spark is not None and spark.query is not None:
            shown.setdefault(spark.query, []).append(tile.id)
    return shown


def _columns(query: PreparedQuery) -> dict[str, set[str]]:
    from sqlglot import exp

    names = {table.rsplit(".", 1)[-1].lower(): table for table in query.tables}
    found: dict[str, set[str]] = {}
    for select in query.checked.tree.find_all(exp.Select):
        sources = [
            source.this
            for source in [
                select.args.get("from_") or select.args.get("from"),
                *(select.args.get("joins") or []),
            ]
            if source is not None
        ]
        tables = {
            source.alias_or_name.lower(): names[source.name.lower()]
            for source in sources
            if isinstance(source, exp.Table) and source.db and source.name.lower() in names
        }
        for column in select.find_all(exp.Column):
            if column.find_ancestor(exp.Select) is not select:
                continue
            if column.table and column.table.lower() in tables:
                found.setdefault(tables[column.table.lower()], set()).add(column.name)
            elif not column.table and len(sources) == len(tables) == 1:
                aliases = {alias.lower() for alias in select.named_selects}
                if column.name.lower() not in aliases or _is_source(column):
                    found.setdefault(next(iter(tables.values())), set()).add(column.name)
    return found


def _is_source(column: Any) -> bool:
    """Whether the column stands in the select list, where an alias of the same list can't be meant."""
    from sqlglot import exp

    node = column
    while node.parent is not None and not isinstance(node.parent, exp.Select):
        node = node.parent
    return bool(node.arg_key == "expressions")
