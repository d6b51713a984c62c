"""What protection costs: a step its ledger, fan-in and outbox, a request its rate limits; beside an empty transaction.

In one process against the real Postgres and the local Cloud Tasks, each operation in turn, so that a noisy
moment touches all rows alike. The worker that was asked for (`python -m tests.bench.step_costs`) reads the stack's
environment and prints its samples.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from tests.bench.ground import ROOT, Ground, Options, clean_environment
from tests.bench.report import Table, spread

EMPTY = "a transaction with nothing in it (base)"
CHILDREN = 200


def run(ground: Ground, options: Options) -> list[Table]:
    """Milliseconds of each operation, and the ratio to an empty transaction."""
    rounds = options.pick(400, 20)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.step_costs", str(rounds), ground.stack.team_id],
        cwd=ROOT,
        env=clean_environment({**ground.stack.env, "PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the worker ended with {done.returncode}:\n{done.stderr[-2000:]}")
    samples: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    table = Table(
        f"What a step pays for being done once ({rounds} of each, in turn)",
        ("operation", "p50 ms", "p95 ms", "p99 ms", "largest ms", "x base (p50)"),
    )
    base = spread(samples[EMPTY])[0]
    for name, taken in samples.items():
        p50, p95, p99, most = spread(taken)
        table.add(name, p50, p95, p99, most, round(p50 / base, 1))
    table.notes = [
        "One thread, one connection, prepared statements warm; the local Postgres does not flush to disk (fsync off), which a real one does at each commit."
    ]
    return [table]


def _operations(team: str) -> dict[str, Callable[[], None]]:
    from shared.agents.flow import ResumeTurn
    from shared.platform.background import jobs, ledger, outbox
    from shared.platform.ids import TeamId, new_id
    from shared.platform.limits import rates
    from shared.platform.postgres import pool

    job = new_id()
    with pool.transaction(team) as tx:
        jobs.open_job(tx, id=job, team=team, kind="bench", user=None, total=1_000_000)

    def nothing() -> None:
        with pool.transaction(team):
            pass

    def claim_and_finish() -> None:
        attempt = ledger.claim("bench", new_id(), ledger.TERMS.seconds)
        assert attempt is not None
        with ledger.working_on(attempt), ledger.finishing(team):
            pass

    def promise() -> None:
        # Not due for an hour: the hand-over happens beside the caller, as for any message that can wait.
        with pool.transaction(team) as tx:
            outbox.send(tx, _message(), delay_seconds=3600)

    def promise_and_hand_over() -> None:
        with pool.transaction(team) as tx:
            outbox.send(tx, _message(), delay_seconds=outbox.PATIENT_SECONDS - 0.1)

    def land() -> None:
        with pool.transaction(team) as tx:
            jobs.land(tx, job=job, team=team, key=new_id())

    def two_limits() -> None:
        rates.spend("rate_read", f"user:{job}", most=16_000_000)
        rates.spend("rate_team_read", f"team:{team}", most=16_000_000)

    def _message() -> ResumeTurn:
        return ResumeTurn(team=TeamId(team), turn=new_id())

    return {
        EMPTY: nothing,
        "claim a step and finish it": claim_and_finish,
        "land a child on its job": land,
        "promise a message": promise,
        "promise a message and hand it to Cloud Tasks": promise_and_hand_over,
        "let a request through two rate limits": two_limits,
    }


def _main(rounds: int, team: str) -> int:
    operations = _operations(team)
    for _ in range(5):
        for operate in operations.values():
            operate()
    samples: dict[str, list[float]] = {name: [] for name in operations}
    for _ in range(rounds):
        for name, operate in operations.items():
            begun = time.perf_counter()
            operate()
            samples[name].append((time.perf_counter() - begun) * 1000)
    print(json.dumps(samples))
    return 0


if __name__ == "__main__":
    arguments: list[Any] = sys.argv[1:]
    uuid.UUID(arguments[1])
    sys.exit(_main(int(arguments[0]), arguments[1]))
