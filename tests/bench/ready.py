"""The laptop's stack: how long until it is ready, and what it weighs.

first run    an empty data folder: database made, migrations, demo data loaded through the real
             clients, connection validated, catalog scanned
later runs   the same folder again
make run     the same from a fresh clone without .venv: `make setup` included, from a warm package cache
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.stack import api as stacks
from tests.bench import process
from tests.bench.ground import ROOT, NotThere, Options, clean_environment
from tests.bench.report import Table, Target, median, spread


def run(options: Options) -> list[Table]:
    """Ready times over a fresh folder, and the memory of what then runs."""
    first: list[float] = []
    later: list[float] = []
    memory = Table(
        "Memory of the stack with the demo data, idle (PSS)",
        ("service", "processes", "PSS MB", "CPU s so far"),
    )
    for _ in range(options.pick(3, 1)):
        with stacks.temporary_home() as home:
            command = [sys.executable, "-m", "local", "run", "--home", str(home), "--port", "0"]
            for again in range(1 + options.pick(3, 1)):
                with _ready(command, ROOT) as (seconds, supervisor):
                    (later if again else first).append(seconds)
                    if again and not memory.rows:
                        _weigh(home, supervisor.pid, memory)
    table = Table(
        "Seconds until `Bridge is ready`", ("run", "n", "p50 s", "p95 s", "p99 s", "largest s", "x base")
    )
    table.add("python -m local run, later (base)", len(later), *spread(later), 1.0)
    table.add(
        "python -m local run, first", len(first), *spread(first), round(median(first) / median(later), 1)
    )
    table.targets = [
        Target("later run", max(later), 8, "s"),
        Target("first run without setup", max(first), 60, "s"),
    ]
    return [table, memory]


def fresh(_options: Options) -> list[Table]:
    """`make run` in a fresh clone: what somebody meets who has just fetched the repository."""
    if not (ROOT / ".git").exists():
        raise NotThere("its history: a fresh clone is made from it")
    table = Table("`make run` from a fresh clone (package cache warm)", ("run", "s", "x later"))
    with tempfile.TemporaryDirectory(prefix="bridge-clone-") as folder:
        clone = Path(folder) / "bridge"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
        Path(folder).chmod(0o711)
        clone.chmod(0o711)
        times = []
        for _ in range(2):
            extra = {"BRIDGE_PORT": str(_free_port()), "BRIDGE_HOME": str(clone / ".bridge")}
            with _ready(["make", "run"], clone, extra) as (seconds, _make):
                times.append(seconds)
        shutil.rmtree(clone, ignore_errors=True)
    table.add(
        "first: environment, chart bundle, database, demo data", times[0], round(times[0] / times[1], 1)
    )
    table.add("later", times[1], 1.0)
    table.targets = [Target("first make run", times[0], 60, "s"), Target("later make run", times[1], 8, "s")]
    return [table]


@contextmanager
def _ready(
    command: Sequence[str], folder: Path, extra: dict[str, str] | None = None, patience: float = 300.0
) -> Iterator[tuple[float, subprocess.Popen[str]]]:
    """Start it, wait for the line that says it is ready, and stop it at the end as Ctrl-C does."""
    begun = time.perf_counter()
    process_ = subprocess.Popen(
        command, cwd=folder, env=clean_environment(extra), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, process_group=0,
    )  # fmt: skip
    said: list[str] = []
    try:
        assert process_.stdout is not None
        for line in process_.stdout:
            said.append(line)
            if "is ready at" in line:
                yield time.perf_counter() - begun, process_
                break
            if time.perf_counter() - begun > patience:
                raise RuntimeError(f"not ready after {patience:g} s: {''.join(said[-5:])}")
        else:
            raise RuntimeError(f"{' '.join(command)} ended: {''.join(said[-8:])}")
    finally:
        if process_.poll() is None:
            os.killpg(process_.pid, signal.SIGINT)
        process_.communicate(timeout=60)


def _weigh(home: Path, supervisor: int, table: Table) -> None:
    time.sleep(2)
    services = stacks.Stack(home).state()["services"]
    total, count = process.pss_mb([supervisor]), 1
    table.add("supervisor", 1, total, process.cpu_ms([supervisor]) / 1000)
    for name, entry in services.items():
        pids = process.family(int(entry["pid"]))
        weight = process.pss_mb(pids)
        table.add(name, len(pids), weight, process.cpu_ms(pids) / 1000)
        total, count = total + weight, count + len(pids)
    table.rows.sort(key=lambda row: -float(row[2]))
    table.add("all", count, total, sum(float(row[3]) for row in table.rows))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
