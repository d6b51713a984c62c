"""A dashboard of twelve queries: from the instance's memory, not changed since, and computed anew.

    cached   open loop at 50 requests/s: 200 gzip, 200 plain, 304, beside a read of the directory
    cold     purge, then one load: the warehouse's own time stands beside it
    crowd    purge, then 200 loads at once: how often did the warehouse run each query?

Executions are counted where they happen, in the warehouse's own list of jobs.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.bench import load, wire
from tests.bench.ground import Ground, Meter, NotThere, Options
from tests.bench.reads import measure
from tests.bench.report import Table, Target, median, percentile, spread

DOCUMENT = Path(__file__).with_name("flights.yaml")
SLUG, QUERIES, RATE, CROWD = "bench-flights", 12, 50.0, 200
DATA = f"/v1/dashboards/{SLUG}/data"


def cached(ground: Ground, options: Options) -> list[Table]:
    """Loads of a dashboard that is in memory."""
    _ensure(ground)
    first = _expect(ground.ask("GET", DATA, headers={"Accept-Encoding": "gzip"}), 200)
    etag = first.headers["etag"]
    requests = {
        "GET /v1/health (base)": ground.message("GET", "/v1/health"),
        "data, 200 gzip": ground.message("GET", DATA, headers={"Accept-Encoding": "gzip"}),
        "data, 200 plain": ground.message("GET", DATA),
        "data, 304": ground.message("GET", DATA, headers={"If-None-Match": etag, "Accept-Encoding": "gzip"}),
        "data, other filters": ground.message(
            "GET", DATA + "?origin=JFK", headers={"Accept-Encoding": "gzip"}
        ),
        "page description": ground.message("GET", f"/v1/dashboards/{SLUG}"),
    }
    table = measure(
        ground,
        f"Cached loads of a dashboard of {QUERIES} queries at {RATE:g} requests/s, open loop",
        requests,
        rate=RATE,
        seconds=options.pick(30.0, 2.0),
        turns=options.pick(5, 1),
        expected=lambda name, status: status == (304 if "304" in name else 200),
    )
    table.targets = [
        Target("cached load p95 service time", table.cell("data, 200 gzip", "service p95"), 10, "ms"),
        Target("304 p95 service time", table.cell("data, 304", "service p95"), 5, "ms"),
        Target("cached load p95 as the client sees it", table.cell("data, 200 gzip", "p95 ms"), 300, "ms"),
    ]
    return [table]


def cold(ground: Ground, options: Options) -> list[Table]:
    """Loads after a purge, one at a time."""
    _ensure(ground)
    times: list[float] = []
    warehouse: list[float] = []
    spent: list[dict[str, float]] = []
    meter = Meter(ground, ("gateway", "bigquery", "firestore", "postgres"))
    for _ in range(options.pick(20, 3)):
        _purge(ground)
        since = _newest_job(ground)
        meter.start()
        begun = time.perf_counter()
        answer = _expect(ground.ask("GET", DATA, headers={"Accept-Encoding": "gzip"}), 200)
        times.append((time.perf_counter() - begun) * 1000)
        spent.append(meter.spent())
        jobs = _executions(ground, since)
        if len(jobs) != QUERIES:
            raise RuntimeError(f"a cold load ran {len(jobs)} jobs, not {QUERIES}: {answer.body[:300]!r}")
        warehouse.append(_busy(jobs))
    own = [whole - part for whole, part in zip(times, warehouse, strict=True)]
    table = Table(
        f"Cold loads of the same dashboard (purged, {len(times)} times)",
        ("part", "p50 ms", "p95 ms", "p99 ms", "largest ms", "x base"),
    )
    table.add("warehouse at work (base)", *spread(warehouse), 1.0)
    table.add("whole load", *spread(times), median(times) / median(warehouse))
    table.add("load minus warehouse", *spread(own), median(own) / median(warehouse))
    shares = ", ".join(f"{name} {median([one[name] for one in spent]):.0f} ms" for name in spent[0])
    table.notes = [
        "`warehouse at work`: from the start of the first job to the end of the last, as its job list says.",
        f"CPU of one load (median): {shares}.",
    ]
    table.targets = [
        Target("cold load p95 beyond the warehouse", percentile(own, 95), 2000, "ms"),
        Target("cold load p95 (product promise)", percentile(times, 95), 2000, "ms"),
    ]
    return [table]


def crowd(ground: Ground, options: Options) -> list[Table]:
    """Many cold loads at one moment."""
    _ensure(ground)
    table = Table(
        f"{CROWD} concurrent cold loads",
        ("run", "answers 200", "p50 ms", "p95 ms", "p99 ms", "largest ms", "jobs", "most for one query"),
    )
    most = 0
    for run in range(options.pick(3, 1)):
        _purge(ground)
        since = _newest_job(ground)
        message = ground.message("GET", DATA, headers={"Accept-Encoding": "gzip"})
        samples = load.crowd(ground.server, [message] * CROWD)
        jobs = _executions(ground, since)
        per_query = Counter(job["configuration"]["labels"]["query"] for job in jobs)
        most = max([most, *per_query.values()])
        good = sum(sample.status == 200 for sample in samples)
        table.add(
            f"{run + 1}",
            good,
            *spread([sample.latency for sample in samples]),
            len(jobs),
            max(per_query.values()),
        )
    table.targets = [Target("warehouse executions of one key", float(most), 1.5, "times")]
    return [table]


def _ensure(ground: Ground) -> None:
    """The dashboard, saved through the API; it is there after the first benchmark that needs it."""
    if not ground.serves("GET", "/v1/dashboards/{slug}/data"):
        raise NotThere("the function GET /v1/dashboards/{slug}/data")
    _ = ground.connection
    if ground.ask("GET", f"/v1/dashboards/{SLUG}").status == 404:
        body = {"team_id": ground.stack.team_id, "yaml_content": DOCUMENT.read_text()}
        _expect(ground.ask("POST", "/v1/dashboards", body), 201)
    answer = json.loads(_expect(ground.ask("GET", DATA), 200).body)
    failed = {name: query["error"] for name, query in answer["queries"].items() if query["error"]}
    if failed or len(answer["queries"]) != QUERIES:
        raise RuntimeError(f"{len(answer['queries'])} queries, failed: {failed}")
    ground.stack.wait_idle()


def _purge(ground: Ground) -> None:
    _expect(ground.ask("POST", f"/v1/dashboards/{SLUG}/purge"), 200)
    ground.stack.wait_idle()


def _expect(answer: wire.Response, status: int) -> wire.Response:
    if answer.status != status:
        raise RuntimeError(f"the answer was {answer.status}, not {status}: {answer.body[:1000]!r}")
    return answer


def _jobs(ground: Ground, since_ms: int = 0) -> list[dict[str, Any]]:
    """The warehouse's jobs, newest first."""
    project = ground.stack.env["GOOGLE_CLOUD_PROJECT"]
    query = urlencode({"maxResults": 1000, "projection": "full", "minCreationTime": since_ms})
    line = wire.Line(wire.address(ground.stack.env["BIGQUERY_EMULATOR_HOST"]))
    try:
        answer = line.exchange(wire.request("GET", f"/bigquery/v2/projects/{project}/jobs?{query}", {}))
    finally:
        line.close()
    return list(json.loads(_expect(answer, 200).body).get("jobs", []))


def _newest_job(ground: Ground) -> set[str]:
    """What has run so far."""
    return {job["id"] for job in _jobs(ground)}


def _executions(ground: Ground, before: set[str]) -> list[dict[str, Any]]:
    """The dashboard's jobs since then that computed something: no dry runs."""
    return [
        job
        for job in _jobs(ground)
        if job["id"] not in before
        and not job["configuration"].get("dryRun")
        and job["configuration"].get("labels", {}).get("dashboard") == SLUG
    ]


def _busy(jobs: list[dict[str, Any]]) -> float:
    """Milliseconds from the first start to the last end."""
    starts = [int(job["statistics"]["startTime"]) for job in jobs]
    ends = [int(job["statistics"]["endTime"]) for job in jobs]
    return float(max(ends) - min(starts))
