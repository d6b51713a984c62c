"""Datasets, tables and jobs as the REST API writes them."""

import hashlib
import json
from typing import Any

from local.cloud.bigquery.partitions import total_bytes, total_rows
from local.cloud.bigquery.store import Dataset, Table


def _etag(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:22]


def dataset(d: Dataset) -> dict[str, Any]:
    return {
        "kind": "bigquery#dataset",
        "etag": _etag(d.project, d.name, d.modified, d.resource),
        "id": f"{d.project}:{d.name}",
        "selfLink": f"/bigquery/v2/projects/{d.project}/datasets/{d.name}",
        "datasetReference": {"datasetId": d.name, "projectId": d.project},
        "location": d.location,
        "creationTime": str(d.created),
        "lastModifiedTime": str(d.modified),
        "type": "DEFAULT",
        **d.resource,
    }


def dataset_item(d: Dataset) -> dict[str, Any]:
    full = dataset(d)
    keys = ("id", "datasetReference", "location", "labels", "friendlyName", "type")
    return {"kind": "bigquery#dataset"} | {k: full[k] for k in keys if k in full}


def table(t: Table, location: str) -> dict[str, Any]:
    out = {
        "kind": "bigquery#table",
        "etag": _etag(t.key, t.modified, t.version, t.resource, t.fields),
        "id": t.id,
        "selfLink": f"/bigquery/v2/projects/{t.project}/datasets/{t.dataset}/tables/{t.name}",
        "tableReference": t.reference,
        "type": t.kind,
        "location": location,
        "creationTime": str(t.created),
        "lastModifiedTime": str(t.modified),
        "schema": {"fields": t.fields},
        **t.resource,
    }
    if t.kind == "TABLE":
        size = str(total_bytes(t.stats))
        out |= {
            "numRows": str(total_rows(t.stats)),
            "numBytes": size,
            "numTotalLogicalBytes": size,
            "numActiveLogicalBytes": size,
            "numLongTermBytes": "0",
        }
    return out


def table_item(t: Table) -> dict[str, Any]:
    keys = ("labels", "friendlyName", "timePartitioning", "rangePartitioning", "clustering", "expirationTime")
    out = {
        "kind": "bigquery#table", "id": t.id, "tableReference": t.reference, "type": t.kind,
        "creationTime": str(t.created),
    }  # fmt: skip
    if t.kind == "VIEW":
        out["view"] = {"useLegacySql": False}
    return out | {k: t.resource[k] for k in keys if k in t.resource}


def job(document: dict[str, Any]) -> dict[str, Any]:
    """The public part of a job; keys with an underscore are ours."""
    return {k: v for k, v in document.items() if not k.startswith("_")}
