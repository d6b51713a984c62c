"""The latest spans of every function on this laptop, in memory: one datagram each, kept as it came.

Reading a datagram costs the functions nothing and this process next to nothing, so parsing waits until
somebody looks. What is beyond the bounds is forgotten, oldest first.
"""

import collections
import json
import re
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MOST_SPANS = 20_000
MOST_BYTES = 16 * 1024 * 1024
MOST_LISTED = 1000
_LARGEST = 65_535
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_END_OF_TIME = 253_402_300_800  # the year 10,000: later moments have no date


@dataclass(frozen=True)
class Span:
    """A piece of work of a function, as it told it."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    began: float
    duration_ms: float
    function: str
    failed: bool
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> float:
        return self.began + self.duration_ms / 1000


class Traces:
    """What came in, and how it looks from outside."""

    def __init__(self) -> None:
        self._raw: collections.deque[bytes] = collections.deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def listen(self, port: int) -> None:
        """Take datagrams on loopback, in a thread that lives as long as the process."""
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        receiver.bind(("127.0.0.1", port))

        def take() -> None:
            while True:
                self.add(receiver.recv(_LARGEST))

        threading.Thread(target=take, name="traces", daemon=True).start()

    def add(self, raw: bytes) -> None:
        """Keep one datagram: a span on each line."""
        with self._lock:
            lines = raw.split(b"\n")
            self._raw.extend(lines)
            self._bytes += sum(map(len, lines))
            while len(self._raw) > MOST_SPANS or self._bytes > MOST_BYTES:
                self._bytes -= len(self._raw.popleft())

    def spans(self) -> list[Span]:
        """Every span that can be read; what another program sent to this port is passed over."""
        with self._lock:
            kept = list(self._raw)
        return [span for raw in kept if (span := _read(raw)) is not None]

    def listing(self, text: str = "", limit: int = 100, before: str = "") -> dict[str, Any]:
        """A page of the traces whose spans mention the text, newest first.

        `older` is what the next page takes as `before`, None at the end: a place in time, so that what comes in
        meanwhile moves nothing.
        """
        found = [
            _summary(id, spans) for id, spans in _by_trace(self.spans()).items() if _mentions(spans, text)
        ]
        found.sort(key=_place, reverse=True)
        if (behind := _parsed(before)) is not None:
            found = [one for one in found if _place(one) < behind]
        limit = max(1, min(limit, MOST_LISTED))
        began, trace_id = _place(found[min(limit, len(found)) - 1]) if found else (0.0, "")
        return {
            "traces": found[:limit],
            "older": f"{began!r}-{trace_id}" if len(found) > limit else None,
        }

    def detail(self, trace_id: str) -> dict[str, Any] | None:
        """One trace: its spans in the order of a waterfall, each with its depth and its place in time."""
        spans = _by_trace(self.spans()).get(trace_id)
        if not spans:
            return None
        began = min(span.began for span in spans)
        rows = [
            {
                "span_id": span.span_id,
                "parent_id": span.parent_id,
                "name": span.name,
                "function": span.function,
                "depth": depth,
                "offset_ms": round((span.began - began) * 1000, 2),
                "duration_ms": span.duration_ms,
                "failed": span.failed,
                "attributes": span.attributes,
            }
            for depth, span in _waterfall(spans)
        ]
        return _summary(trace_id, spans) | {"rows": rows}


def _place(summary: dict[str, Any]) -> tuple[float, str]:
    """Where a trace stands in the list; the id decides between two that began together."""
    return float(summary["began"]), str(summary["trace_id"])


def _parsed(place: str) -> tuple[float, str] | None:
    began, dash, trace_id = place.rpartition("-")
    try:
        return (float(began), trace_id) if dash else None
    except ValueError:
        return None


def _read(raw: bytes) -> Span | None:
    """The span of a line, or None for what a page could not show: anything on this machine may send."""
    try:
        span = Span(*json.loads(raw))
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (span.span_id, span.parent_id, span.name, span.function)
    if not all(isinstance(text, str) for text in texts) or not isinstance(span.attributes, dict):
        return None
    if not isinstance(span.trace_id, str) or not _TRACE_ID.fullmatch(span.trace_id):
        return None
    times = (span.began, span.duration_ms)
    if not all(isinstance(number, int | float) and 0 <= number < _END_OF_TIME for number in times):
        return None
    return span if isinstance(span.failed, bool) else None


def _by_trace(spans: Iterable[Span]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for span in spans:
        found.setdefault(span.trace_id, []).append(span)
    return found


def _root(spans: list[Span]) -> Span:
    """The first span whose cause is not among them: the request that began it all."""
    known = {span.span_id for span in spans}
    return min(
        (span for span in spans if span.parent_id not in known), key=lambda span: span.began, default=spans[0]
    )


def _summary(trace_id: str, spans: list[Span]) -> dict[str, Any]:
    root, began = _root(spans), min(span.began for span in spans)
    return {
        "trace_id": trace_id,
        "began": began,
        "name": root.name,
        "function": root.function,
        "status": root.attributes.get("status"),
        "duration_ms": root.duration_ms,
        "lasted_ms": round((max(span.ended for span in spans) - began) * 1000, 2),
        "spans": len(spans),
        "functions": sorted({span.function for span in spans}),
        "failed": any(span.failed for span in spans),
    }


def _mentions(spans: list[Span], text: str) -> bool:
    wanted = text.strip().lower()
    return not wanted or any(
        wanted
        in f"{span.trace_id} {span.name} {span.function} {json.dumps(span.attributes, ensure_ascii=False)}".lower()
        for span in spans
    )


def _waterfall(spans: list[Span]) -> list[tuple[int, Span]]:
    """Each span below its cause, siblings by time. A cause that is missing or goes round counts as none."""
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.began):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    found: list[tuple[int, Span]] = []
    seen: set[str] = set()
    waiting = [(0, span) for span in reversed(children.get("", []))]
    while waiting:
        depth, span = waiting.pop()
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        found.append((depth, span))
        waiting += [(depth + 1, child) for child in reversed(children.get(span.span_id, []))]
    return found + [(0, span) for span in spans if span.span_id not in seen]
