"""How long the platform's own rows are kept: the one place. docs/operations.md shows this table.

Rows go in batches, each in a transaction of its own, so a run that is cut short has done a part of its work
and the next one goes on. What two runs remove at once is divided between them (SKIP LOCKED).
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.platform import clock
from shared.platform.postgres import pool, sql
from shared.platform.telemetry import context as telemetry

Q = sql.load(__file__)

BATCH = 1_000


@dataclass(frozen=True)
class Rule:
    """What is removed, and how many days after which moment."""

    name: str
    days: int
    after: str
    why: str
    statement: str


RULES = (
    Rule(
        "attempts",
        35,
        "their end",
        "Cloud Tasks may deliver a task up to 31 days after it was made; until then its attempt says that it is done.",
        Q.purge_attempts,
    ),
    Rule("messages", 7, "their step ended", "To see what was sent and when, after the fact.", Q.purge_outbox),
    Rule("idempotency keys", 1, "their first request", "Promised to clients.", Q.purge_idempotency_keys),
    Rule("dead letters", 90, "they died", "Until then they can be seen and replayed.", Q.purge_dead_letters),
    Rule(
        "browser sessions",
        7,
        "they expired or were revoked",
        "To tell an expired session from an unknown one while somebody asks.",
        Q.purge_auth_sessions,
    ),
    Rule(
        "children of jobs",
        35,
        "the job's end",
        "As long as a late delivery could land a child a second time.",
        Q.purge_job_children,
    ),
    Rule(
        "journals of turns",
        1,
        "the turn's end",
        "A turn that ends in order drops its own; this is for those that were closed as abandoned.",
        Q.purge_turn_journal,
    ),
    Rule(
        "reservations",
        35,
        "they ended",
        "As long as a late delivery could reserve a second time for what was paid.",
        Q.purge_reservations,
    ),
    Rule(
        "counters of spending",
        400,
        "their last change",
        "To compare a month with the same one a year ago; a conversation's budget lasts as long.",
        Q.purge_spend_counters,
    ),
)


def run(*, seconds: float) -> dict[str, int]:
    """Remove what is too old, for at most so many seconds; answers how much of each."""
    end = clock.monotonic() + seconds
    removed = {rule.name: _apply(rule, end) for rule in RULES}
    telemetry.log(
        "removed what is too old",
        "INFO",
        **{name.replace(" ", "_"): count for name, count in removed.items()},
    )
    return removed


def _apply(rule: Rule, end: float) -> int:
    total = 0
    while clock.monotonic() < end:
        with pool.transaction() as tx:
            count = int(tx.one(rule.statement, days=rule.days, batch=BATCH)["removed"])
        total += count
        if count < BATCH:
            break
    return total
