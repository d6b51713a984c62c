"""Run one planned query and shape its rows for storage."""

from __future__ import annotations

import gzip
from typing import Any

from shared.dashboards.compiling.compiler import MAX_ROWS, PlannedQuery
from shared.dashboards.results.entries import Entry
from shared.platform import clock, deadline
from shared.platform.leases.contract import Lease
from shared.platform.telemetry import context as telemetry
from shared.platform.text import strict_json
from shared.querying import service as querying
from shared.querying.access import Access
from shared.warehouses.contract import Result
from shared.warehouses.values import to_json

SHOWN_BYTES = 100 * 1024
"""Most that one tile's data may weigh in an answer, uncompressed."""


def run(query: PlannedQuery, access: Access, lease: Lease, *, slug: str, serve_seconds: float) -> Entry:
    """Compute a query and shape its entry; raises the warehouse's error.

    The dry run comes first at each execution, because a view may lead elsewhere since the document was
    saved and a table may have grown beyond the cap.
    """
    started = clock.monotonic()
    with telemetry.span("sql.execute", dashboard_slug=slug, query_hash=query.query_hash) as span:
        result = querying.run(
            access,
            querying.estimate(access, query),
            querying.Purpose(
                job=f"dash-{query.query_hash[:32]}-{lease.fence}",
                labels={"dashboard": slug, "query": query.id},
                most_rows=MAX_ROWS,
                # Not beyond this caller's own time: what it leaves behind then is cancelled, not forgotten.
                within_seconds=deadline.within(float(query.timeout_seconds)),
            ),
        )
        span["bytes_scanned"] = result.bytes_scanned
    return shape(query, result, (clock.monotonic() - started) * 1000, serve_seconds=serve_seconds)


def shape(query: PlannedQuery, result: Result, duration_ms: float, *, serve_seconds: float) -> Entry:
    """The entry of a result: what a tile gets, and all rows where that is less."""
    columns = [{"name": field.name, "type": field.type} for field in result.schema]
    rows = [[to_json(value) for value in row] for row in result.rows[:MAX_ROWS]]
    truncated = result.truncated or len(result.rows) > MAX_ROWS
    warnings: list[str] = []
    if truncated:
        warnings.append(f"Only the first {MAX_ROWS:,} rows are kept. Summarise in SQL.")
    shown, encoded = rows, strict_json.dumps(rows)
    if len(encoded) > SHOWN_BYTES:
        shown = _fitting(rows)
        encoded = strict_json.dumps(shown)
        warnings.append(f"Only the first {len(shown):,} of {len(rows):,} rows are shown here.")
        truncated = True
    head = b'"columns":' + strict_json.dumps(columns) + b',"rows":'
    now = clock.epoch()
    metadata: dict[str, Any] = {
        "row_count": len(rows),
        "bytes_scanned": result.bytes_scanned,
        "duration_ms": round(duration_ms, 1),
        "executed_at": clock.iso(clock.now()),
        "computed": now,
        "query_hash": query.query_hash,
        "truncated": truncated,
        "warnings": warnings,
    }
    return Entry(
        shown=gzip.compress(head + encoded, 6, mtime=0),
        metadata=metadata,
        fresh_until=now + query.ttl_seconds,
        serve_until=now + query.ttl_seconds + serve_seconds,
        whole=None if shown is rows else gzip.compress(head + strict_json.dumps(rows), 6, mtime=0),
    )


def _fitting(rows: list[list[Any]]) -> list[list[Any]]:
    """The first rows that fit into SHOWN_BYTES."""
    room, kept = SHOWN_BYTES - 2, 0
    for row in rows:
        room -= len(strict_json.dumps(row)) + 1
        if room < 0:
            break
        kept += 1
    return rows[:kept]
