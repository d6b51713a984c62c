"""Shape answers: JSON, headers, ETag, the error envelope. No stack trace or driver text leaves here."""

from __future__ import annotations

from typing import Any

from flask import Request, Response

from shared.platform.edge import throttle
from shared.platform.edge.call import Reply
from shared.platform.errors import (
    BridgeError,
    BudgetExceeded,
    MethodNotAllowed,
    QuotaExceeded,
    RateLimited,
    envelope,
)
from shared.platform.settings import BadConfiguration, settings
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry import recording
from shared.platform.text import strict_json

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'"


def respond(request: Request, result: Any) -> Response:
    """The response for what a handler returned."""
    reply = result if isinstance(result, Reply) else Reply(result, 204 if result is None else 200)
    if reply.etag is not None and _matches(request.headers.get("If-None-Match"), reply.etag):
        response = Response(status=304)
    elif reply.body is None:
        response = Response(status=reply.status)
    elif isinstance(reply.body, bytes | str):
        response = Response(reply.body, reply.status, content_type=_with_charset(reply.media_type))
    else:
        response = Response(strict_json.dumps(reply.body), reply.status, content_type="application/json")
    if reply.etag is not None:
        response.headers["ETag"] = reply.etag
    response.headers.update(reply.headers)
    for cookie in reply.cookies:
        response.set_cookie(**cookie)
    return finish(request, response)


def fail(request: Request, error: BaseException) -> Response:
    """The envelope for an error; anything that is not ours is logged and answered as INTERNAL."""
    context = telemetry.context()
    if not isinstance(error, BridgeError):
        telemetry.log_exception("an unexpected error ended the request", error)
        error = BridgeError()
    elif error.status >= 500:
        telemetry.log_exception(
            f"the request failed: {error.code}", error.__cause__ or error, code=error.code
        )
    if error.status == 429 or isinstance(error, QuotaExceeded | BudgetExceeded):
        recording.count("bridge.limit.hits", code=error.code, function=context.function)
    body = envelope(error, correlation_id=context.correlation_id, trace_id=context.trace_id)
    response = Response(strict_json.dumps(body), error.status, content_type="application/json")
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if isinstance(error, RateLimited):
        response.headers.update(error.headers)
    if isinstance(error, MethodNotAllowed) and error.details:
        response.headers["Allow"] = ", ".join(error.details["allow"])
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="bridge"'
    return finish(request, response)


def finish(request: Request, response: Response) -> Response:
    """Headers that every answer carries."""
    context = telemetry.context()
    response.headers["X-Correlation-Id"] = context.correlation_id
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    for name, value in throttle.headers(request).items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", API_POLICY)
    response.headers.setdefault("Cache-Control", "no-store")
    allow_origin(request, response)
    return response


def allow_origin(request: Request, response: Response) -> None:
    """CORS: only for the origins that the configuration names."""
    origin = request.headers.get("Origin")
    if not origin:
        return
    try:
        allowed = settings().allowed_origins
    except BadConfiguration:
        return
    response.headers.add("Vary", "Origin")
    if origin in allowed:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = (
            "X-Correlation-Id, ETag, Retry-After, RateLimit, RateLimit-Policy"
        )


def preflight(request: Request, methods: tuple[str, ...]) -> Response:
    """The answer to a browser that asks before it calls.

    A path's methods may be functions of their own, and behind API Gateway one of them answers for all; so the
    permission names every method of the API, and what a function takes is what it says in `Allow`.
    """
    response = Response(status=204)
    response.headers["Allow"] = ", ".join(methods)
    finish(request, response)
    if "Access-Control-Allow-Origin" in response.headers:
        response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST, PUT, DELETE"
        response.headers["Access-Control-Allow-Headers"] = (
            "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Bridge-CSRF, "
            "X-Correlation-Id, traceparent"
        )
        response.headers["Access-Control-Max-Age"] = "600"
    return response


def _matches(given: str | None, etag: str) -> bool:
    """Weak comparison (RFC 9110, 13.1.2)."""
    if not given:
        return False
    bare = etag.removeprefix("W/")
    return given.strip() == "*" or any(part.strip().removeprefix("W/") == bare for part in given.split(","))


def _with_charset(media_type: str) -> str:
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
