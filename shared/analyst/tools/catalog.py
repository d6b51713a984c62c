"""Tools that look at the catalog: datasets, tables, one table's shape with statistics, search by words."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from shared.agents.protocol.model import Effect, ToolContext, ToolFailed
from shared.analyst.tools import reading, statistics
from shared.catalog import service
from shared.catalog.model import Search, TableShape
from shared.platform.errors import BridgeError, NotFound

DAY, HOUR = 86_400, 3_600
MOST_TABLES = 300
_SHORT = 160


class Arguments(BaseModel):
    """Base of every tool's arguments: what is not named is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoArguments(Arguments):
    """The tool needs none."""


class ListDatasets:
    """Every dataset of the connection."""

    name: ClassVar[str] = "list_datasets"
    description: ClassVar[str] = "List the datasets of the connection with their descriptions."
    arguments: ClassVar[type[BaseModel]] = NoArguments
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = DAY

    def run(self, context: ToolContext, arguments: NoArguments) -> dict[str, Any]:  # noqa: ARG002
        found = service.list_datasets(context.team, _connection(context))
        return {
            "datasets": [
                {"dataset": entry.fully_qualified_name, "description": _short(entry.description), "location": entry.location}
                for entry in found
            ]
        }  # fmt: skip


class TablesOf(Arguments):
    """Which tables to list."""

    dataset: str | None = Field(
        default=None, max_length=300, description="Name of a dataset; default: all datasets."
    )
    offset: int = Field(default=0, ge=0, le=10_000, description="Tables to skip, by name.")


class ListTables:
    """Tables with their sizes."""

    name: ClassVar[str] = "list_tables"
    description: ClassVar[str] = (
        "List tables and views with row count, bytes, partitioning, clustering and description."
    )
    arguments: ClassVar[type[BaseModel]] = TablesOf
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = DAY

    def run(self, context: ToolContext, arguments: TablesOf) -> dict[str, Any]:
        dataset = arguments.dataset.rsplit(".", 1)[-1] if arguments.dataset else None
        found = service.list_tables(context.team, _connection(context), dataset)
        shown = found[arguments.offset : arguments.offset + MOST_TABLES]
        return {
            "dialect": reading.opened(context).warehouse.dialect.name,
            "tables": [
                _without_nothing(
                    {
                        "table": entry.fully_qualified_name,
                        "type": entry.table_type if entry.table_type not in ("TABLE", "BASE TABLE") else None,
                        "row_count": entry.row_count,
                        "size_bytes": entry.size_bytes,
                        "partitioning": entry.partitioning,
                        "clustering": entry.clustering,
                        "description": _short(entry.description),
                    }
                )
                for entry in shown
            ],
            "total": len(found),
        }


class OneTable(Arguments):
    """Which table to describe."""

    table: str = Field(min_length=1, max_length=400, description="project.dataset.table, or dataset.table.")


class GetTableSchema:
    """A table's columns with statistics of its data."""

    name: ClassVar[str] = "get_table_schema"
    description: ClassVar[str] = (
        "Columns of a table with type, description and statistics (distinct values, least, greatest, share of nulls). "
        "Use it before writing SQL about the table."
    )
    arguments: ClassVar[type[BaseModel]] = OneTable
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = DAY

    def run(self, context: ToolContext, arguments: OneTable) -> dict[str, Any]:
        shape = described(context, arguments.table)
        measured: dict[str, dict[str, Any]] = {}
        warning: str | None = None
        try:
            measured, warning = statistics.of_table(context, shape)
        except (ToolFailed, BridgeError) as error:
            # The shape is worth having without them.
            warning = f"No statistics: {getattr(error, 'message', str(error))}"
        answer = {
            "table": shape.fully_qualified_name,
            "type": shape.table_type,
            "row_count": shape.row_count,
            "size_bytes": shape.size_bytes,
            "partitioning": shape.partitioning,
            "clustering": shape.clustering,
            "description": shape.description,
            "dialect": reading.opened(context).warehouse.dialect.name,
            "columns": [
                _without_nothing(
                    {
                        "path": column.path,
                        "type": column.data_type,
                        "mode": column.mode if column.mode != "NULLABLE" else None,
                        "description": column.description,
                        "position": column.position,
                        "statistics": measured.get(column.path),
                    }
                )
                for column in shape.columns
            ],
        }
        return answer | ({"warning": warning} if warning else {})


class Words(Arguments):
    """What to search for."""

    query: str = Field(min_length=1, max_length=200, description="Words of the goal.")
    limit: int = Field(default=20, ge=1, le=50, description="Most tables to answer.")


class SearchCatalog:
    """Tables and columns that hold some words."""

    name: ClassVar[str] = "search_catalog"
    description: ClassVar[str] = "Find tables by words in their names, columns and descriptions, best first."
    arguments: ClassVar[type[BaseModel]] = Words
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = HOUR

    def run(self, context: ToolContext, arguments: Words) -> dict[str, Any]:
        asked = Search(
            team_id=context.team, q=arguments.query, connection_id=_connection(context), limit=arguments.limit
        )
        return {
            "hits": [
                {
                    "table": hit.fully_qualified_name,
                    "description": _short(hit.description),
                    "matched_columns": hit.matched_columns[:10],
                    "score": hit.score,
                }
                for hit in service.search(context.team, asked).hits
            ]
        }


def described(context: ToolContext, name: str) -> TableShape:
    """A table's shape from the directory; a name that is not there is answered with those that are near."""
    try:
        return service.describe_table(context.team, _connection(context), name)
    except NotFound:
        from difflib import get_close_matches

        known = [
            entry.fully_qualified_name for entry in service.list_tables(context.team, _connection(context))
        ]
        called: dict[str, list[str]] = {}
        for entry in known:
            called.setdefault(entry.rsplit(".", 1)[-1], []).append(entry)
        alike = get_close_matches(name.rsplit(".", 1)[-1], list(called), n=3, cutoff=0.5)
        near = [entry for found in alike for entry in called[found]][:6]
        hint = f" Near it: {', '.join(near)}." if near else ""
        raise ToolFailed(
            f"The catalog has no table {name[:200]!r}.{hint}", code="NOT_FOUND", details={"near": near}
        ) from None


def _connection(context: ToolContext) -> str:
    return reading.opened(context).id


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def _without_nothing(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}
