"""The few answers that the gateway gives by itself, in the envelope that the functions use, too."""

import json
import re
import secrets
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{8,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def correlation_id(environ: dict[str, Any]) -> str:
    """The request's own id if it is well formed, otherwise a new one."""
    given = str(environ.get("HTTP_X_CORRELATION_ID", ""))
    return given if _CORRELATION.fullmatch(given) else secrets.token_hex(16)


def refused_method(
    environ: dict[str, Any], start: Callable[..., Any], allowed: tuple[str, ...]
) -> Iterable[bytes]:
    """Answer 405 with every method that the path has, whichever function serves it."""
    message = f"This address takes {', '.join(allowed)}."
    return problem(
        environ,
        start,
        405,
        "METHOD_NOT_ALLOWED",
        message,
        retryable=False,
        headers={"Allow": ", ".join(allowed)},
    )


def problem(
    environ: dict[str, Any],
    start: Callable[..., Any],
    status: int,
    code: str,
    message: str,
    retryable: bool,
    headers: dict[str, str] | None = None,
) -> Iterable[bytes]:
    """Answer an error."""
    correlation = correlation_id(environ)
    trace = _TRACEPARENT.fullmatch(str(environ.get("HTTP_TRACEPARENT", "")))
    title = HTTPStatus(status).phrase
    body = {
        "error": {
            "code": code,
            "message": message,
            "retryable": retryable,
            "correlation_id": correlation,
            "trace_id": trace[1] if trace else secrets.token_hex(16),
        },
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": message,
    }
    return document(start, status, body, {"x-correlation-id": correlation} | (headers or {}))


def document(
    start: Callable[..., Any], status: int, body: Any, headers: dict[str, str] | None = None
) -> Iterable[bytes]:
    """Answer JSON."""
    content = json.dumps(body).encode()
    fields = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    start(f"{status} {HTTPStatus(status).phrase}", list((fields | (headers or {})).items()))
    return [content]
