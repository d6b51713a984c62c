"""The user-visible record of background work: state, progress, errors, result.

A job's children land in any order and more than once; the counter on the job's own row decides who is
the last one (counting child rows would let the two last ones both miss, or both win).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from shared.platform import pg, sql
from shared.platform.clock import iso
from shared.platform.limits import budgets

Q = sql.load(__file__)


class Progress(BaseModel):
    """How far a job is, in children."""

    done: int
    total: int
    failed: int


class JobView(BaseModel):
    """A job as it is answered."""

    job_id: str
    kind: str
    state: str
    progress: Progress
    errors: list[Any]
    warnings: list[Any]
    result: Any | None
    created_at: str | None
    started_at: str | None
    finished_at: str | None


class JobAccepted(BaseModel):
    """The answer of an endpoint that starts background work."""

    job_id: str
    state: str = "queued"


def open_job(
    tx: pg.Tx, *, id: str, team: str, kind: str, user: str | None, total: int = 0, subject: str | None = None
) -> None:
    """Record the job; a repetition with the same id changes nothing."""
    tx.run(Q.open_job, id=id, team=team, kind=kind, total=total, subject=subject, user=user)


def running(tx: pg.Tx, *, team: str, kind: str, subject: str) -> str | None:
    """The id of an unfinished job of this kind on this subject."""
    row = tx.find(Q.find_running_job, team=team, kind=kind, subject=subject)
    return str(row["id"]) if row else None


def start(tx: pg.Tx, *, id: str, team: str) -> None:
    """Mark the job running; later calls change nothing."""
    tx.run(Q.start_job, id=id, team=team)


def expect(tx: pg.Tx, *, id: str, team: str, total: int) -> None:
    """Set how many children will land."""
    tx.run(Q.expect_children, id=id, team=team, total=total)


def land(tx: pg.Tx, *, job: str, team: str, key: str, error: dict[str, Any] | None = None) -> bool:
    """Count one child; True exactly once, for the landing that completes the set."""
    row = tx.find(Q.land_child, job=job, team=team, key=key, error=error)
    return row is not None and int(row["landed"]) == int(row["total"])


def finish(
    tx: pg.Tx,
    *,
    id: str,
    team: str,
    result: Any | None = None,
    error: dict[str, Any] | None = None,
    warnings: list[dict[str, Any]] | None = None,
) -> bool:
    """End the job and what it holds of the team's quotas, once; False when it had ended before."""
    wrapped = None if result is None else result
    ended = (
        tx.find(Q.finish_job, id=id, team=team, result=wrapped, error=error, warnings=warnings) is not None
    )
    if ended:
        budgets.end_all(tx, team, id)
    return ended


def get(tx: pg.Tx, id: str) -> JobView:
    """The job, among the teams of the transaction; raises NotFound."""
    row = tx.one(Q.find_job, id=id)
    return JobView(
        job_id=row["id"],
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
