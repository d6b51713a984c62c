"""What a request tells of itself: logs in Cloud Logging's form, spans, figures, and the ids that tie them together.

    traceparent ─► request ─┬─ span ─┬─ span …          each has the one around it as its parent
                            │        └─ message, object ─► step: its request is a child of this span
                            └─ log lines with the trace, the span, the correlation id, the function, the team

Logs are one JSON object a line on stdout. Spans and figures go nowhere by default and then cost next to
nothing; shared/platform/telemetry/recording.py says where they can go. No secret and no row value is ever told:
callers pass names, counts and durations.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from flask import Response

from shared.platform import clock
from shared.platform.settings import BadConfiguration, settings
from shared.platform.telemetry import recording
from shared.platform.telemetry.spans import Span
from shared.platform.text import strict_json

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")
_SEVERITIES = ("DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL")
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{8,128}\Z")


@dataclass(frozen=True)
class Context:
    """What every log line of this request carries."""

    correlation_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    function: str = ""
    team: str = ""
    recorded: bool = False
    """Whether its spans are kept."""


_NO_REQUEST = Context()
_context: ContextVar[Context] = ContextVar("bridge_context", default=_NO_REQUEST)


def context() -> Context:
    """The ids of the request that this thread is serving."""
    return _context.get()


class Request:
    """The root span of one request. A stream's ends with the stream."""

    def __init__(
        self, context: Context, parent_id: str, attributes: dict[str, Any], background: bool
    ) -> None:
        self.attributes = attributes
        self._context, self._parent_id, self._background = context, parent_id, background
        self._began, self._started = time.time(), time.perf_counter()
        self._streams = self.over = False

    def answers(self, response: Response) -> Response:
        """Take note of the answer."""
        self.attributes["status"] = response.status_code
        if response.is_streamed:
            self._streams = True
            response.call_on_close(self.end)
        return response

    def continues(self, trace_id: str, parent_id: str) -> None:
        """It belongs to another trace than it began in."""
        self._parent_id = parent_id
        self._context = replace(self._context, trace_id=trace_id)
        _context.set(replace(_context.get(), trace_id=trace_id))

    def leave(self) -> None:
        """The handler is done; only a stream goes on."""
        if not self._streams:
            self.end()

    def end(self) -> None:
        """Record the span and the request's duration, once."""
        if self.over or not recording.active():
            return
        self.over = True
        duration = (time.perf_counter() - self._started) * 1000
        attributes = self.attributes
        function, status = self._context.function, int(attributes.get("status", 0))
        name = f"{attributes['method']} {attributes['route']}" if "route" in attributes else function
        if self._context.recorded:
            recording.keep(
                Span(
                    name,
                    self._context.trace_id,
                    self._context.span_id,
                    self._parent_id,
                    self._began,
                    duration,
                    function,
                    attributes | {"duration_ms": round(duration, 2)},
                    failed=status >= 500,
                )
            )
        recording.measure(
            "bridge.step.duration" if self._background else "bridge.request.duration",
            duration,
            function=function,
            status=status,
        )
        recording.flush(background=self._background)


_request: ContextVar[Request | None] = ContextVar("bridge_request", default=None)


@contextmanager
def request_context(
    function: str,
    correlation_id: str | None,
    traceparent: str | None,
    *,
    background: bool = False,
    **attributes: Any,
) -> Iterator[Request]:
    """Take the caller's ids when they are well formed, make them otherwise."""
    match = _TRACEPARENT.match(traceparent or "")
    trace_id, parent_id = (
        (match[1], match[2]) if match and match[1] != "0" * 32 else (secrets.token_hex(16), "")
    )
    known = correlation_id if correlation_id and _CORRELATION.match(correlation_id) else secrets.token_hex(12)
    # Who records the cause wants the rest as well: a trace is recorded whole.
    recorded = recording.active() if match and int(match[3], 16) & 1 else recording.wanted()
    made = Context(known, trace_id, secrets.token_hex(8), function, recorded=recorded)
    request = Request(made, parent_id, attributes | {"correlation_id": known}, background)
    tokens = _context.set(made), _request.set(request)
    try:
        yield request
    finally:
        _context.reset(tokens[0])
        _request.reset(tokens[1])
        request.leave()


def caused_by(traceparent: Any) -> None:
    """The request's cause, where only its body tells it: an object's event has no such header."""
    match = _TRACEPARENT.match(traceparent) if isinstance(traceparent, str) else None
    request = _request.get()
    if match and request is not None:
        request.continues(match[1], match[2])


def in_team(team: str) -> None:
    """Mark the lines that follow with a hash of the team."""
    _context.set(replace(_context.get(), team=hashlib.sha256(team.encode()).hexdigest()[:12]))


def traceparent() -> str:
    """The W3C header that carries this trace on."""
    current = context()
    return f"00-{current.trace_id or secrets.token_hex(16)}-{current.span_id or secrets.token_hex(8)}-{int(current.recorded):02}"


class span:
    """Time a piece of work; the dictionary that is yielded takes more attributes.

        with telemetry.span("sql.execute", query_hash=hash) as told:
            told["bytes_scanned"] = …

    Where nothing is recorded, only a failure is told, as a log line.
    """

    __slots__ = ("_around", "_attributes", "_began", "_name", "_started")

    def __init__(self, name: str, **attributes: Any) -> None:
        self._name, self._attributes = name, attributes
        self._around: Context | None = None

    def __enter__(self) -> dict[str, Any]:
        self._started = time.perf_counter()
        around = _context.get()
        if around.recorded:
            self._around, self._began = around, time.time()
            _context.set(replace(around, span_id=secrets.token_hex(8)))
        return self._attributes

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        duration = (time.perf_counter() - self._started) * 1000
        if error is not None:
            self._attributes["error_type"] = type(error).__name__
            log(
                f"span {self._name}",
                "DEBUG",
                span=self._name,
                duration_ms=round(duration, 2),
                **self._attributes,
            )
        around = self._around
        if around is None:
            return
        here = _context.get()
        _context.set(replace(here, span_id=around.span_id))
        recording.keep(
            Span(
                self._name,
                here.trace_id,
                here.span_id,
                around.span_id,
                self._began,
                duration,
                here.function,
                self._attributes | {"duration_ms": round(duration, 2)},
                failed=error is not None,
            )
        )
        request = _request.get()
        if request is not None and request.over:
            # A turn that went on when its reader had left: nothing else will send it soon.
            recording.flush(background=True)


def log(message: str, severity: str = "INFO", **labels: Any) -> None:
    """One structured line, if it is as severe as BRIDGE_LOG_LEVEL asks; `labels` are names, counts and durations.

    The names with slashes are Cloud Logging's own: it moves them out of the payload into the entry.
    """
    if _SEVERITIES.index(severity) < _SEVERITIES.index(_least_severity()):
        return
    current = context()
    line: dict[str, Any] = {"severity": severity, "message": message, "time": clock.iso(clock.now())}
    ours = {
        name: value for name in ("correlation_id", "function", "team") if (value := getattr(current, name))
    }
    if ours:
        line["logging.googleapis.com/labels"] = ours
    if current.trace_id:
        line["logging.googleapis.com/trace"] = _trace_name(current.trace_id)
        line["logging.googleapis.com/spanId"] = current.span_id
        line["logging.googleapis.com/trace_sampled"] = current.recorded
    sys.stdout.write(strict_json.dumps(_plain(labels) | line).decode() + "\n")
    sys.stdout.flush()


def _least_severity() -> str:
    try:
        return settings().log_level
    except BadConfiguration:
        return "INFO"  # What is wrong with the settings must be told, too.


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


def _trace_name(trace_id: str) -> str:
    """The trace's resource name, which the log viewer links by; the bare id where there is no project."""
    try:
        return f"projects/{settings().project}/traces/{trace_id}"
    except BadConfiguration:
        return trace_id


def _plain(labels: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)
        for key, value in labels.items()
    }
