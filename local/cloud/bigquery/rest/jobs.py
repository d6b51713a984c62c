"""Jobs, queries and their results, and uploads over REST."""

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


def _cancel_job(service: Service, call: Call) -> Answer:
    found = service.jobs.cancel(call.project, call.path["job"], call.query.get("location"))
    return {"kind": "bigquery#jobCancelResponse", "job": resources.job(found)}


def _query_results(service: Service, call: Call) -> Answer:
    document = service.jobs.get(call.project, call.path["job"], call.query.get("location"))
    if "query" not in document["configuration"]:
        raise invalid(f"Job {document['id']} is not a query")
    wait = call.number("timeoutMs", int(_WAIT_S * 1000)) / 1000
    start, size = offset(call), call.number("maxResults", PAGE_ROWS)
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
        out["rows"] = service.jobs.results.page(result, start, size, int_timestamps=call.int_timestamps)
    if start + size < result.total:
        out["pageToken"] = token(start + size)
    return out


def upload(service: Service, call: Call) -> Answer:
    call.caller.require_jobs(call.project)

    def start(body: dict[str, Any], path: Path) -> dict[str, Any]:
        return resources.job(service.jobs.insert(call.project, body, call.caller, path))

    return uploads.handle(service.engine.uploads, call.request, call.raw, start)


ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", "/projects/{project}/jobs", _insert_job),
    ("GET", "/projects/{project}/jobs/{job}", _get_job),
    ("POST", "/projects/{project}/jobs/{job}/cancel", _cancel_job),
    ("GET", "/projects/{project}/queries/{job}", _query_results),
]
