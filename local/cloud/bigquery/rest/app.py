"""The REST surface of BigQuery v2 that the client libraries use."""

import json
import logging
from collections.abc import Callable
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.cloud.bigquery import uploads
from local.cloud.bigquery.errors import BigQueryError, internal_error
from local.cloud.bigquery.rest import datasets, jobs
from local.cloud.bigquery.rest.call import Call, Handler
from local.cloud.bigquery.service import Service
from local.cloud.faults.http_faults import PATH as CHAOS_PATH
from local.cloud.faults.http_faults import Chaos

log = logging.getLogger(__name__)


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
                return JSONResponse(
                    BigQueryError(action.status, reason, "a rule asks for this status").body(), action.status
                )
            body = await request.body()
            answer = await run_in_threadpool(_answer, service, handler, request, body)
            if action is not None and action.kind == "drop_after_apply":
                return _Dropped()
            return answer

        return serve

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def faults(request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(chaos.as_json())
        try:
            chaos.replace(json.loads(await request.body()))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(chaos.as_json())

    routes = [Route("/_local/health", health), Route(CHAOS_PATH, faults, methods=["GET", "POST", "PUT"])]
    for prefix in ("/bigquery/v2", ""):
        routes += [
            Route(prefix + path, endpoint(handler), methods=[method])
            for method, path, handler in (*datasets.ROUTES, *jobs.ROUTES)
        ]
    for prefix in ("/upload/bigquery/v2", "/resumable/upload/bigquery/v2"):
        routes.append(
            Route(prefix + "/projects/{project}/jobs", endpoint(jobs.upload), methods=["POST", "PUT"])
        )
    return Starlette(routes=routes, exception_handlers={404: _unserved, 405: _unserved})


async def _unserved(request: Request, _error: Exception) -> Response:
    """Any other call: its name, and that it is not supported."""
    error = BigQueryError(
        501,
        "notImplemented",
        f"not supported by the local BigQuery server: {request.method} {request.url.path}",
    )
    return JSONResponse(error.body(), error.status)


class _Dropped(Response):
    """The effect happened and the connection is cut."""

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
