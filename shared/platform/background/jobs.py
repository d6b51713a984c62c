"""The user-visible record of background work: state, progress, errors, result.

A job's children land in any order and more than once; the counter on the job's own row decides who is
the last one (counting child rows would let the two last ones both miss, or both win).

    queued ─► running ─► completed | completed_with_errors | failed ─┐
                │   ▲                                               │ an administrator replays a dead step
                │   └───────────────── next round ──────────────────┘
                └─► cancelled (for good)
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.platform import audit, clock
from shared.platform.clock import iso
from shared.platform.edge.call import Call
from shared.platform.errors import BridgeError, Conflict
from shared.platform.ids import TeamId, UserId
from shared.platform.limits import budgets
from shared.platform.paging import Page, cut
from shared.platform.postgres import pool, sql
from shared.platform.telemetry import recording

Q = sql.load(__file__)


State = Literal["queued", "running", "completed", "completed_with_errors", "failed", "cancelled"]


class JobEnded(Conflict):
    """The job has ended already; there is nothing left to cancel."""

    code = "JOB_ENDED"


class JobStalled(BridgeError):
    """No step of this work is on its way any more, and it has not ended; start it again."""

    code, retryable = "JOB_STALLED", False


class Progress(BaseModel):
    """How far a job is, in children."""

    done: int
    total: int
    failed: int


class JobView(BaseModel):
    """A job as it is answered."""

    job_id: str
    team_id: str
    kind: str
    state: State
    progress: Progress
    errors: list[Any]
    warnings: list[Any]
    result: Any | None
    created_at: str | None
    started_at: str | None
    finished_at: str | None


class JobPage(Page):
    """Which jobs of a team to list."""

    team_id: str | None = Field(default=None, description="Needed by members of several teams.")
    state: State | None = Field(default=None, description="Only jobs in this state.")
    kind: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_]{0,59}$",
        description="Only jobs of this kind, as `catalog_scan`.",
    )


class Jobs(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobView]
    has_more: bool
    next_cursor: str | None


class JobAccepted(BaseModel):
    """The answer of an endpoint that starts background work."""

    job_id: str
    state: str = "queued"


def open_job(
    tx: pool.Tx,
    *,
    id: str,
    team: str,
    kind: str,
    user: str | None,
    total: int = 0,
    subject: str | None = None,
) -> bool:
    """Record the job; False, and nothing changed, for a repetition with the same id."""
    return tx.run(Q.open_job, id=id, team=team, kind=kind, total=total, subject=subject, user=user) > 0


def running(tx: pool.Tx, *, team: str, kind: str, subject: str) -> str | None:
    """The id of an unfinished job of this kind on this subject."""
    row = tx.find(Q.find_running_job, team=team, kind=kind, subject=subject)
    return str(row["id"]) if row else None


def start(tx: pool.Tx, *, id: str, team: str) -> None:
    """Mark the job running; later calls change nothing."""
    tx.run(Q.start_job, id=id, team=team)


def expect(tx: pool.Tx, *, id: str, team: str, total: int) -> None:
    """Set how many children will land."""
    tx.run(Q.expect_children, id=id, team=team, total=total)


def land(tx: pool.Tx, *, job: str, team: str, key: str, error: dict[str, Any] | None = None) -> bool:
    """Count one child; True exactly once, for the landing that completes the set."""
    row = tx.find(Q.land_child, job=job, team=team, key=key, error=error)
    return row is not None and int(row["landed"]) == int(row["total"])


def finish(
    tx: pool.Tx,
    *,
    id: str,
    team: str,
    result: Any | None = None,
    error: dict[str, Any] | None = None,
    warnings: list[dict[str, Any]] | None = None,
) -> bool:
    """End the job and what it holds of the team's quotas, once; False when it had ended before."""
    wrapped = None if result is None else result
    ended = tx.find(Q.finish_job, id=id, team=team, result=wrapped, error=error, warnings=warnings)
    if ended is None:
        return False
    budgets.end_all(tx, team, id)
    told = {"kind": ended["kind"], "state": ended["state"]}
    tx.after_commit(lambda: recording.measure("bridge.job.duration", ended["duration_ms"], **told))
    return True


def get(tx: pool.Tx, id: str) -> JobView:
    """The job, among the teams of the transaction; raises NotFound."""
    return _view(tx.one(Q.find_job, id=id))


def round_of(tx: pool.Tx, *, id: str, team: str) -> int:
    """How often the job was let go on: a part of the key of the step that ends it. Holds the job's row."""
    row = tx.find(Q.job_round, id=id, team=team)
    return int(row["rounds"]) if row else 0


def reopen(tx: pool.Tx, *, id: str, team: str, child: str | None, step: str) -> bool:
    """Let the job go on, because a dead step of it is replayed; False when it was cancelled.

    A child that had failed is expected again, and its complaint is taken back. Users see the job run, with
    a warning that says why.
    """
    note = {"code": "REPLAYED", "message": f"The step {step} is tried again.", "at": iso(clock.now())}
    return tx.find(Q.reopen_job, id=id, team=team, child=child, note=note) is not None


def team_of(call: Call) -> TeamId:
    """The team of the job in the path, among the caller's; raises NotFound."""
    with pool.transaction(call.teams) as tx:
        return TeamId(get(tx, call.path["job_id"]).team_id)


def list_page(team: TeamId, page: JobPage) -> Jobs:
    """A page of the team's jobs, newest first."""
    at, id = page.after("instant", "id")
    with pool.transaction(team) as tx:
        rows = tx.all(
            Q.list_jobs,
            team=team,
            state=page.state,
            kind=page.kind,
            after_at=at,
            after_id=id,
            limit=page.limit + 1,
            offset=page.offset,
        )
    shown, paging = cut(rows, page.limit, "created_at", "id")
    return Jobs(jobs=[_view(row) for row in shown], **paging)


def cancel(team: TeamId, id: str, *, user: UserId) -> JobView:
    """End the job as cancelled. Its steps find out and stop; a repetition answers the same.

    Raises NotFound, and JobEnded for a job that has ended in another way.
    """
    with pool.transaction(team) as tx:
        if tx.find(Q.cancel_job, id=id, team=team) is not None:
            audit.write(tx, team=team, actor=user, action="job.cancelled", target=id)
            budgets.end_all(tx, team, id)
        view = get(tx, id)
    if view.state != "cancelled":
        raise JobEnded(f"The job has ended already: it is {view.state}.", reason=view.state)
    return view


def _view(row: pool.Row) -> JobView:
    return JobView(
        job_id=row["id"],
        team_id=row["team_id"],
        kind=row["kind"],
        state=row["state"],
        progress=Progress(done=row["done"], total=row["total"], failed=row["failed"]),
        errors=row["errors"],
        warnings=row["warnings"],
        result=row["result"],
        created_at=iso(row["created_at"]),
        started_at=iso(row["started_at"]),
        finished_at=iso(row["finished_at"]),
    )
