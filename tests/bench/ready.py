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
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import ports
from local.stack import api as stacks
from tests.bench import process
from tests.bench.ground import ROOT, NotThere, Options, clean_environment
from tests.bench.report import Table, Target, median

COLUMNS = ("run", "n", "p50 s", "largest s", "x base", "CPU s (median)", "CPU / 2 cores")
CPU_NOTE = (
    "CPU is that of all processes until then, ended ones included; halved, it is what the start can't be faster "
    "than on two cores that do nothing else."
)


@dataclass(frozen=True)
class Start:
    """One start: until it said that it is ready, and what all its processes had computed by then."""

    seconds: float
    cpu: float


def run(options: Options) -> list[Table]:
    """Ready times over a fresh folder, and the memory of what then runs."""
    first: list[Start] = []
    later: list[Start] = []
    memory = Table(
        "Memory of the stack with the demo data, idle (PSS)",
        ("service", "processes", "PSS MB", "CPU s so far"),
    )
    for _ in range(options.pick(2, 1)):
        with stacks.temporary_home() as home:
            command = [sys.executable, "-m", "local", "run", "--home", str(home), "--port", "0"]
            for again in range(1 + options.pick(3, 1)):
                with _ready(command, ROOT) as (start, supervisor):
                    (later if again else first).append(start)
                    if again and not memory.rows:
                        _weigh(home, supervisor.pid, memory)
    table = Table("Seconds until `Bridge is ready`", COLUMNS, notes=[CPU_NOTE])
    _row(table, "python -m local run, later (base)", later, later)
    _row(table, "python -m local run, first", first, later)
    table.targets = [
        Target("later run, largest", max(start.seconds for start in later), 8, "s"),
        Target("first run without setup, largest", max(start.seconds for start in first), 60, "s"),
    ]
    return [table, memory]


def fresh(_options: Options) -> list[Table]:
    """`make run` in a fresh clone: what somebody meets who has just fetched the repository."""
    if not (ROOT / ".git").exists():
        raise NotThere("its history: a fresh clone is made from it")
    table = Table("`make run` from a fresh clone (package cache warm)", COLUMNS, notes=[CPU_NOTE])
    with tempfile.TemporaryDirectory(prefix="bridge-clone-") as folder:
        clone = Path(folder) / "bridge"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
        Path(folder).chmod(0o711)
        clone.chmod(0o711)
        starts = []
        for _ in range(2):
            extra = {"BRIDGE_PORT": str(ports.free()), "BRIDGE_HOME": str(clone / ".bridge")}
            with _ready(["make", "run"], clone, extra) as (start, _make):
                starts.append(start)
        shutil.rmtree(clone, ignore_errors=True)
    _row(table, "first: environment, chart bundle, database, demo data", starts[:1], starts[1:])
    _row(table, "later", starts[1:], starts[1:])
    table.targets = [
        Target("first make run", starts[0].seconds, 60, "s"),
        Target("later make run", starts[1].seconds, 8, "s"),
    ]
    return [table]


def _row(table: Table, name: str, starts: Sequence[Start], base: Sequence[Start]) -> None:
    seconds = [start.seconds for start in starts]
    ratio = median(seconds) / median([start.seconds for start in base])
    cpu = median([start.cpu for start in starts])
    table.add(name, len(starts), median(seconds), max(seconds), round(ratio, 1), cpu, cpu / 2)


@contextmanager
def _ready(
    command: Sequence[str], folder: Path, extra: dict[str, str] | None = None, patience: float = 300.0
) -> Iterator[tuple[Start, subprocess.Popen[str]]]:
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
                seconds = time.perf_counter() - begun
                yield Start(seconds, process.cpu_ms(process.family(process_.pid)) / 1000), process_
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
