"""Measure speed and memory on this machine; prints tables and says which promises are kept.

    python -m tests.bench                    everything
    python -m tests.bench cached cold        some of it
    python -m tests.bench --quick            fewer repetitions: to see that it runs, not to quote

These are programs, not tests: no time fails a build, because a busy machine would fail it, too. Loads
are bounded in number and time and go to 127.0.0.1 alone.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import (
    cold_start,
    dashboards,
    reads,
    ready,
    report,
    scan,
    server_starts,
    step_costs,
    throughput,
    turns,
)
from tests.bench.ground import Ground, NotThere, Options, standing
from tests.bench.report import Table


@dataclass(frozen=True)
class Benchmark:
    """A name on the command line and what it does."""

    about: str
    on_demo: Callable[[Ground, Options], list[Table]] | None = None
    alone: Callable[[Options], list[Table]] | None = None


BENCHMARKS = {
    "reads": Benchmark("plain reads: who am I, lists, the catalog", on_demo=reads.run),
    "cached": Benchmark("loads of a cached dashboard, and 304", on_demo=dashboards.cached),
    "cold": Benchmark("loads of a purged dashboard", on_demo=dashboards.cold),
    "crowd": Benchmark("200 loads of a purged dashboard at once", on_demo=dashboards.crowd),
    "turns": Benchmark("first token and whole turns over four questions", on_demo=turns.run),
    "scan": Benchmark("catalog scan of 25, 50 and 100 datasets", alone=scan.run),
    "start": Benchmark(
        "each function from process start to its first answer, and what it compares with",
        on_demo=cold_start.run,
    ),
    "throughput": Benchmark("directory reads a second of one instance", on_demo=throughput.run),
    "steps": Benchmark(
        "what the ledger and the outbox cost a step, and a rate limit a request", on_demo=step_costs.run
    ),
    "servers": Benchmark("processor time until each server serves", alone=server_starts.run),
    "ready": Benchmark("the stack: seconds to ready and memory", alone=ready.run),
    "fresh": Benchmark("make run from a fresh clone", alone=ready.fresh),
}


def main() -> int:
    """Run what is asked for; 1 when something could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listed = "; ".join(f"{name}: {benchmark.about}" for name, benchmark in BENCHMARKS.items())
    parser.add_argument("names", nargs="*", metavar="name", help=listed)
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--no-demo", action="store_true", help="an empty stack, for what needs no data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON, too")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    options = Options(quick=given.quick)
    names = given.names or list(BENCHMARKS)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # Leave no stack behind.
    command = shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])
    about = report.machine()
    print(report.heading(about, command) + "\n", flush=True)
    tables: list[Table] = []
    failed = False
    with contextlib.ExitStack() as open_until_the_end:
        ground: Ground | None = None
        for name in names:
            benchmark, begun = BENCHMARKS[name], time.monotonic()
            print(f"{name}: {benchmark.about} …", file=sys.stderr, flush=True)
            try:
                if benchmark.alone is not None:
                    made = benchmark.alone(options)
                else:
                    assert benchmark.on_demo is not None
                    ground = ground or open_until_the_end.enter_context(standing(demo=not given.no_demo))
                    made = benchmark.on_demo(ground, options)
            except NotThere as missing:
                print(f"{name}: not measured, this checkout lacks {missing}\n", flush=True)
                failed = True
                continue
            for table in made:
                print(report.markdown(table), flush=True)
            tables += made
            print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    if given.json:
        report.write_json(given.json, about, command, tables)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
