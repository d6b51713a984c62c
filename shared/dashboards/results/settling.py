"""Bring every query of a plan to a result: found, computed here once, or awaited from whoever computes it.

A: looks ── lease ── warehouse ── entry ── release
B:    looks, it is held ── looks ── looks ── entry      (another instance; the threads of one wait for its one leader)
C:                          A dies: its lease ends ── lease ── warehouse ── entry, with a higher fence

The result comes first: a query that the warehouse has answered is shown, and kept as best it can be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.dashboards.compiling.compiler import Plan, PlannedQuery
from shared.dashboards.results import entries, execution
from shared.dashboards.results.entries import Entry
from shared.dashboards.results.sources import Source
from shared.platform import clock, deadline, threads
from shared.platform.errors import BridgeError, DeadlineExceeded, Unavailable
from shared.platform.leases.contract import Lease, Terms
from shared.platform.leases.firestore import DocumentSlot
from shared.platform.leases.holding import holding
from shared.platform.leases.single_flight import Done, Flight, Later, NotInTime
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry import recording
from shared.platform.telemetry.bookkeeping import bookkeeping

PARALLEL = 6
TERMS = Terms(seconds=15.0, heartbeat=4.0, at_most=600.0)
MARGIN_SECONDS = 30.0
"""Longest that writing a result may take after its query ended; nobody keeps the lease for longer."""


@dataclass(frozen=True)
class Settled:
    """A query's entry and how this request came by it."""

    entry: Entry
    cached: bool
    stale: bool = False
    wants_refresh: bool = False
    failure: dict[str, Any] | None = None
    """Why computing it failed just now, also where an older result stands in for it."""
    retry_after: float | None = None
    """Seconds after which what failed may go well, where that is known."""
    late: bool = False
    """Whether it is missing only because this caller's time was over: another caller may have more."""


_flight: Flight[Settled] = Flight()


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
    end = clock.monotonic() + patience
    for stage in plan.stages:
        missing = [queries[id] for id in stage if id in queries and id not in settled]
        settled |= _settle_stage(source, missing, keys, end, computed_before)
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
    end: float,
    computed_before: float,
) -> dict[str, Settled]:
    if not queries:
        return {}
    # Two tiles may ask the same question under two names: it is asked once.
    first = {keys[query.id]: query for query in reversed(queries)}

    def settle(query: PlannedQuery) -> Settled:
        return _settle(source, query, keys[query.id], end, computed_before)

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
    end: float,
    computed_before: float,
) -> Settled:
    try:
        outcome = _flight.run(
            (key, computed_before),
            lambda: _attempt(source, query, key, computed_before),
            remaining=lambda: end - clock.monotonic(),
        )
    except NotInTime:
        return _late()
    except Unavailable as error:
        # The shared entries are away since this request began: what it has computed already is shown all the same.
        telemetry.log_exception("a result could not be looked for", error, query=query.id)
        return _without_rows(error)
    return outcome.value if outcome.led else replace(outcome.value, cached=True)


def _attempt(source: Source, query: PlannedQuery, key: str, computed_before: float) -> Done[Settled] | Later:
    """Find the entry, compute it where nobody does, or say how long the lease of who does lasts."""
    current, lease = entries.look(key)
    if current is not None and not _is_due(current, clock.epoch(), computed_before):
        return Done(Settled(current, cached=True))
    if lease.left > 0:
        return Later(lease.left)
    slot, terms = DocumentSlot(key), TERMS.lasting(query.timeout_seconds + MARGIN_SECONDS)
    with holding(
        slot, terms, f"query {query.id}", take=lambda: slot.take_after(lease, terms.seconds)
    ) as held:
        if held is None:
            return Later(0.0)
        settled = _compute(source, query, key, held, current)
        return Done(settled, shared=not settled.late)


def _compute(source: Source, query: PlannedQuery, key: str, lease: Lease, known: Entry | None) -> Settled:
    try:
        entry = execution.run(
            query, source.access, lease, slug=source.slug, serve_seconds=source.serve_seconds
        )
    except Exception as error:
        if not isinstance(error, BridgeError):
            telemetry.log_exception("a dashboard's query failed unexpectedly", error, query=query.id)
        if deadline.is_over():
            # Cut short by the time of this caller: it says nothing about the query.
            return _late()
        told = error if isinstance(error, BridgeError) else BridgeError()
        problem = {"code": told.code, "message": told.message, "retryable": told.retryable}
        remembered = entries.failed(known, problem)
        _keep(key, lease, source.team, remembered)
        stands_in = remembered.error is None
        return Settled(
            remembered, cached=stands_in, stale=stands_in, failure=problem, retry_after=told.retry_after
        )
    _keep(key, lease, source.team, entry)
    return Settled(entry, cached=False)


def _keep(key: str, lease: Lease, team: str, entry: Entry) -> None:
    """Keep an entry for others, as best it can: who waits for it gets it in any case."""
    with bookkeeping("a result", "the next reader computes it again"):
        entries.write(key, lease, team, entry)


def _late() -> Settled:
    late = DeadlineExceeded("The query is still being computed; load again in a moment.")
    return replace(_without_rows(late), late=True)


def _without_rows(error: BridgeError) -> Settled:
    """A query's place in an answer that has no result of it; nothing of this is kept."""
    problem = {"code": error.code, "message": error.message, "retryable": True}
    entry = Entry(
        shown=entries.NO_ROWS,
        metadata={"row_count": 0, "executed_at": clock.iso(clock.now()), "warnings": []},
        fresh_until=0.0,
        serve_until=0.0,
        error=problem,
    )
    return Settled(entry, cached=False, failure=problem, retry_after=error.retry_after)
