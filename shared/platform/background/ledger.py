"""Attempts at steps: who is on it, until when, and whether it is done.

Queues deliver at least once, at the same time, and after the worker that had the message died. An
attempt is claimed with a fresh owner token and a lease; finishing and releasing name the owner:

    attempt A: claim ─ renew ─ renew ─ stalls ─────────────── finish → 0 rows → LostLease, rolled back
    attempt B:                  lease ends, claim ── works ── finish → 1 row, committed

A lease is short and kept by a heartbeat while the worker works, so the step of a worker that died is free after
half a minute and not after the longest time that the step may take; by then a queue would have used its
attempts up. The heartbeat ends with the step's deadline: nobody holds a step for longer than it may run.

The transaction that holds a step's effects is the one that finishes the attempt, so either both are
there or neither: `with finishing(team) as tx`.

A step may be part of a job (`part_of`). Where somebody cancelled the job, its steps stop: at their
beginning, at a heartbeat while they work, and at the latest in the transaction that would keep their effects,
which holds the job's row and so comes either before the cancel or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from shared.platform.background.messages import Part
from shared.platform.errors import BridgeError, Conflict, StillRunning, Unavailable
from shared.platform.ids import new_id
from shared.platform.leases.contract import Lease, Terms
from shared.platform.leases.heartbeat import Heartbeat
from shared.platform.leases.postgres import Rows
from shared.platform.leases.stopping import Stop, stoppable
from shared.platform.limits import budgets
from shared.platform.postgres import pool, sql
from shared.platform.telemetry import context as telemetry

Q = sql.load(__file__)

TERMS = Terms(seconds=30.0, heartbeat=8.0, at_most=900.0)
ROWS = Rows(take=Q.claim_attempt, renew=Q.renew_attempt, release=Q.release_attempt, left=Q.attempt_state)


class LostLease(Unavailable):
    """Another attempt took this step over while this one stalled."""

    code = "LEASE_LOST"


class JobCancelled(Conflict):
    """The job was cancelled; its steps do nothing more."""

    code = "JOB_CANCELLED"


class StepLost(BridgeError):
    """A step of this work was sent several times and never came to an end; start the work again."""

    code, retryable = "STEP_LOST", False


@dataclass
class Attempt:
    """One claimed run of one step."""

    step: str
    key: str
    tries: int
    lease: Lease
    finished: bool = False
    part: Part | None = None
    unwanted: bool = False
    stop: Stop = field(default_factory=Stop)

    @property
    def owner(self) -> str:
        """The token that every change of the attempt names."""
        return self.lease.owner

    @property
    def at(self) -> dict[str, str]:
        """What names its row."""
        return {"step": self.step, "key": self.key}


_current: ContextVar[Attempt | None] = ContextVar("bridge_attempt", default=None)


def claim(
    step: str, key: str, lease_seconds: float, *, message: str | None = None, part: Part | None = None
) -> Attempt | None:
    """Take the step; None when it is already done. Raises StillRunning while another holds it.

    `message` is the row of the outbox that the delivery came from: it learns which attempt it led to. `part`
    is the job that the step works for; an attempt that it does not want any more is `unwanted`.
    """
    unwanted = False
    with pool.transaction(part.team if part else None) as tx:
        lease = ROWS.take(tx, lease_seconds, step=step, key=key, message=message)
        if lease is None:
            state = tx.one(Q.attempt_state, step=step, key=key)
            if state["state"] in ("done", "dead"):
                return None
            raise StillRunning(retry_after=min(30.0, max(1.0, float(state["left"]))))
        if part is not None:
            unwanted = _join(tx, step, key, lease.owner, part)
    return Attempt(step, key, tries=int(lease.row["tries"]), lease=lease, part=part, unwanted=unwanted)


@contextmanager
def working_on(attempt: Attempt) -> Iterator[None]:
    """Make the attempt the one that `finishing` finishes."""
    token = _current.set(attempt)
    try:
        with stoppable(attempt.stop):
            yield
    finally:
        _current.reset(token)


@contextmanager
def apart() -> Iterator[None]:
    """Work that is not the current attempt's effect: what is finished inside does not finish the attempt."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def part_of(part: Part) -> None:
    """Say which job the current attempt works for; raises JobCancelled where there is nothing more to do.

    Outside a step it says nothing.
    """
    attempt = _current.get()
    if attempt is None:
        return
    attempt.part = part
    with pool.transaction(part.team) as tx:
        if _join(tx, attempt.step, attempt.key, attempt.owner, part):
            raise JobCancelled


def _join(tx: pool.Tx, step: str, key: str, owner: str, part: Part) -> bool:
    """Note whose work the attempt is; True where that work was cancelled."""
    row = tx.find(
        Q.join_job,
        step=step,
        key=key,
        owner=owner,
        job=part.job,
        team=part.team,
        holds=budgets.JOB_SECONDS,
    )
    return row is not None and row["state"] == "cancelled"


def is_cancelled(attempt: Attempt) -> bool:
    """Whether the job that the attempt works for was cancelled."""
    part = attempt.part
    if part is None:
        return False
    with pool.transaction(part.team) as tx:
        row = tx.find(Q.job_state, job=part.job, team=part.team)
    return row is not None and row["state"] == "cancelled"


def keeping(attempt: Attempt, seconds: float) -> Heartbeat:
    """Keep the attempt inside the block, for at most this long."""
    return Heartbeat(lambda: _renew(attempt), TERMS.lasting(seconds), f"step {attempt.step}")


def _renew(attempt: Attempt) -> bool:
    with pool.transaction() as tx:
        renewed = ROWS.renew(tx, attempt.lease, TERMS.seconds, **attempt.at)
    if is_cancelled(attempt):
        attempt.stop.request()
    return renewed


def confirm(attempt: Attempt) -> None:
    """Begin the lease anew; raises LostLease where another has the step now."""
    if not _renew(attempt):
        raise LostLease


@contextmanager
def finishing(team: str | Iterable[str] | None) -> Iterator[pool.Tx]:
    """A transaction whose commit also finishes the current attempt, or fails with LostLease.

    Outside a step (the same service called by an endpoint) it is a plain transaction.
    """
    attempt = _current.get()
    if team is None and attempt is not None and attempt.part is not None:
        team = attempt.part.team
    with pool.transaction(team) as tx:
        yield tx
        if attempt is not None and not attempt.finished:
            finish(tx, attempt)
    if attempt is not None:
        attempt.finished = True


def finish(tx: pool.Tx, attempt: Attempt) -> None:
    """Mark the attempt done in the caller's transaction. Raises LostLease or JobCancelled, and nothing stays."""
    if attempt.part is not None:
        held = tx.find(Q.hold_job, job=attempt.part.job, team=attempt.part.team)
        if held is not None and held["state"] == "cancelled":
            raise JobCancelled
    if tx.run(Q.finish_attempt, step=attempt.step, key=attempt.key, owner=attempt.owner) == 0:
        raise LostLease


def settle(attempt: Attempt) -> None:
    """End the attempt of a cancelled job: it is over, and has no effect and no dead letter."""
    with pool.transaction() as tx:
        if tx.run(Q.finish_attempt, step=attempt.step, key=attempt.key, owner=attempt.owner) == 0:
            raise LostLease
    attempt.finished = True


def release(attempt: Attempt) -> None:
    """Give the step back at once, so that the queue's next delivery need not wait for the lease."""
    with pool.transaction() as tx:
        ROWS.release(tx, attempt.lease, **attempt.at)


def settle_message(tx: pool.Tx, id: str) -> None:
    """Note that nothing more is to become of a message of the outbox."""
    tx.run(Q.settle_message, id=id)


@dataclass(frozen=True)
class Letter:
    """What a dead letter keeps: enough to see what happened and to send the step again."""

    step: str
    key: str
    kind: str
    queue: str
    payload: Any
    code: str
    message: str
    part: Part | None = None
    trace_id: str = ""


def bury(attempt: Attempt, letter: Letter) -> bool:
    """Close the step for good and keep a dead letter. False when another owner has it now."""
    with pool.transaction() as tx:
        if tx.run(Q.bury_attempt, step=attempt.step, key=attempt.key, owner=attempt.owner) == 0:
            return False
        keep_letter(tx, letter)
    attempt.finished = True
    return True


def keep_letter(tx: pool.Tx, letter: Letter, *, id: str | None = None) -> str:
    """Keep a dead letter in the caller's transaction; answers its id. The same id again keeps no other."""
    id, part = id or new_id(), letter.part
    tx.run(
        Q.keep_dead_letter,
        id=id,
        step=letter.step,
        key=letter.key,
        kind=letter.kind,
        queue=letter.queue,
        payload=letter.payload,
        code=letter.code,
        message=letter.message[:2000],
        trace_id=letter.trace_id or telemetry.context().trace_id,
        job_team=part.team if part else None,
        job_id=part.job if part else None,
        job_child=part.child if part else None,
    )
    return id
