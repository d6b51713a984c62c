"""Logs in Cloud Logging's form, and the ids that tie one request's lines together.

One JSON object a line on stdout. No secret and no row value is ever logged: callers pass names,
counts and durations. The context (correlation id, trace, function, team) is attached here.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from shared.platform import strict_json

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{8,128}\Z")


@dataclass(frozen=True)
class Context:
    """What every log line of this request carries."""

    correlation_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    function: str = ""
    team: str = ""


_NO_REQUEST = Context()
_context: ContextVar[Context] = ContextVar("bridge_context", default=_NO_REQUEST)


def context() -> Context:
    """The ids of the request that this thread is serving."""
    return _context.get()


@contextmanager
def request_context(function: str, correlation_id: str | None, traceparent: str | None) -> Iterator[Context]:
    """Take the caller's ids when they are well formed, make them otherwise."""
    match = _TRACEPARENT.match(traceparent or "")
    trace_id = match[1] if match and match[1] != "0" * 32 else secrets.token_hex(16)
    known = correlation_id if correlation_id and _CORRELATION.match(correlation_id) else secrets.token_hex(12)
    made = Context(known, trace_id, secrets.token_hex(8), function)
    token = _context.set(made)
    try:
        yield made
    finally:
        _context.reset(token)


def in_team(team: str) -> None:
    """Mark the lines that follow with a hash of the team."""
    _context.set(replace(_context.get(), team=hashlib.sha256(team.encode()).hexdigest()[:12]))


def traceparent() -> str:
    """The W3C header that carries this trace on."""
    current = context()
    return f"00-{current.trace_id or secrets.token_hex(16)}-{current.span_id or secrets.token_hex(8)}-01"


def log(message: str, severity: str = "INFO", **labels: Any) -> None:
    """One structured line; `labels` are names, counts and durations."""
    current = context()
    line: dict[str, Any] = {"severity": severity, "message": message, "time": time.time()}
    for name in ("correlation_id", "function", "team"):
        if value := getattr(current, name):
            line[name] = value
    if current.trace_id:
        line["logging.googleapis.com/trace"] = current.trace_id
        line["logging.googleapis.com/spanId"] = current.span_id
    sys.stdout.write(strict_json.dumps(line | _plain(labels)).decode() + "\n")
    sys.stdout.flush()


def log_exception(message: str, error: BaseException, **labels: Any) -> None:
    """An ERROR line with the type and the place of an unexpected error."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    log(
        message,
        "ERROR",
        error_type=type(error).__name__,
        error=str(error)[:500],
        at=[f"{frame.filename.rsplit('/', 3)[-1]}:{frame.lineno} {frame.name}" for frame in frames[-6:]],
        **labels,
    )


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[dict[str, Any]]:
    """Time a piece of work; the dictionary that is yielded takes more attributes."""
    started = time.perf_counter()
    extra: dict[str, Any] = dict(attributes)
    try:
        yield extra
    except BaseException as error:
        extra["error_type"] = type(error).__name__
        raise
    finally:
        extra["duration_ms"] = round((time.perf_counter() - started) * 1000, 2)
        if logging.getLogger("bridge").isEnabledFor(logging.DEBUG) or "error_type" in extra:
            log(f"span {name}", "DEBUG", span=name, **extra)


def _plain(labels: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)
        for key, value in labels.items()
    }
