"""Where spans and figures go: nowhere, to the laptop's trace view, over OTLP to a collector, or both.

    BRIDGE_TRACES_ADDRESS         a datagram with the spans of each request to the laptop's trace view; lost if nobody looks
    OTEL_EXPORTER_OTLP_ENDPOINT   OTLP over HTTP, by the OpenTelemetry SDK, which only then is imported

Cloud Run gives no CPU between requests, so nothing here waits for a background thread: what is kept is
sent at the end of a request, before its answer leaves (shared/platform/telemetry/otlp.py says how seldom).
"""

from __future__ import annotations

import json
import socket
from typing import Any, Protocol

from shared.platform import clock
from shared.platform.settings import BadConfiguration, Settings, settings
from shared.platform.telemetry.spans import Span, complain

MOST_A_SECOND = 10
_MOST_BYTES = 32_000
_MOST_GATHERED = 50
_PLAIN = (int, float, bool, type(None))


class Recorder(Protocol):
    """Somewhere that spans and figures go."""

    def wants(self) -> bool:
        """Whether it takes the spans of a request that begins now."""

    def keep(self, span: Span) -> None:
        """Take a span that has ended."""

    def count(self, name: str, amount: float, attributes: dict[str, Any]) -> None:
        """Add to a counter."""

    def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """Add a value to a distribution."""

    def state(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """Set a value that goes up and down."""

    def flush(self, *, background: bool) -> None:
        """A request ends; of a background one nobody waits for the answer."""

    def close(self) -> None:
        """Nothing comes any more."""


_recorders: tuple[Recorder, ...] | None = None


def active() -> bool:
    """Whether anything is recorded at all."""
    return bool(_all())


def wanted() -> bool:
    """Whether the spans of a request that begins now are recorded."""
    return any(recorder.wants() for recorder in _all())


def keep(span: Span) -> None:
    """Record a span."""
    for recorder in _all():
        recorder.keep(span)


def count(name: str, amount: float = 1, **attributes: Any) -> None:
    """Add to a counter."""
    for recorder in _all():
        recorder.count(name, amount, attributes)


def measure(name: str, value: float, **attributes: Any) -> None:
    """Add a value to a distribution."""
    for recorder in _all():
        recorder.measure(name, value, attributes)


def state(name: str, value: float, **attributes: Any) -> None:
    """Set a value that goes up and down."""
    for recorder in _all():
        recorder.state(name, value, attributes)


def flush(*, background: bool) -> None:
    """Send what is due."""
    for recorder in _all():
        recorder.flush(background=background)


def reset() -> None:
    """Read the settings again at the next use. For tests, which change them."""
    global _recorders
    for recorder in _recorders or ():
        recorder.close()
    _recorders = None


def _all() -> tuple[Recorder, ...]:
    return _configured() if _recorders is None else _recorders


def _configured() -> tuple[Recorder, ...]:
    global _recorders
    try:
        config = settings()
    except BadConfiguration:
        return ()  # The request itself says so; telemetry must not come before it.
    _recorders = tuple(_made(config))
    return _recorders


def _made(config: Settings) -> list[Recorder]:
    found: list[Recorder] = []
    if config.traces_address:
        found.append(Datagrams(config.traces_address))
    if config.otlp_endpoint:
        try:
            from shared.platform.telemetry import otlp
        except ImportError as error:
            complain(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this bundle has no exporter: build with --otlp",
                error=str(error),
            )
        else:
            found.append(otlp.Exporter())
    return found


class Datagrams:
    """To the laptop's trace view: the spans of a request in one datagram, a line each, at its end.

    Sending never waits: a full or closed socket loses them. What a person does is recorded whole; of what a
    program does in a loop, as many requests a second as cost next to nothing.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address = host, int(port)
        self._gathered: list[Span] = []
        self._second, self._begun = 0, 0

    def wants(self) -> bool:
        second = int(clock.monotonic())
        if second != self._second:
            self._second, self._begun = second, 0
        self._begun += 1
        return self._begun <= MOST_A_SECOND

    def keep(self, span: Span) -> None:
        self._gathered.append(span)
        if len(self._gathered) >= _MOST_GATHERED:
            self.flush(background=False)

    def flush(self, *, background: bool) -> None:  # noqa: ARG002 - both kinds are sent alike
        spans, self._gathered = self._gathered, []
        lines: list[bytes] = []
        size = 0
        for span in spans:
            line = _line(span)
            if size + len(line) > _MOST_BYTES:
                self._send(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
        self._send(lines)

    def _send(self, lines: list[bytes]) -> None:
        try:
            if lines:
                self._socket.sendto(b"\n".join(lines), self._address)
        except OSError:
            return  # The trace view is a convenience: what it misses is missed.

    def count(self, name: str, amount: float, attributes: dict[str, Any]) -> None:
        """The view shows spans alone."""

    def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """The view shows spans alone."""

    def state(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """The view shows spans alone."""

    def close(self) -> None:
        self._socket.close()


def _line(span: Span) -> bytes:
    told = {
        name: value if type(value) in _PLAIN else str(value)[:300] for name, value in span.attributes.items()
    }
    line = [span.trace_id, span.span_id, span.parent_id, span.name, span.began, round(span.duration_ms, 3),
            span.function, span.failed, told]  # fmt: skip
    return json.dumps(line).encode()
