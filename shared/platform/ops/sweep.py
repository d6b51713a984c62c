"""Walk through a bucket in name order, a bounded piece at each tick, and begin anew at its end.

    tick 1  a ─────► m        the cursor is a row: the next tick goes on where this one stopped, also
    tick 2           m ──► z  when it died in the middle of its work
    tick 3  a ─────► …

A visitor is given the objects of a range of names and the range itself, so that it can look for rows
without an object, too. It may be given the same range twice and must not mind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.platform import clock
from shared.platform.background import outbox
from shared.platform.background.messages import Part
from shared.platform.cloud import objects as object_store
from shared.platform.cloud.objects import Stored
from shared.platform.errors import PreconditionFailed
from shared.platform.postgres import pool, sql
from shared.platform.telemetry import context as telemetry

Q = sql.load(__file__)

BATCH = 500
MOST_OBJECTS = 10_000
MOST_CHANGES = 200
SECONDS = 150.0
GRACE_SECONDS = 600.0
"""What is younger than this may be in somebody's hands: a save, an event on its way."""


@dataclass(frozen=True)
class Stretch:
    """The objects whose names come after one and up to another; the last stretch has no end."""

    objects: list[Stored]
    after: str
    upto: str | None


def sweep(name: str, role: str, visit: Callable[[Stretch], Counter[str]]) -> Counter[str]:
    """Visit the next stretches of a bucket; what the visitor did is counted, `changed` bounds the run."""
    with pool.transaction() as tx:
        began = str(tx.one(Q.read_sweep, name=name)["cursor"])
    end, cursor, total, ended = clock.monotonic() + SECONDS, began, Counter[str](), False
    while not ended and total["objects"] < MOST_OBJECTS and total["changed"] < MOST_CHANGES:
        if clock.monotonic() > end:
            break
        objects = object_store.page(role, after=cursor, limit=BATCH)
        ended = len(objects) < BATCH
        total += Counter(objects=len(objects))
        total += visit(Stretch(objects, cursor, None if ended else objects[-1].name))
        following = "" if ended else objects[-1].name
        with pool.transaction() as tx:
            tx.run(Q.move_sweep, name=name, **{"from": cursor, "to": following})
        cursor = following
    telemetry.log(
        "swept a bucket", "WARNING" if total["changed"] else "INFO", sweep=name, ended=ended, **total
    )
    return total


def is_settled(stored: Stored, seconds: float | None = None) -> bool:
    """Whether an object is old enough that nobody is still at work on it."""
    age = timedelta(seconds=GRACE_SECONDS if seconds is None else seconds)
    return stored.written_at is not None and stored.written_at < clock.now() - age


def remove(role: str, stored: Stored) -> bool:
    """Remove just this generation of an object; False when it is gone or was replaced."""
    try:
        return object_store.delete(role, stored.name, if_generation=stored.generation)
    except PreconditionFailed:
        return False


def event_of(stored: Stored) -> dict[str, Any]:
    """The finalize event of an object, as its bucket told it once."""
    return {
        "bucket": stored.bucket,
        "name": stored.name,
        "generation": str(stored.generation),
        "size": str(stored.size),
    }


def tell_again(
    step: str,
    found: list[Stored],
    *,
    although_done: bool = False,
    part_of: Callable[[Stored], Part | None] = lambda _stored: None,
) -> Counter[str]:
    """Send the finalize events that their step has not handled, as messages of our own.

    The ledger decides: what is being worked on, or on its way already, is left alone, and what died waits
    for an administrator. `although_done`: the directory shows that the step's effect is not there, so an
    attempt that says it is done may work again. `part_of` finds the job of an object, where it has one.
    """
    counts: Counter[str] = Counter()
    keys = [outbox.event_key(event_of(stored)) for stored in found]
    if not keys:
        return counts
    with pool.transaction() as tx:
        attempts = {
            row["key"]: row for row in tx.all(Q.attempts_of_events, step=step, keys=keys, quiet=GRACE_SECONDS)
        }
        coming = {row["key"] for row in tx.all(Q.events_on_their_way, step=step, keys=keys)}
    for stored, key in zip(found, keys, strict=True):
        attempt = attempts.get(key)
        state = attempt["state"] if attempt else None
        if state == "dead" or (state == "done" and not although_done):
            counts[state] += 1
        elif key in coming or (attempt and state in ("running", "released") and attempt["alive"]):
            counts["under_way"] += 1
        else:
            part = part_of(stored)
            with pool.transaction() as tx:
                if state == "done":
                    tx.run(Q.reopen_done_attempt, step=step, key=key)
                outbox.send_event(tx, step, event_of(stored), part=part)
            counts["changed"] += 1
    return counts
