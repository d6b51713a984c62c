"""A job as the REST API shows it: its first form, what a plan adds, where it runs, what it costs."""

import hashlib
from typing import Any

from sqlglot import exp

from local.cloud.bigquery.auth import Caller
from local.cloud.bigquery.errors import BigQueryError
from local.cloud.bigquery.planner import Planner, QueryPlan
from local.cloud.bigquery.store import Store, now_ms

MEBIBYTE = 1024 * 1024
Document = dict[str, Any]


def new(project: str, location: str, name: str, config: Document, caller: Caller, kind: str) -> Document:
    """A job that was accepted and has not run yet."""
    at = str(now_ms())
    location = location.upper() if len(location) == 2 else location.lower()
    config = dict(config) | {"jobType": kind.upper()}
    if kind == "query":
        config["query"] = {"useLegacySql": False, "priority": "INTERACTIVE"} | config["query"]
    return {
        "kind": "bigquery#job",
        "id": f"{project}:{location}.{name}",
        "jobReference": {"projectId": project, "jobId": name, "location": location},
        "configuration": config,
        "user_email": caller.email,
        "statistics": {"creationTime": at, "startTime": at},
        "status": {"state": "RUNNING"},
    }


def location_of(store: Store, planner: Planner, project: str, config: Document) -> str:
    """Where a job without a location runs: where the datasets are that it names."""
    if config.get("load"):
        target = config["load"].get("destinationTable") or {}
        dataset = store.find_dataset(target.get("projectId", project), target.get("datasetId", ""))
        return dataset.location if dataset else "US"
    try:
        tree, _ = planner.parse(config["query"]["query"])
    except BigQueryError:
        return "US"
    default = config["query"].get("defaultDataset") or {}
    names = [(default.get("projectId", project), default["datasetId"])] if default.get("datasetId") else []
    for node in tree.find_all(exp.Table):
        parts = [p for part in node.parts for p in part.name.split(".") if p]
        for index, part in enumerate(parts):
            if part.lower().startswith("region-"):
                region = str(part[7:])
                return region.upper() if len(region) == 2 else region.lower()
            if index < len(parts) - 1:
                names.append((parts[index - 1] if index else project, part))
    for owner, name in names:
        dataset = store.find_dataset(owner, name)
        if dataset is not None:
            return dataset.location
    return "US"


def describe(document: Document, plan: QueryPlan) -> None:
    """Note what the plan found: bytes, tables, the result's columns."""
    stats = document["statistics"]
    size = str(plan.bytes)
    stats["totalBytesProcessed"] = size
    stats["query"] = {
        "totalBytesProcessed": size,
        "totalBytesBilled": "0",
        "cacheHit": False,
        "statementType": plan.statement,
        "referencedTables": [t.reference for t in plan.tables],
        "schema": {"fields": plan.fields},
    }


def billed(size: int) -> int:
    """Bytes billed: nothing for nothing, else whole mebibytes and at least ten."""
    return 0 if size == 0 else max(10, -(-size // MEBIBYTE)) * MEBIBYTE


def name_result(document: Document) -> None:
    """The service names a hidden table with the result; clients expect its reference."""
    name = hashlib.sha256(document["id"].encode()).hexdigest()
    document["configuration"]["query"]["destinationTable"] = {
        "projectId": document["jobReference"]["projectId"],
        "datasetId": f"_{name[:40]}",
        "tableId": f"anon{name[:32]}",
    }
