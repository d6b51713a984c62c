"""Tools about data: profile a column, dry-run a query, look at its first rows."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from shared.agents.conversation import facts
from shared.agents.protocol.model import Effect, ToolContext, ToolFailed
from shared.analyst.tools import reading, statistics
from shared.analyst.tools.catalog import DAY, HOUR, Arguments, described
from shared.dashboards.document.model import Filter
from shared.platform.errors import BridgeError

MOST_ROWS = 20
DRY_RUN = "dry_run"
"""The kind of fact that a query passed its dry run, under its fingerprint."""


class ColumnOf(Arguments):
    """Which column to profile."""

    table: str = Field(min_length=1, max_length=400, description="project.dataset.table, or dataset.table.")
    column: str = Field(min_length=1, max_length=300, description="The column's path.")
    matching: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Only values that contain this text, in any case: to look a name up.",
    )


class ProfileColumn:
    """Statistics and frequent values of a column."""

    name: ClassVar[str] = "profile_column"
    description: ClassVar[str] = (
        "Distinct values, least, greatest, share of nulls and the most frequent values of a column; "
        "with `matching`, the values that contain a text."
    )
    arguments: ClassVar[type[BaseModel]] = ColumnOf
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = DAY

    def run(self, context: ToolContext, arguments: ColumnOf) -> dict[str, Any]:
        shape = described(context, arguments.table)
        column = next((entry for entry in shape.columns if entry.path == arguments.column), None)
        if column is None:
            known = [entry.path for entry in shape.columns][:60]
            raise ToolFailed(
                f"{shape.fully_qualified_name} has no column {arguments.column!r}. It has: {', '.join(known)}.",
                code="NOT_FOUND", details={"columns": known},
            )  # fmt: skip
        return statistics.of_column(context, shape, column, arguments.matching)


class DryRunArguments(Arguments):
    """What to dry-run."""

    sql: str = Field(
        min_length=1, max_length=20_000, description="One SELECT statement; filters as @parameters."
    )
    filters: list[Filter] = Field(
        default_factory=list,
        max_length=24,
        description="The dashboard's filters whose parameters the statement uses, with their defaults.",
    )
    max_bytes: int | None = Field(
        default=None, ge=1, description="A cap below the platform's; it can't raise it."
    )


class RunDryRunQuery:
    """What a query would scan, without running it."""

    name: ClassVar[str] = "run_dry_run_query"
    description: ClassVar[str] = (
        "Check a query without running it: whether it is valid and read-only, the bytes that it would scan against the cap, "
        "its result columns, and what would make it cheaper. Every query of a dashboard must pass this before it is saved."
    )
    arguments: ClassVar[type[BaseModel]] = DryRunArguments
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = None

    def run(self, context: ToolContext, arguments: DryRunArguments) -> dict[str, Any]:
        given = [
            entry.model_dump(mode="json", exclude_defaults=True) | {"type": entry.type}
            for entry in arguments.filters
        ]
        try:
            found = reading.estimate(
                context, reading.plan(context, arguments.sql, given), arguments.max_bytes
            )
        except BridgeError as error:
            if error.retryable:
                raise
            return {
                "valid": False,
                "error": {"code": error.code, "message": reading.refusal(error)},
                "bytes_scanned": None,
                "estimated_cost_usd": None,
                "advice": None,
            }
        answer: dict[str, Any] = {
            "valid": found.within,
            "bytes_scanned": found.dry_run.bytes_scanned,
            "cap_bytes": found.cap,
            "estimated_cost_usd": reading.cost_usd(context, found.dry_run.bytes_scanned),
            "schema": [{"name": column.name, "type": column.type} for column in found.dry_run.schema],
            "error": None,
            "advice": reading.advice(context, found),
        }
        if not found.within:
            answer["error"] = {
                "code": "BYTES_CAP_EXCEEDED",
                "message": f"The query would scan {found.dry_run.bytes_scanned:,} bytes; the cap is {found.cap:,}.",
            }
            return answer
        facts.record(
            context.team, context.session_id, DRY_RUN, found.statement.checked.fingerprint,
            {"bytes_scanned": found.dry_run.bytes_scanned},
        )  # fmt: skip
        return answer


class PreviewArguments(Arguments):
    """What to look at."""

    sql: str = Field(
        min_length=1, max_length=20_000, description="One SELECT statement; filters as @parameters."
    )
    filters: list[Filter] = Field(
        default_factory=list, max_length=24, description="The filters whose parameters the statement uses."
    )
    limit: int = Field(default=MOST_ROWS, ge=1, le=MOST_ROWS, description="Most rows to answer.")


class PreviewQuery:
    """The first rows of a query."""

    name: ClassVar[str] = "preview_query"
    description: ClassVar[str] = (
        "Run a query after a dry run, under the byte cap, and answer at most 20 rows."
    )
    arguments: ClassVar[type[BaseModel]] = PreviewArguments
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = HOUR

    def run(self, context: ToolContext, arguments: PreviewArguments) -> dict[str, Any]:
        given = [
            entry.model_dump(mode="json", exclude_defaults=True) | {"type": entry.type}
            for entry in arguments.filters
        ]
        found = reading.estimate(context, reading.plan(context, arguments.sql, given))
        if not found.within:
            raise reading.over_cap(context, found)
        result = reading.rows(context, found, arguments.limit, self.name)
        return {
            "columns": [{"name": column.name, "type": column.type} for column in result.schema],
            "rows": [list(row) for row in result.rows],
            "row_count": result.total_rows,
            "truncated": result.truncated,
            "bytes_scanned": result.bytes_scanned,
        }


def sha(text: str) -> str:
    """The hash under which a document's text is known."""
    return hashlib.sha256(text.encode()).hexdigest()
