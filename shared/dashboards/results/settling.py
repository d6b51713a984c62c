"""Bring every query of a plan to a result: found, computed here once, or awaited from whoever computes it.

A: lease ── warehouse ── entry ── release
B:    no lease ── looks ── looks ── entry          (another instance, or another thread)
C:                    A dies: its lease ends ── lease ── warehouse ── entry, with a higher fence

A lease is short and kept by beats while the warehouse works, so that what a dead instance held is free
within seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from shared.dashboards.compiling.compiler import Plan, PlannedQuery
from shared.dashboards.results import entries, execution
from shared.dashboards.results.entries import Entry
from shared.dashboards.results.sources import Source
from shared.platform import clock, threads
from shared.platform.errors import BridgeError, DeadlineExceeded
from shared.platform.leases.heartbeat import beating
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry import recording

PARALLEL = 6
LEASE_SECONDS, BEAT_SECONDS = 15.0, 4.0
LEASE_MARGIN_SECONDS = 30.0
"""Longest that writing a result may take after its query ended; nobody beats for longer."""
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.03, 0.5


@dataclass(frozen=True)
class Settled:
    """A query's entry and how this request came by it."""

    entry: Entry
    cached: bool
    stale: bool = False
    wants_refresh: bool = False
    failure: dict[str, Any] | None = None
    """Why computing it failed just now, also where an older result stands in for it."""


def settle_all(
    source: Source,
    plan: Plan,
    *,
    patience: float,
    only: Collection[str] | None = None,
    computed_before: float = 0.0,
) -> dict[str, Settled]:
    """A result for every query of the plan (or for some of them), stage by stage.

    Results computed before `computed_before`, and stale ones if it is set, are computed again.
    """
    queries = {query.id: query for query in plan.queries if only is None or query.id in only}
    keys = {id: source.key(query.query_hash) for id, query in queries.items()}
    found = entries.find_many(sorted(set(keys.values())))
    settled: dict[str, Settled] = {}
    now = clock.epoch()
    for id, key in keys.items():
        entry = found.get(key)
        recording.count("bridge.cache.reads", cache="results", hit=entry is not None)
        if entry is not None and not _is_due(entry, now, computed_before):
            fresh = entry.is_fresh(now)
            settled[id] = Settled(
                entry, cached=True, stale=not fresh, wants_refresh=not fresh and now >= entry.quiet_until
            )
    deadline = clock.monotonic() + patience
    for stage in plan.stages:
        missing = [queries[id] for id in stage if id in queries and id not in settled]
        settled |= _settle_stage(source, missing, keys, deadline, computed_before)
    return settled


def _is_due(entry: Entry, now: float, computed_before: float) -> bool:
    """Whether a warming must compute it anew. A reader (0) takes whatever may be served."""
    if not computed_before:
        return False
    return not entry.is_fresh(now) or float(entry.metadata.get("computed", 0.0)) < computed_before


def _settle_stage(
    source: Source,
    queries: list[PlannedQuery],
    keys: Mapping[str, str],
    deadline: float,
    computed_before: float,
) -> dict[str, Settled]:
    if not queries:
        return {}
    # Two tiles may ask the same question under two names: it is asked once.
    first = {keys[query.id]: query for query in reversed(queries)}

    def settle(query: PlannedQuery) -> Settled:
        return _settle(source, query, keys[query.id], deadline, computed_before)

    if len(first) == 1:
        made = {key: settle(query) for key, query in first.items()}
    else:
        with threads.Pool(min(PARALLEL, len(first)), "query") as pool:
            waiting = {key: pool.submit(settle, query) for key, query in first.items()}
            made = {key: future.result() for key, future in waiting.items()}
    return {query.id: made[keys[query.id]] for query in queries}


def _settle(
    source: Source,
    query: PlannedQuery,
    key: str,
    deadline: float,
    computed_before: float,
) -> Settled:
    pause = FIRST_LOOK_SECONDS
    while True:
        lease = entries.take_lease(key, LEASE_SECONDS)
        current = entries.find(key)
        usable = current is not None and not _is_due(current, clock.epoch(), computed_before)
        if lease is not None:
            try:
                if usable and current is not None:
                    return Settled(current, cached=True)
                with _keeping(lease, query):
                    return _compute(source, query, lease, current)
            finally:
                entries.release(lease)
        if usable and current is not None:
            return Settled(current, cached=True)
        if clock.monotonic() + pause > deadline:
            return Settled(_gave_up(), cached=False)
        clock.sleep(pause)
        pause = min(LAST_LOOK_SECONDS, pause * 1.6)


def _keeping(lease: entries.Lease, query: PlannedQuery) -> AbstractContextManager[None]:
    return beating(
        lambda: entries.renew(lease, LEASE_SECONDS),
        every=BEAT_SECONDS,
        at_most=query.timeout_seconds + LEASE_MARGIN_SECONDS,
        what=f"query {query.id}",
    )


def _compute(source: Source, query: PlannedQuery, lease: entries.Lease, known: Entry | None) -> Settled:
    try:
        entry = execution.run(
            query, source.access, lease, slug=source.slug, serve_seconds=source.serve_seconds
        )
    except Exception as error:
        if not isinstance(error, BridgeError):
            telemetry.log_exception("a dashboard's query failed unexpectedly", error, query=query.id)
        told = error if isinstance(error, BridgeError) else BridgeError()
        problem = {"code": told.code, "message": told.message, "retryable": told.retryable}
        kept = entries.failed(lease, source.team, known, problem)
        stands_in = kept.error is None
        return Settled(kept, cached=stands_in, stale=stands_in, failure=problem)
    entries.write(lease, source.team, entry)
    return Settled(entry, cached=False)


def _gave_up() -> Entry:
    late = DeadlineExceeded("The query is still being computed; load again in a moment.")
    return Entry(
        shown=entries.NO_ROWS,
        metadata={"row_count": 0, "executed_at": clock.iso(clock.now()), "warnings": []},
        fresh_until=0.0,
        serve_until=0.0,
        error={"code": late.code, "message": late.message, "retryable": True},
    )
