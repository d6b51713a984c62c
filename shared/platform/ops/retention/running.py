"""Remove rows that are older than they are kept. What is kept for how long, the rooms declare (`declared.py`).

`make manifest` gathers their rules and statements into the file beside this module: this step knows no room.
Rows go in batches, each in a transaction of its own, so a run that is cut short has done a part of its work
and the next one goes on. What two runs remove at once is divided between them (SKIP LOCKED).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from shared.platform import clock
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry

BATCH = 1_000


@dataclass(frozen=True)
class Rule:
    """What is removed, how many days after which moment, and by which statement."""

    name: str
    days: int
    statement: str


RULES = tuple(
    Rule(rule["name"], rule["days"], "\n".join(rule["statement"]))
    for rule in json.loads(Path(__file__).with_name("rules.json").read_bytes())
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
