"""What each server of the laptop computes until it serves, beside a Python that imports what it speaks with.

In processor time, which a busy machine leaves nearly as it is; the first start of each, which may compile, is not
counted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench import process
from tests.bench.ground import ROOT, Options
from tests.bench.report import Table, median
from tests.local.test_servers import KINDS, Kind, Running

BASE = "python -c 'import grpc' (base)"


def run(options: Options) -> list[Table]:
    """Milliseconds of processor time of each start, and the ratio to the base of the same run."""
    rounds = options.pick(5, 2)
    table = Table(
        f"Processor time until a server serves ({rounds} starts each)",
        ("server", "p50 ms", "largest ms", "x base (p50)"),
    )
    taken = {BASE: [_bare() for _ in range(rounds)]} | {str(kind): _starts(kind, rounds) for kind in KINDS}
    for name, samples in taken.items():
        table.add(name, median(samples), max(samples), round(median(samples) / median(taken[BASE]), 1))
    return [table]


def _bare() -> float:
    code = "import grpc, sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        return process.cpu_ms(process.family(child.pid))


def _starts(kind: Kind, rounds: int) -> list[float]:
    found = []
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as folder:
        for _ in range(rounds + 1):
            running = Running(kind, Path(folder))
            found.append(process.cpu_ms(process.family(running.process.pid)))
            running.stop()
    return found[1:]
