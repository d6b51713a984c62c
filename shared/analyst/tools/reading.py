"""One way to a warehouse for the tools: guarded, dry-run, capped, with the connection of the conversation.

    text ─► compiler (refs, clock, guard, row limit) ─► dry run, agreed with the guard ─► cap ─► rows

Queries go through the dashboards' own compiler, so what a dry run here has passed is to the letter what a
dashboard will run: their fingerprints are equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.agents.protocol.model import ToolContext, ToolFailed
from shared.catalog import service as catalog
from shared.connections import service as connections
from shared.connections.model import OpenConnection
from shared.dashboards.compiling import compiler
from shared.dashboards.compiling.compiler import PlannedQuery
from shared.dashboards.compiling.filters import Clock
from shared.dashboards.document.model import Document
from shared.platform import clock, ids
from shared.platform.errors import BridgeError
from shared.querying import access
from shared.querying import service as querying
from shared.querying.access import Access
from shared.querying.service import Estimate
from shared.warehouses.contract import Result
from shared.warehouses.types import Kind


def opened(context: ToolContext) -> OpenConnection:
    """The conversation's connection; it is opened once in a turn."""
    if context.connection_id is None:
        raise ToolFailed(
            "This conversation has no connection yet: send connection_id with the message.",
            code="NO_CONNECTION",
        )
    known = context.memory.get("connection")
    if isinstance(known, OpenConnection) and known.id == context.connection_id:
        return known
    found = connections.open_warehouse(context.team, context.connection_id)
    context.memory["connection"] = found
    return found


def reach(context: ToolContext) -> Access:
    """What the conversation may read over its connection; it is looked up once in a turn."""
    known = context.memory.get("access")
    if not isinstance(known, Access):
        known = context.memory["access"] = access.through(context.team, opened(context))
    return known


def plan(context: ToolContext, sql: str, given: Sequence[Mapping[str, Any]] = ()) -> PlannedQuery:
    """The query as a dashboard would run it, with the opening values of its filters. Raises BridgeError."""
    connection = opened(context)
    document = Document.model_validate(
        {
            "version": 1, "kind": "dashboard", "slug": "query", "title": "Query", "connection": connection.name[:120],
            "filters": [dict(entry) for entry in given],
            "queries": [{"id": "query", "sql": sql}],
            "layout": [{"id": "table", "type": "table", "query": "query"}],
        }
    )  # fmt: skip
    at = Clock.at(clock.now(), document.timezone)
    found = compiler.compile(
        document,
        dialect=connection.warehouse.dialect,
        project=connection.warehouse.project,
        allowed=reach(context).allowed,
        filters={},
        clock=at,
        connection=connection.id,
        generation=connection.credentials_generation,
        policy=reach(context).policy,
    )
    for refusal in found.failed.values():
        raise refusal
    planned = found.query("query")
    if planned is None:
        raise ToolFailed("The query could not be planned.", code="QUERY_INVALID")
    return planned


def estimate(context: ToolContext, planned: PlannedQuery, cap: int | None = None) -> Estimate:
    """A dry run, agreed with the guard. The cap is the platform's; `cap` may only lower it."""
    context.remaining()
    return querying.estimate(reach(context), planned, cap=cap)


def rows(context: ToolContext, found: Estimate, most: int, tool: str) -> Result:
    """The rows of a query that is within its cap; raises what the turn's, session's or team's budget says."""
    purpose = querying.Purpose(
        job="bridge-" + ids.derived_id(context.turn_id, context.call_id, found.statement.query_hash),
        labels={"session": context.session_id, "tool": tool},
        most_rows=most,
        scopes={"turn": context.turn_id, "session": context.session_id},
        within_seconds=context.remaining(),
    )
    return querying.run(reach(context), found, purpose)


def read(context: ToolContext, sql: str, most: int, tool: str) -> Result:
    """Dry-run and run a query of our own; raises ToolFailed at the cap."""
    found = estimate(context, plan(context, sql))
    if not found.within:
        raise over_cap(context, found)
    return rows(context, found, most, tool)


def over_cap(context: ToolContext, found: Estimate) -> ToolFailed:
    """The refusal of a query that reads too much, with what would help."""
    return ToolFailed(
        f"The query would scan {found.dry_run.bytes_scanned:,} bytes; the cap is {found.cap:,}.",
        code="BYTES_CAP_EXCEEDED",
        details={
            "bytes_scanned": found.dry_run.bytes_scanned,
            "cap_bytes": found.cap,
            "advice": advice(context, found),
        },
    )


def cost_usd(context: ToolContext, bytes_scanned: int) -> float | None:
    """What the scan costs on demand; None where the warehouse does not bill by bytes."""
    price = opened(context).warehouse.dialect.usd_per_tebibyte
    return None if price is None else round(bytes_scanned / 2**40 * price, 8)


RECOMMENDED_ABOVE = 1_000_000_000
_WIDE = (Kind.TEXT, Kind.JSON, Kind.BYTES)


def advice(context: ToolContext, found: Estimate) -> str | None:
    """What would make the query cheaper, by name: the partition's column, or its widest columns."""
    if found.within and found.dry_run.bytes_scanned <= RECOMMENDED_ABOVE:
        return None
    shapes = catalog.shapes(context.team, str(context.connection_id), found.dry_run.tables)
    dialect = opened(context).warehouse.dialect
    read_columns = {column.name for column in _columns(found)}
    parts: list[str] = []
    for name, shape in sorted(shapes.items()):
        column = (shape.partitioning or {}).get("column")
        if column and not _restricts(found, column):
            parts.append(f"add a filter on {column}, by which {name} is partitioned")
        elif column:
            parts.append(f"narrow the range of {column}, by which {name} is partitioned")
        elif shape.clustering:
            parts.append(f"filter on {shape.clustering[0]}, by which {name} is clustered")
    if not parts:
        wide = sorted(
            column.path for shape in shapes.values() for column in shape.columns if dialect.kind(column.data_type) in _WIDE and column.path in read_columns
        )  # fmt: skip
        parts.append(f"leave out {', '.join(wide[:3])}" if wide else "read fewer columns")
    text = f"To read less: {'; '.join(parts[:3])}."
    if found.dry_run.bytes_scanned > RECOMMENDED_ABOVE:
        text += " For a table of this size, partition it by its date or keep a materialised view of the aggregate."
    return text


def _columns(found: Estimate) -> list[Any]:
    from sqlglot import exp

    return list(found.statement.checked.tree.find_all(exp.Column))


def _restricts(found: Estimate, column: str) -> bool:
    """Whether a WHERE of the query mentions the column."""
    from sqlglot import exp

    return any(
        inner.name.lower() == column.lower()
        for where in found.statement.checked.tree.find_all(exp.Where)
        for inner in where.find_all(exp.Column)
    )


def refusal(error: BridgeError) -> str:
    """The message of a refusal with its reason."""
    return (
        error.message
        if not error.reason or error.reason in error.message
        else f"{error.message} ({error.reason})"
    )
