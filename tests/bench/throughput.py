"""How many directory reads one instance answers in a second, beside a handler that does nothing.

Each function alone in functions-framework's own server (gunicorn, one worker, eight threads on two cores), eight connections that
ask again as soon as they have an answer, in short turns. A closed loop tells the capacity; latencies under a
given load are in `reads`.
"""

from __future__ import annotations

import contextlib
import threading
import time

from tests.bench import process, solo, wire
from tests.bench.cold_start import HELLO
from tests.bench.ground import Ground, Options
from tests.bench.report import Table, spread

CONNECTIONS = 8
BASE = "hello (base)"


def run(ground: Ground, options: Options) -> list[Table]:
    """Requests a second, latency and CPU of a bare handler, a health check, and two directory reads."""
    seconds, turns = options.pick((3.0, 3), (0.5, 1))
    cases = {
        BASE: (solo.function("hello.py", "hello"), "hello", wire.request("GET", "/", {})),
        **{
            f"GET {path}": (solo.function(source, entry), name, ground.message("GET", path))
            for path, source, entry, name in (
                ("/v1/auth/me", "functions/auth/me/main.py", "me", "auth-me"),
                ("/v1/onboarding/teams", "functions/teams/list/main.py", "list", "teams-list"),
            )
        },
    }
    table = Table(
        f"One instance, {CONNECTIONS} connections that never pause",
        ("request", "requests", "requests/s", "x base", "p50 ms", "p99 ms", "CPU ms/request"),
    )
    taken: dict[str, list[float]] = {name: [] for name in cases}
    spent = dict.fromkeys(cases, 0.0)
    with solo.tree({"hello.py": HELLO.format(imports="")}) as tree, contextlib.ExitStack() as until_the_end:
        servers = {
            name: until_the_end.enter_context(solo.serving(ground, tree, program, name=service))
            for name, (program, service, _message) in cases.items()
        }
        for name, server in servers.items():
            answer = server.first_answer(cases[name][2])
            if answer.status != 200:
                raise RuntimeError(f"{name} answered {answer.status}: {answer.body[:300]!r}")
        for _ in range(turns):
            for name, server in servers.items():
                before = process.cpu_ms(server.pids)
                taken[name] += _closed_loop(server.address, cases[name][2], seconds)
                spent[name] += process.cpu_ms(server.pids) - before
    base = len(taken[BASE]) / (seconds * turns)
    for name, latencies in taken.items():
        p50, _p95, p99, _most = spread(latencies)
        rate = len(latencies) / (seconds * turns)
        table.add(name, len(latencies), rate, round(rate / base, 2), p50, p99, spent[name] / len(latencies))
    table.notes = [
        "The client and Postgres have the same two cores, so this is less than an instance of its own would do."
    ]
    return [table]


def _closed_loop(address: tuple[str, int], message: bytes, seconds: float) -> list[float]:
    latencies: list[list[float]] = [[] for _ in range(CONNECTIONS)]
    end = time.perf_counter() + seconds

    def work(own: list[float]) -> None:
        line = wire.Line(address)
        while (begun := time.perf_counter()) < end:
            if line.exchange(message).status != 200:
                raise RuntimeError("an answer was not 200")
            own.append((time.perf_counter() - begun) * 1000)
        line.close()

    threads = [threading.Thread(target=work, args=(own,), daemon=True) for own in latencies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 60)
    return [value for own in latencies for value in own]
