"""Edges dashboard → tile → query → table, and → column where the text says it plainly.

A column is attributed to a table only where there is no doubt: it is qualified by that table, or the
query reads one table and no other source. Whatever is in doubt stays an edge to the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.dashboards.compiling.compiler import Prepared, PreparedQuery
from shared.dashboards.document.model import Document
from shared.querying.service import Checked


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


@dataclass(frozen=True)
class _Sources:
    """What one SELECT reads, and the names that its list gives."""

    tables: Mapping[str, str | None]
    """How a column may name its table, in small letters → the table's full path; None where two are called so."""
    only: str | None
    """The one table, where the SELECT reads nothing else."""
    aliases: frozenset[str]


def _columns(query: PreparedQuery) -> dict[str, set[str]]:
    """The columns of each table, by its full path: two tables may share the last part of their names.

    One walk from the root down, with the SELECT around each column: the way up from each column is as long
    as the chain of conditions that it stands in.
    """
    from sqlglot import exp

    found: dict[str, set[str]] = {}
    stack: list[tuple[Any, _Sources | None, bool]] = [(query.checked.tree, None, False)]
    while stack:
        node, sources, listed = stack.pop()
        if isinstance(node, exp.Select):
            inside = _sources(node, query.checked)
            for name, value in node.args.items():
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, exp.Expression):
                        stack.append((child, inside, name == "expressions"))
            continue
        if isinstance(node, exp.Column) and sources is not None:
            table = _table_of(node, sources, listed)
            if table is not None:
                found.setdefault(table, set()).add(node.name)
        stack += [(child, sources, listed) for child in node.iter_expressions()]
    return found


def _sources(select: Any, checked: Checked) -> _Sources:
    from sqlglot import exp

    holders = [select.args.get("from_") or select.args.get("from"), *(select.args.get("joins") or [])]
    sources = [holder.this for holder in holders if holder is not None]
    tables: dict[str, str | None] = {}
    read: list[str] = []
    for source in sources:
        path = checked.path_of(source) if isinstance(source, exp.Table) else None
        if path is None:
            continue
        read.append(path)
        for name in _names(source, path):
            tables[name] = path if tables.get(name, path) == path else None
    only = read[0] if len(sources) == len(read) == 1 else None
    return _Sources(tables, only, frozenset(alias.lower() for alias in select.named_selects))


def _names(source: Any, path: str) -> list[str]:
    """By which names the columns of a table can be called: its alias, else its own name with or without its place."""
    if source.alias:
        return [str(source.alias).lower()]
    parts = path.lower().split(".")
    return [".".join(parts[first:]) for first in range(len(parts))]


def _table_of(column: Any, sources: _Sources, listed: bool) -> str | None:
    """`listed`: the column stands in the select list, where an alias of the same list can't be meant."""
    named = ".".join(part for part in (column.catalog, column.db, column.table) if part)
    if named:
        return sources.tables.get(named.lower())
    return sources.only if listed or column.name.lower() not in sources.aliases else None
