"""Plain reads at a steady rate: what every page and script pays for on each call.

`unknown path` is answered by the gateway alone and is the base: the client, the kernel and gunicorn.
What a row costs above it is the function: who is asking, which team, one statement, JSON.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import load
from tests.bench.ground import GatewayLog, Ground, Options, Scheduled
from tests.bench.report import Table, Target, spread
from tests.bench.wire import Line

RATE = 50.0


def run(ground: Ground, options: Options) -> list[Table]:
    """Every read at 50 requests a second, in turns, so that a noisy minute touches all rows alike."""
    team = ground.stack.team_id
    cases = {
        "unknown path (base)": "/none",
        "GET /v1/health": "/v1/health",
        "GET /v1/auth/me": "/v1/auth/me",
        "GET /v1/onboarding/teams": "/v1/onboarding/teams",
        "GET /v1/onboarding/connections": f"/v1/onboarding/connections?team_id={team}",
    }
    if ground.stack.demo:
        cases["GET …/catalog/datasets"] = (
            f"/v1/onboarding/catalog/datasets?connection_id={ground.connection['id']}"
        )
    cases["GET /v1/chat/sessions"] = "/v1/chat/sessions"
    requests = {name: ground.message("GET", path) for name, path in cases.items()}
    table = measure(
        ground,
        f"Reads at {RATE:g} requests/s, open loop",
        requests,
        rate=RATE,
        seconds=options.pick(20.0, 2.0),
        turns=options.pick(4, 1),
    )
    listed = table.cell("GET …/catalog/datasets", "service p95")
    table.targets = [Target("list datasets p95 service time", listed, 50, "ms")]
    return [table]


def measure(
    ground: Ground,
    title: str,
    requests: dict[str, bytes],
    *,
    rate: float,
    seconds: float,
    turns: int,
    expected: Callable[[str, int], bool] | None = None,
) -> Table:
    """Latency, service time and CPU for each kind of request; the first is the base of the ratios."""
    table = Table(
        title,
        ("request", "n", "p50 ms", "p95 ms", "p99 ms", "service p50", "service p95", "service p99", "x base (service p50)",
         "gateway CPU ms/req", "postgres CPU ms/req", "waited for a core ms/req", "bytes"),
    )  # fmt: skip
    lines = [Line(ground.server) for _ in range(16)]
    samples: dict[str, list[load.Sample]] = {name: [] for name in requests}
    cpu = {name: dict.fromkeys(("gateway", "postgres"), 0.0) for name in requests}
    waited = dict.fromkeys(requests, 0.0)
    meter = Scheduled(ground, ("gateway", "postgres"))
    log = GatewayLog(ground)
    for message in requests.values():  # Both workers load the function and keep what they keep.
        load.open_loop(ground.server, _each(message, "warm"), rate=rate, seconds=1.0, lines=lines)
    for turn in range(turns):
        for kind, (name, message) in enumerate(requests.items()):
            meter.start()
            samples[name] += load.open_loop(
                ground.server,
                _each(message, f"bench-{kind}-{turn}"),
                rate=rate,
                seconds=seconds / turns,
                lines=lines,
            )
            ran, waits = meter.given()
            waited[name] += waits
            for metered, spent in ran.items():
                cpu[name][metered] += spent
    for line in lines:
        line.close()
    table.notes = [
        "`service` is the gateway's own time for a request; `waited for a core` is how long its threads and Postgres' processes could "
        "have run and did not, because something else had both cores: near zero on a machine that does nothing else.",
    ]
    service = log.latencies()
    base = 0.0
    for kind, (name, taken) in enumerate(samples.items()):
        own = [value for key, value in service.items() if key.startswith(f"bench-{kind}-")]
        p50, p95, p99, _most = spread([sample.latency for sample in taken])
        s50, s95, s99, _most = spread(own)
        base = base or s50
        table.add(
            name, len(taken), p50, p95, p99, s50, s95, s99, round(s50 / base, 1),
            cpu[name]["gateway"] / len(taken), cpu[name]["postgres"] / len(taken), waited[name] / len(taken), max(s.size for s in taken),
        )  # fmt: skip
        wrong = [s.status for s in taken if not (expected or _fine)(name, s.status)]
        if wrong:
            table.notes.append(f"{name}: {len(wrong)} answers were not as expected: {sorted(set(wrong))}.")
    return table


def _fine(name: str, status: int) -> bool:
    return status == (404 if "unknown" in name else 200)


def _each(message: bytes, mark: str) -> Callable[[int], bytes]:
    """The request with a correlation id of its own, by which the gateway's log knows it again."""
    head, _, body = message.partition(b"\r\n\r\n")
    return lambda index: head + f"\r\nX-Correlation-Id: {mark}-{index:06d}\r\n\r\n".encode() + body
