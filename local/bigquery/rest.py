"""The REST surface of BigQuery v2 that the client libraries use."""

import base64
import json
import logging
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.bigquery import resources, uploads
from local.bigquery.auth import Caller
from local.bigquery.errors import BigQueryError, internal_error, invalid
from local.bigquery.fields import Field, canonical_all
from local.bigquery.results import page
from local.bigquery.service import Service
from local.bigquery.store import Table
from local.bigquery.streaming import insert_all
from local.chaos import PATH as CHAOS_PATH
from local.chaos import Chaos

log = logging.getLogger(__name__)
_PAGE_ROWS = 20_000
_WAIT_S = 10.0
Answer = dict[str, Any] | Response | None


class Call:
    """One request, parsed: what every handler needs."""

    def __init__(self, request: Request, body: bytes, caller: Caller) -> None:
        self.request, self.raw, self.caller = request, body, caller
        self.path: dict[str, str] = request.path_params
        self.query = request.query_params

    @property
    def project(self) -> str:
        return self.path["project"]

    def body(self) -> dict[str, Any]:
        try:
            out = json.loads(self.raw or b"{}")
        except ValueError:
            raise BigQueryError(400, "parseError", "Parse Error: the body is not JSON") from None
        if not isinstance(out, dict):
            raise BigQueryError(400, "parseError", "Parse Error: the body is not a JSON object")
        return out

    def number(self, name: str, default: int) -> int:
        text = self.query.get(name)
        try:
            return default if text in (None, "") else int(str(text))
        except ValueError:
            raise invalid(f"Invalid value for {name}: {text}") from None

    @property
    def int_timestamps(self) -> bool:
        return self.query.get("formatOptions.useInt64Timestamp", "false").lower() == "true"


Handler = Callable[[Service, Call], Answer]


def build(service: Service) -> Starlette:
    """The ASGI application."""
    chaos = Chaos()

    def endpoint(handler: Handler) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            action = chaos.match(
                request.method, str(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
            )
            if action is not None and action.kind == "latency":
                await anyio.sleep(action.value)
            if action is not None and action.kind == "status":
                reason = {403: "quotaExceeded", 429: "rateLimitExceeded", 503: "backendError"}.get(
                    action.status, "backendError"
                )
                return JSONResponse(BigQueryError(action.status, reason, "bad weather").body(), action.status)
            body = await request.body()
            answer = await run_in_threadpool(_answer, service, handler, request, body)
            if action is not None and action.kind == "drop_after_apply":
                return _Dropped()
            return answer

        return serve

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def weather(request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(chaos.as_json())
        try:
            chaos.replace(json.loads(await request.body()))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(chaos.as_json())

    routes = [Route("/_local/health", health), Route(CHAOS_PATH, weather, methods=["GET", "POST", "PUT"])]
    for prefix in ("/bigquery/v2", ""):
        routes += [
            Route(prefix + path, endpoint(handler), methods=[method]) for method, path, handler in _ROUTES
        ]
    for prefix in ("/upload/bigquery/v2", "/resumable/upload/bigquery/v2"):
        routes.append(Route(prefix + "/projects/{project}/jobs", endpoint(_upload), methods=["POST", "PUT"]))
    return Starlette(routes=routes)


class _Dropped(Response):
    """The effect happened and the connection is cut: bad weather for callers."""

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


def _answer(service: Service, handler: Handler, request: Request, body: bytes) -> Response:
    try:
        caller = service.accounts.caller(request.headers.get("authorization"))
        if request.headers.get("content-encoding") == "gzip":
            body = uploads.inflate(body)
        answer = handler(service, Call(request, body, caller))
    except BigQueryError as error:
        status = error.status if error.status != 200 else 400
        return JSONResponse(error.body() | {}, status)
    except Exception:
        log.exception("%s %s failed", request.method, request.url.path)
        return JSONResponse(internal_error().body(), 400)
    if answer is None:
        return Response(status_code=204)
    return answer if isinstance(answer, Response) else JSONResponse(answer)


# -- paging -----------------------------------------------------------------------------------------------------------


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"o": offset}).encode()).decode().rstrip("=")


def _offset(call: Call) -> int:
    token = call.query.get("pageToken")
    if not token:
        return call.number("startIndex", 0)
    try:
        return int(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["o"])
    except (ValueError, KeyError, TypeError):
        raise invalid("Invalid page token") from None


def _listed(call: Call, items: list[Any], default: int = 1000) -> tuple[list[Any], dict[str, str]]:
    start, size = _offset(call), max(1, min(call.number("maxResults", default), 10_000))
    more = {"nextPageToken": _token(start + size)} if start + size < len(items) else {}
    return items[start : start + size], more


# -- datasets ---------------------------------------------------------------------------------------------------------


def _projects(service: Service, _call: Call) -> Answer:
    names = service.store.list_projects()
    found = [
        {"kind": "bigquery#project", "id": n, "projectReference": {"projectId": n}, "friendlyName": n}
        for n in names
    ]
    return {"kind": "bigquery#projectList", "projects": found, "totalItems": len(found)}


def _list_datasets(service: Service, call: Call) -> Answer:
    call.caller.require_metadata(f"Project {call.project}", "bigquery.datasets.get")
    items, more = _listed(call, service.store.list_datasets(call.project))
    return {"kind": "bigquery#datasetList", "datasets": [resources.dataset_item(d) for d in items]} | more


def _insert_dataset(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Project {call.project}")
    return resources.dataset(service.tables.create_dataset(call.project, call.body()))


def _get_dataset(service: Service, call: Call) -> Answer:
    call.caller.require_metadata(f"Dataset {call.project}:{call.path['dataset']}", "bigquery.datasets.get")
    return resources.dataset(service.store.get_dataset(call.project, call.path["dataset"]))


def _change_dataset(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Dataset {call.project}:{call.path['dataset']}")
    found = service.store.get_dataset(call.project, call.path["dataset"])
    _check_etag(call, resources.dataset(found)["etag"])
    return resources.dataset(
        service.tables.change_dataset(found, call.body(), whole=call.request.method == "PUT")
    )


def _delete_dataset(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Dataset {call.project}:{call.path['dataset']}")
    found = service.store.get_dataset(call.project, call.path["dataset"])
    contents = call.query.get("deleteContents", "false").lower() == "true"
    service.tables.delete_dataset(found, delete_contents=contents)
    return None


def _check_etag(call: Call, etag: str) -> None:
    wanted = call.request.headers.get("if-match")
    if wanted not in (None, "*", etag):
        raise BigQueryError(412, "conditionNotMet", "Precondition check failed.")


# -- tables -----------------------------------------------------------------------------------------------------------


def _found(service: Service, call: Call) -> Table:
    return service.tables.get(call.project, call.path["dataset"], call.path["table"])


def _shown(service: Service, table: Table) -> dict[str, Any]:
    location = service.store.get_dataset(table.project, table.dataset).location
    return resources.table(service.tables.fresh(table), location)


def _list_tables(service: Service, call: Call) -> Answer:
    call.caller.require_metadata(f"Dataset {call.project}:{call.path['dataset']}", "bigquery.tables.list")
    service.store.get_dataset(call.project, call.path["dataset"])
    found = service.store.list_tables(call.project, call.path["dataset"])
    items, more = _listed(call, found)
    out = {
        "kind": "bigquery#tableList",
        "tables": [resources.table_item(t) for t in items],
        "totalItems": len(found),
    }
    return out | more


def _insert_table(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Dataset {call.project}:{call.path['dataset']}")
    body = call.body()
    fields: list[Field] | None = None
    if body.get("view"):
        fields = service.jobs.view_fields(call.project, call.path["dataset"], body["view"].get("query", ""))
        described = (body.get("schema") or {}).get("fields")
        if described:
            fields = _described(fields, canonical_all(described))
    return _shown(service, service.tables.create(call.project, call.path["dataset"], body, fields))


def _described(fields: list[Field], given: list[Field]) -> list[Field]:
    texts = {f["name"].lower(): f.get("description") for f in given}
    return [
        f | ({"description": texts[f["name"].lower()]} if texts.get(f["name"].lower()) else {})
        for f in fields
    ]


def _get_table(service: Service, call: Call) -> Answer:
    call.caller.require_metadata(
        f"Table {call.project}:{call.path['dataset']}.{call.path['table']}", "bigquery.tables.get"
    )
    return _shown(service, _found(service, call))


def _change_table(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Table {call.project}:{call.path['dataset']}.{call.path['table']}")
    table = _found(service, call)
    body = call.body()
    location = service.store.get_dataset(table.project, table.dataset).location
    _check_etag(call, resources.table(service.tables.fresh(table), location)["etag"])
    if table.kind == "VIEW" and (body.get("view") or {}).get("query"):
        fields = service.jobs.view_fields(call.project, call.path["dataset"], body["view"]["query"])
        body = body | {"schema": {"fields": fields}}
    return _shown(service, service.tables.change(table, body, whole=call.request.method == "PUT"))


def _delete_table(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Table {call.project}:{call.path['dataset']}.{call.path['table']}")
    service.tables.delete(_found(service, call))
    return None


def _table_data(service: Service, call: Call) -> Answer:
    call.caller.require_read(f"Table {call.project}:{call.path['dataset']}.{call.path['table']}")
    table = service.tables.fresh(_found(service, call))
    if table.kind == "VIEW":
        raise invalid(f"Cannot list a table of type VIEW: {table.id}")
    fields = table.fields
    selected = call.query.get("selectedFields")
    if selected:
        wanted = {s.strip().lower() for s in selected.split(",")}
        fields = [f for f in fields if f["name"].lower() in wanted]
    total = sum(p["rows"] for p in (table.stats or {})["partitions"])
    start, size = _offset(call), max(0, min(call.number("maxResults", _PAGE_ROWS), _PAGE_ROWS))
    rows = page(
        service.engine, f'"{table.physical}"', fields, start, size, int_timestamps=call.int_timestamps
    )
    out: dict[str, Any] = {"kind": "bigquery#tableDataList", "totalRows": str(total), "rows": rows}
    if start + len(rows) < total and rows:
        out["pageToken"] = _token(start + len(rows))
    return out


def _insert_all(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Table {call.project}:{call.path['dataset']}.{call.path['table']}")
    return insert_all(service, _found(service, call), call.body())


# -- jobs -------------------------------------------------------------------------------------------------------------


def _insert_job(service: Service, call: Call) -> Answer:
    call.caller.require_jobs(call.project)
    return resources.job(service.jobs.insert(call.project, call.body(), call.caller))


def _get_job(service: Service, call: Call) -> Answer:
    return resources.job(service.jobs.get(call.project, call.path["job"], call.query.get("location")))


def _list_jobs(service: Service, call: Call) -> Answer:
    state = call.query.get("stateFilter")
    start, size = _offset(call), max(1, min(call.number("maxResults", 50), 1000))
    found = service.store.list_jobs(call.project, state.upper() if state else None, size + 1, start)
    out: dict[str, Any] = {"kind": "bigquery#jobList", "jobs": [resources.job_item(d) for d in found[:size]]}
    if len(found) > size:
        out["nextPageToken"] = _token(start + size)
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
        service, call, document, wait, 0, _PAGE_ROWS if size is None else int(size), int_timestamps
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
        _offset(call),
        call.number("maxResults", _PAGE_ROWS),
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
    size = max(0, min(size, _PAGE_ROWS))
    if size and result.total > start:
        out["rows"] = service.jobs.results.page(result, start, size, int_timestamps=int_timestamps)
    if start + size < result.total:
        out["pageToken"] = _token(start + size)
    return out


def _upload(service: Service, call: Call) -> Answer:
    call.caller.require_jobs(call.project)

    def start(body: dict[str, Any], path: Path) -> dict[str, Any]:
        return resources.job(service.jobs.insert(call.project, body, call.caller, path))

    return uploads.handle(service.engine.uploads, call.request, call.raw, start)


_TABLE = "/projects/{project}/datasets/{dataset}/tables/{table}"
_ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/projects", _projects),
    ("GET", "/projects/{project}/datasets", _list_datasets),
    ("POST", "/projects/{project}/datasets", _insert_dataset),
    ("GET", "/projects/{project}/datasets/{dataset}", _get_dataset),
    ("PATCH", "/projects/{project}/datasets/{dataset}", _change_dataset),
    ("PUT", "/projects/{project}/datasets/{dataset}", _change_dataset),
    ("DELETE", "/projects/{project}/datasets/{dataset}", _delete_dataset),
    ("GET", "/projects/{project}/datasets/{dataset}/tables", _list_tables),
    ("POST", "/projects/{project}/datasets/{dataset}/tables", _insert_table),
    ("GET", _TABLE, _get_table),
    ("PATCH", _TABLE, _change_table),
    ("PUT", _TABLE, _change_table),
    ("DELETE", _TABLE, _delete_table),
    ("GET", _TABLE + "/data", _table_data),
    ("POST", _TABLE + "/insertAll", _insert_all),
    ("GET", "/projects/{project}/jobs", _list_jobs),
    ("POST", "/projects/{project}/jobs", _insert_job),
    ("GET", "/projects/{project}/jobs/{job}", _get_job),
    ("POST", "/projects/{project}/jobs/{job}/cancel", _cancel_job),
    ("DELETE", "/projects/{project}/jobs/{job}/delete", _delete_job),
    ("POST", "/projects/{project}/queries", _query),
    ("GET", "/projects/{project}/queries/{job}", _query_results),
]
