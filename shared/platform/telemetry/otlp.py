"""Spans and figures over OTLP/HTTP, by the OpenTelemetry SDK. Imported only where an endpoint is configured.

The SDK's own batching waits for a background thread, which has no CPU on Cloud Run between requests. Here
a request that ends sends what has gathered, before its answer leaves: a step always, since nobody waits for
it, an endpoint at most every few seconds, so that of many readers one pays some milliseconds (a collector
beside the service, as a sidecar, keeps them few). What is left is sent when the instance is told to stop. A
collector that does not answer is left alone for a while and loses what came meanwhile.

Endpoint, headers, compression, sampler and resource attributes are the standard OTEL_* variables. An endpoint of Google's
(https://telemetry.googleapis.com, which feeds Cloud Trace and Cloud Monitoring) gets a token of our account; no other does.
"""

from __future__ import annotations

import atexit
import threading
import uuid
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from shared.platform import clock
from shared.platform.settings import service_name, settings
from shared.platform.telemetry.spans import Span, complain

EVERY_SECONDS = 5.0
PATIENCE_SECONDS = 2.0
PAUSE_SECONDS = 30.0
MOST_SPANS = 2048
_SCOPE = InstrumentationScope("bridge")
_GOOGLE = ".googleapis.com"
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Exporter:
    """Gathers in memory and sends at the end of requests."""

    def __init__(self) -> None:
        google = _is_google(settings().otlp_endpoint)
        self._resource = Resource.create(
            {"service.name": "bridge", "service.instance.id": uuid.uuid4().hex}
            | _named()
            | ({"gcp.project_id": settings().project} if google else {})
        )
        session = _google_session() if google else None
        self._spans_out = OTLPSpanExporter(timeout=PATIENCE_SECONDS, session=session)
        self._figures_out = OTLPMetricExporter(timeout=PATIENCE_SECONDS, session=session)
        # The provider reads OTEL_TRACES_SAMPLER; nothing else of it is used.
        self._sampler, self._ids = TracerProvider(shutdown_on_exit=False).sampler, RandomIdGenerator()
        self._reader = InMemoryMetricReader()
        self._meter = MeterProvider([self._reader], self._resource, shutdown_on_exit=False).get_meter(
            "bridge"
        )
        self._instruments: dict[str, Any] = {}
        self._gathered: list[Span] = []
        self._lost = 0
        self._due = clock.monotonic()
        self._lock, self._sending = threading.Lock(), threading.Lock()
        atexit.register(self._send)

    def wants(self) -> bool:
        drawn = self._sampler.should_sample(None, self._ids.generate_trace_id(), "request")
        return drawn.decision is Decision.RECORD_AND_SAMPLE

    def keep(self, span: Span) -> None:
        with self._lock:
            if len(self._gathered) < MOST_SPANS:
                self._gathered.append(span)
            else:
                self._lost += 1

    def count(self, name: str, amount: float, attributes: dict[str, Any]) -> None:
        self._instrument(name, self._meter.create_counter).add(amount, attributes)

    def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        self._instrument(name, self._meter.create_histogram).record(value, attributes)

    def state(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        self._instrument(name, self._meter.create_gauge).set(value, attributes)

    def flush(self, *, background: bool) -> None:
        now = clock.monotonic()
        if now < self._due - (EVERY_SECONDS if background else 0):
            return
        self._send()

    def close(self) -> None:
        atexit.unregister(self._send)

    def _send(self) -> None:
        if not self._sending.acquire(blocking=False):
            return  # Another request sends just now.
        try:
            with self._lock:
                spans, self._gathered = self._gathered, []
            sent = (
                not spans
                or self._spans_out.export([self._readable(s) for s in spans]) is SpanExportResult.SUCCESS
            )
            if sent and (figures := self._reader.get_metrics_data()) is not None:
                sent = self._figures_out.export(figures) is MetricExportResult.SUCCESS
            # The end of the pause lies beyond EVERY_SECONDS, so that it holds for steps, too.
            self._due = clock.monotonic() + (EVERY_SECONDS if sent else PAUSE_SECONDS + EVERY_SECONDS)
            if not sent:
                self._complain(len(spans))
        finally:
            self._sending.release()

    def _complain(self, lost: int) -> None:
        complain(
            "the telemetry collector does not answer; what was gathered is lost",
            spans=lost + self._lost,
            pause_seconds=PAUSE_SECONDS,
        )
        self._lost = 0

    def _instrument(self, name: str, make: Any) -> Any:
        with self._lock:
            if name not in self._instruments:
                self._instruments[name] = make(name, unit=_unit(name))
            return self._instruments[name]

    def _readable(self, span: Span) -> ReadableSpan:
        began = int(span.began * 1e9)
        trace = int(span.trace_id, 16)
        return ReadableSpan(
            span.name,
            context=_context(trace, span.span_id, remote=False),
            parent=_context(trace, span.parent_id, remote="status" in span.attributes)
            if span.parent_id
            else None,
            resource=self._resource,
            attributes=_allowed(span.attributes | {"faas.name": span.function}),
            kind=SpanKind.SERVER if "status" in span.attributes else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
            start_time=began,
            end_time=began + int(span.duration_ms * 1e6),
            instrumentation_scope=_SCOPE,
        )


def _is_google(endpoint: str | None) -> bool:
    where = urlsplit(endpoint or "")
    return where.scheme == "https" and (where.hostname or "").endswith(_GOOGLE)


def _google_session() -> Any:
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    return AuthorizedSession(google.auth.default(scopes=[_GOOGLE_SCOPE])[0])


def _context(trace: int, span_id: str, *, remote: bool) -> SpanContext:
    return SpanContext(trace, int(span_id, 16), remote, TraceFlags(TraceFlags.SAMPLED))


def _allowed(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str | bool | int | float) else str(value)
        for name, value in attributes.items()
        if value is not None
    }


def _named() -> dict[str, str]:
    name = service_name()
    return {"faas.name": name} if name else {}


def _unit(name: str) -> str:
    endings = {"duration": "ms", "age": "ms", "tokens": "{token}", "cost": "USD"}
    return endings.get(name.rpartition(".")[2], "1")
