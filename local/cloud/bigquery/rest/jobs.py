"""Jobs, queries and their results, and uploads over REST."""

import uuid
from pathlib import Path
from typing import Any

from local.cloud.bigquery import resources, uploads
from local.cloud.bigquery.errors import invalid
from local.cloud.bigquery.rest.call import PAGE_ROWS, Answer, Call, Handler, offset, token
from local.cloud.bigquery.service import Service

_WAIT_S = 10.0


def _insert_job(service: Service, call: Call) -> Answer:
    call.caller.require_jobs(call.project)
    return resources.job(service.jobs.insert(call.project, call.body(), call.caller))


def _get_job(service: Service, call: Call) -> Answer:
    return resources.job(service.jobs.get(call.project, call.path["job"], call.query.get("location")))


def _list_jobs(service: Service, call: Call) -> Answer:
    state = call.query.get("stateFilter")
    start, size = offset(call), max(1, min(call.number("maxResults", 50), 1000))
    found = service.store.list_jobs(call.project, state.upper() if state else None, size + 1, start)
    out: dict[str, Any] = {"kind": "bigquery#jobList", "jobs": [resources.job_item(d) for d in found[:size]]}
    if len(found) > size:
        out["nextPageToken"] = token(start + size)
    return out


def _cancel_job(service: Service, call: Call) -> Answer:
    found = service.jobs.cancel(call.project, call.path["job"], call.query.get("location"))
    return {"kind": "bigquery#jobCancelResponse", "job": resources.job(found)}


def _delete_job(service: Service, call: Call) -> Answer:
    service.jobs.delete(call.project, call.path["job"], call.query.get("location"))
    return None


def _query(service: Service, call: Call) -> Answer:
    """jobs.query: start a query and answer its first page when it ends in time."""
    call.caller.require_jobs(call.project)
    body = call.body()
    config = {
        k: body[k]
        for k in (
            "query",
            "defaultDataset",
            "useQueryCache",
            "useLegacySql",
            "parameterMode",
            "queryParameters",
            "maximumBytesBilled",
        )
        if k in body
    }
    job: dict[str, Any] = {"configuration": {"query": config, "dryRun": body.get("dryRun", False)}}
    for key in ("labels", "jobTimeoutMs"):
        if body.get(key):
            job["configuration"][key] = body[key]
    name = None
    if body.get("requestId"):
        # The same request sent twice (a retry) is one job.
        name = f"req_{uuid.uuid5(uuid.NAMESPACE_URL, call.project + body['requestId']).hex}"
    job["jobReference"] = {k: v for k, v in (("jobId", name), ("location", body.get("location"))) if v}
    known = service.store.find_job(call.project, name) if name else None
    document = known or service.jobs.insert(call.project, job, call.caller)
    if body.get("dryRun"):
        stats = document["statistics"]["query"]
        return {
            "kind": "bigquery#queryResponse", "jobComplete": True, "jobReference": document["jobReference"],
            "schema": stats["schema"], "totalBytesProcessed": stats["totalBytesProcessed"], "cacheHit": False,
        }  # fmt: skip
    wait = float(body.get("timeoutMs") or _WAIT_S * 1000) / 1000
    int_timestamps = bool((body.get("formatOptions") or {}).get("useInt64Timestamp"))
    size = body.get("maxResults")
    return _results(
        service, call, document, wait, 0, PAGE_ROWS if size is None else int(size), int_timestamps
    ) | {"kind": "bigquery#queryResponse"}


def _query_results(service: Service, call: Call) -> Answer:
    document = service.jobs.get(call.project, call.path["job"], call.query.get("location"))
    if "query" not in document["configuration"]:
        raise invalid(f"Job {document['id']} is not a query")
    wait = call.number("timeoutMs", int(_WAIT_S * 1000)) / 1000
    return _results(
        service,
        call,
        document,
        wait,
        offset(call),
        call.number("maxResults", PAGE_ROWS),
        call.int_timestamps,
    )


def _results(
    service: Service,
    call: Call,
    document: dict[str, Any],
    wait: float,
    start: int,
    size: int,
    int_timestamps: bool,
) -> dict[str, Any]:
    document = service.jobs.wait(document, min(wait, 200.0))
    out: dict[str, Any] = {
        "kind": "bigquery#getQueryResultsResponse",
        "etag": document["id"],
        "jobReference": document["jobReference"],
        "jobComplete": document["status"]["state"] == "DONE",
    }
    if not out["jobComplete"]:
        return out
    result = service.jobs.result(document, call.caller)
    stats = document["statistics"]["query"]
    out |= {
        "schema": {"fields": result.fields},
        "totalRows": str(result.total),
        "totalBytesProcessed": stats["totalBytesProcessed"],
        "totalBytesBilled": stats["totalBytesBilled"],
        "cacheHit": stats["cacheHit"],
        "location": document["jobReference"]["location"],
    }
    if "numDmlAffectedRows" in stats:
        out["numDmlAffectedRows"] = stats["numDmlAffectedRows"]
    size = max(0, min(size, PAGE_ROWS))
    if size and result.total > start:
        out["rows"] = service.jobs.results.page(result, start, size, int_timestamps=int_timestamps)
    if start + size < result.total:
        out["pageToken"] = token(start + size)
    return out


def upload(service: Service, call: Call) -> Answer:
    call.caller.require_jobs(call.project)

    def start(body: dict[str, Any], path: Path) -> dict[str, Any]:
        return resources.job(service.jobs.insert(call.project, body, call.caller, path))

    return uploads.handle(service.engine.uploads, call.request, call.raw, start)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/projects/{project}/jobs", _list_jobs),
    ("POST", "/projects/{project}/jobs", _insert_job),
    ("GET", "/projects/{project}/jobs/{job}", _get_job),
    ("POST", "/projects/{project}/jobs/{job}/cancel", _cancel_job),
    ("DELETE", "/projects/{project}/jobs/{job}/delete", _delete_job),
    ("POST", "/projects/{project}/queries", _query),
    ("GET", "/projects/{project}/queries/{job}", _query_results),
]
