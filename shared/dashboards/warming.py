"""Warm the cache before people come: after a save, when results get old, by schedule, and by hand."""

from __future__ import annotations

from shared.dashboards import indexing, store
from shared.dashboards.compiling import filters
from shared.dashboards.compiling.filters import Clock
from shared.dashboards.flow import WarmDashboard
from shared.dashboards.results.refreshing import choices_hash
from shared.dashboards.results.settling import settle_all
from shared.dashboards.results.sources import Source, source_of
from shared.dashboards.store import Head
from shared.dashboards.views import Warmed
from shared.platform import clock
from shared.platform.background import ledger, outbox
from shared.platform.errors import BridgeError, Unavailable
from shared.platform.ids import TeamId
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry

MOST_DUE = 200
SPREAD_SECONDS = 2.0
STEP_PATIENCE_SECONDS = 240.0
RETRY_AFTER_SECONDS = 5.0


def precompute(team: TeamId, head: Head, *, patience: float) -> Warmed:
    """Compute what is missing or no longer fresh for the default choices."""
    source = source_of(team, head)
    return _warm(source, head["timezone"], {}, patience=patience, computed_before=0.001)[0]


def purge(team: TeamId, id: str) -> None:
    """Make every cached result unreachable, on all instances at once."""
    with pool.transaction(team) as tx:
        store.next_epoch(tx, team, id)


def warm(step: WarmDashboard) -> None:
    """Bring one dashboard's results up to date; a version that is gone needs nothing."""
    team = TeamId(step.team)
    with pool.transaction(team) as tx:
        head = next(iter(store.heads(tx, step.slug, team)), None)
    if head is None or head["version"] != step.version or head["id"] != step.dashboard:
        telemetry.log("the version to warm is gone", slug=step.slug)
        return
    source = source_of(team, head)
    done, pause = _warm(
        source,
        head["timezone"],
        step.filters,
        patience=STEP_PATIENCE_SECONDS,
        computed_before=step.computed_before or 0.001,
    )
    unlucky = [error for error in done.errors if error["retryable"]]
    if unlucky:
        # As long as the longest pause that any of them asks for: a circuit that is open stays so until then.
        raise Unavailable(unlucky[0]["message"], retry_after=pause or RETRY_AFTER_SECONDS)
    with ledger.finishing(team) as tx:
        if not step.filters:
            store.set_warmed(tx, team, head["id"], indexing.next_warm(source.prepared.document, clock.now()))


def warm_due() -> int:
    """Queue a warming for every dashboard whose time has come, spread over the minutes to come."""
    with ledger.finishing(None) as tx:
        due = store.claim_due(tx, MOST_DUE)
        for place, row in enumerate(due):
            outbox.send(
                tx,
                WarmDashboard(
                    team=row["team_id"],
                    dashboard=row["dashboard_id"],
                    slug=row["slug"],
                    version=row["version"],
                    occasion=f"due {clock.iso(row['due_at'])}",
                    computed_before=row["due_at"].timestamp(),
                ),
                delay_seconds=place * SPREAD_SECONDS,
            )
    return len(due)


def warming_failed(step: WarmDashboard, error: BridgeError) -> None:
    """No further attempt: readers compute it themselves, and the next due time tries again."""
    telemetry.log("a dashboard was not warmed", "WARNING", slug=step.slug, code=error.code)


def _warm(
    source: Source,
    timezone: str,
    given: dict[str, list[str]],
    *,
    patience: float,
    computed_before: float,
) -> tuple[Warmed, float | None]:
    """What was done, and how long what failed asks to be left alone."""
    started = clock.monotonic()
    at = Clock.at(clock.now(), timezone)
    values = filters.read(source.prepared.document, given, at)
    plan = source.plan(values, at)
    with telemetry.span("precompute.run", dashboard_slug=source.slug):
        settled = settle_all(source, plan, patience=patience, computed_before=computed_before)
    refused = [
        {"query": id, "code": error.code, "message": error.message, "retryable": False}
        for id, error in plan.failed.items()
    ]
    failed = [
        {"query": id} | problem
        for id, done in settled.items()
        if (problem := done.failure or done.entry.error) is not None
    ]
    pause = max((done.retry_after for done in settled.values() if done.retry_after), default=None)
    warmed = Warmed(
        success=not refused and not failed,
        queries_executed=sum(not done.cached for done in settled.values()),
        cache_hits=sum(done.cached and not done.entry.error for done in settled.values()),
        errors=refused + failed,
        cache_key=(
            f"dash:{source.team}:{source.slug}:v:{source.version}.{source.epoch}:f:{choices_hash(given)}"
        ),
        duration_ms=round((clock.monotonic() - started) * 1000, 1),
    )
    return warmed, pause
