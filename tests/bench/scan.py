"""A catalog scan from the request to the closed job, over synthetic datasets in the local warehouse.

25, 50 and 100 datasets of 50 tables with 12 columns each: the time should grow with the tables and not
faster. Each size is the first scan of a connection of its own. A second scan of the largest follows:
nothing has changed, so nothing should be written.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.demo import service_account
from tests.bench import process, wire
from tests.bench.ground import Ground, Meter, Options, standing
from tests.bench.report import Table, Target

TABLES, COLUMNS = 50, 12
TYPES = ("INT64", "STRING", "FLOAT64", "DATE", "TIMESTAMP", "BOOL", "NUMERIC")
PARTS = ("gateway", "dispatch", "bigquery", "storage", "postgres", "firestore")


def run(options: Options) -> list[Table]:
    """On an empty stack, so that the counts are exact."""
    sizes = options.pick((25, 50, 100), (4, 8))
    with standing(demo=False) as ground:
        key = json.dumps(service_account.ensure(ground.stack.home)).encode()
        table = Table(
            f"Catalog scan: datasets of {TABLES} tables with {COLUMNS} columns",
            ("datasets", "tables", "columns", "scan", "s", "ms/table", "x first ms/table", "largest worker MB", "worker growth MB",
             *(f"{part} CPU s" for part in PARTS)),
        )  # fmt: skip
        made, connection = 0, ""
        for size in sizes:
            _make(ground, made, size)
            made = size
            connection = _connect(ground, key, size)
            _measure(ground, table, size, connection, "first")
        _measure(ground, table, sizes[-1], connection, "again, unchanged")
        _check(ground, connection, sizes[-1])
    if not options.quick:
        table.targets = [
            Target("scan of 100 datasets", table.figures("s")[-2], 30, "s"),
            Target("memory of any step", max(table.figures("largest worker MB")), 256, "MB"),
        ]
    table.notes = [
        "From POST /v1/onboarding/catalog/scan to the job's state `completed`, asked every 50 ms. Memory is the largest resident "
        "set of a gateway worker during the scan: an upper bound for a step, because a worker holds all functions and runs many "
        "steps at once.",
    ]
    return [table]


def _measure(ground: Ground, table: Table, size: int, connection: str, kind: str) -> None:
    workers = ground.family("gateway")[1:]
    before = max(process.pss_mb([pid]) for pid in workers)
    process.reset_peak(workers)
    meter = Meter(ground, PARTS)
    meter.start()
    begun = time.perf_counter()
    job = ground.api.post("/v1/onboarding/catalog/scan", {"connection_id": connection})
    ended = _wait(ground, job["job_id"])
    seconds = time.perf_counter() - begun
    if ended["state"] != "completed":
        raise RuntimeError(f"the scan ended as {ended['state']}: {ended['errors'][:3]}")
    tables = size * TABLES
    peak = max(process.peak_mb(pid) for pid in workers)
    each = seconds * 1000 / tables
    first = float(table.rows[0][5]) if table.rows else each
    spent = meter.spent()
    table.add(
        size, tables, tables * COLUMNS, kind, seconds, each, round(each / first, 2), peak, peak - before,
        *(spent[part] / 1000 for part in PARTS),
    )  # fmt: skip
    print(f"  {size} datasets, {kind}: {seconds:.1f} s", file=sys.stderr, flush=True)


def _wait(ground: Ground, job_id: str, patience: float = 300.0) -> dict[str, Any]:
    deadline = time.monotonic() + patience
    while True:
        job: dict[str, Any] = ground.api.get(f"/v1/onboarding/jobs/{job_id}")
        if job["state"] not in ("queued", "running"):
            return job
        if time.monotonic() > deadline:
            raise RuntimeError(f"the job is still {job['state']} after {patience:g} s: {job['progress']}")
        time.sleep(0.05)


def _connect(ground: Ground, key: bytes, size: int) -> str:
    """A validated connection without a catalog."""
    made = ground.api.post(
        "/v1/onboarding/connections",
        {
            "team_id": ground.stack.team_id,
            "name": f"Synthetic {size}",
            "connection_type": "bigquery",
            "credentials": base64.b64encode(key).decode(),
        },
    )
    job = ground.api.post(f"/v1/onboarding/connections/{made['id']}/validate")
    ended = _wait(ground, job["job_id"])
    if ended["state"] != "completed":
        raise RuntimeError(f"the connection was not validated: {ended['errors']}")
    ground.stack.wait_idle()
    return str(made["id"])


def _check(ground: Ground, connection: str, size: int) -> None:
    """The catalog holds what was made; a fast scan that loses tables is worth nothing."""
    listed = ground.api.get("/v1/onboarding/catalog/datasets", connection_id=connection, limit="200")[
        "datasets"
    ]
    ours = [dataset for dataset in listed if ".synthetic_" in dataset["fully_qualified_name"]]
    found = ground.api.get("/v1/onboarding/catalog/tables", dataset_id=ours[-1]["id"], limit="200")["tables"]
    columns = ground.api.get(f"/v1/onboarding/catalog/tables/{found[-1]['id']}/schema")["columns"]
    if (len(ours), len(found), len(columns)) != (size, TABLES, COLUMNS):
        raise RuntimeError(
            f"the catalog has {len(ours)} datasets, {len(found)} tables, {len(columns)} columns"
        )


def _make(ground: Ground, first: int, last: int) -> None:
    """Datasets number `first` to `last` through the warehouse's REST API."""
    begun = time.perf_counter()
    project = ground.stack.env["GOOGLE_CLOUD_PROJECT"]
    server = wire.address(ground.stack.env["BIGQUERY_EMULATOR_HOST"])
    fields = [
        {"name": f"column_{index:02d}", "type": TYPES[index % len(TYPES)], "description": f"Column {index} of a synthetic table"}
        for index in range(COLUMNS)
    ]  # fmt: skip

    def dataset(number: int) -> None:
        line = wire.Line(server)
        name = f"synthetic_{number:03d}"
        base = f"/bigquery/v2/projects/{project}/datasets"
        reference = {"projectId": project, "datasetId": name}
        _post(
            line,
            base,
            {"datasetReference": reference, "location": "US", "description": f"Synthetic dataset {number}"},
        )
        for index in range(TABLES):
            body = {
                "tableReference": reference | {"tableId": f"table_{index:02d}"},
                "description": f"Synthetic table {index} of dataset {number}",
                "schema": {"fields": fields},
            }
            _post(line, f"{base}/{name}/tables", body)
        line.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(dataset, range(first, last)))
    print(
        f"  made {last - first} datasets in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True
    )


def _post(line: wire.Line, path: str, body: dict[str, Any]) -> None:
    message = wire.request("POST", path, {"Content-Type": "application/json"}, json.dumps(body).encode())
    answer = line.exchange(message)
    if answer.status != 200:
        raise RuntimeError(f"POST {path} answered {answer.status}: {answer.body[:300]!r}")
