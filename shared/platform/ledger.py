"""Attempts at steps: who is on it, until when, and whether it is done.

Queues deliver at least once, at the same time, and after the worker that had the message died. An
attempt is claimed with a fresh owner token and a lease; finishing and releasing name the owner:

    attempt A: claim ─ beat ─ beat ─ stalls ─────────────── finish → 0 rows → LostLease, rolled back
    attempt B:                  lease ends, claim ── works ── finish → 1 row, committed

A lease is short and kept by beats while the worker works, so the step of a worker that died is free after
LEASE_SECONDS and not after the longest time that the step may take; by then a queue would have used its
attempts up. Beats end with the step's deadline: nobody holds a step for longer than it may run.

The transaction that holds a step's effects is the one that finishes the attempt, so either both are
there or neither: `with finishing(team) as tx`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from shared.platform import pg, sql
from shared.platform.beat import beating
from shared.platform.errors import StillRunning, Unavailable
from shared.platform.ids import new_id

Q = sql.load(__file__)

LEASE_SECONDS = 30
BEAT_SECONDS = 8.0


class LostLease(Unavailable):
    """Another attempt took this step over while this one stalled."""

    code = "LEASE_LOST"


@dataclass
class Attempt:
    """One claimed run of one step."""

    step: str
    key: str
    tries: int
    owner: str = field(default_factory=new_id)
    finished: bool = False


_current: ContextVar[Attempt | None] = ContextVar("bridge_attempt", default=None)


def claim(step: str, key: str, lease_seconds: int) -> Attempt | None:
    """Take the step; None when it is already done. Raises StillRunning while another holds it."""
    owner = new_id()
    with pg.transaction() as tx:
        row = tx.find(Q.claim_attempt, step=step, key=key, owner=owner, lease=lease_seconds)
        if row is None:
            state = tx.one(Q.attempt_state, step=step, key=key)
            if state["state"] in ("done", "dead"):
                return None
            raise StillRunning(retry_after=min(30.0, max(1.0, float(state["remaining"]))))
    return Attempt(step, key, tries=int(row["tries"]), owner=owner)


@contextmanager
def working_on(attempt: Attempt) -> Iterator[None]:
    """Make the attempt the one that `finishing` finishes."""
    token = _current.set(attempt)
    try:
        yield
    finally:
        _current.reset(token)


def keeping(attempt: Attempt, seconds: float) -> AbstractContextManager[None]:
    """Beat for the attempt inside the block, for at most this long."""
    return beating(lambda: _renew(attempt), every=BEAT_SECONDS, at_most=seconds, what=f"step {attempt.step}")


def _renew(attempt: Attempt) -> bool:
    with pg.transaction() as tx:
        renewed = tx.run(
            Q.renew_attempt, step=attempt.step, key=attempt.key, owner=attempt.owner, lease=LEASE_SECONDS
        )
    return renewed == 1


@contextmanager
def finishing(team: str | Iterable[str] | None) -> Iterator[pg.Tx]:
    """A transaction whose commit also finishes the current attempt, or fails with LostLease.

    Outside a step (the same service called by an endpoint) it is a plain transaction.
    """
    attempt = _current.get()
    with pg.transaction(team) as tx:
        yield tx
        if attempt is not None and not attempt.finished:
            finish(tx, attempt)
    if attempt is not None:
        attempt.finished = True


def finish(tx: pg.Tx, attempt: Attempt) -> None:
    """Mark the attempt done in the caller's transaction."""
    if tx.run(Q.finish_attempt, step=attempt.step, key=attempt.key, owner=attempt.owner) == 0:
        raise LostLease


def release(attempt: Attempt) -> None:
    """Give the step back at once, so that the queue's next delivery need not wait for the lease."""
    with pg.transaction() as tx:
        tx.run(Q.release_attempt, step=attempt.step, key=attempt.key, owner=attempt.owner)


def bury(attempt: Attempt, payload: object, code: str, message: str) -> bool:
    """Close the step for good and keep a dead letter. False when another owner has it now."""
    with pg.transaction() as tx:
        if tx.run(Q.bury_attempt, step=attempt.step, key=attempt.key, owner=attempt.owner) == 0:
            return False
        tx.run(
            Q.keep_dead_letter,
            id=new_id(),
            step=attempt.step,
            key=attempt.key,
            payload={"message": payload},
            code=code,
            message=message[:2000],
        )
    attempt.finished = True
    return True
