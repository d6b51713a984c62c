"""Logs in Cloud Logging's form; spans and figures to real receivers, and to nowhere at nearly no cost."""

from __future__ import annotations

import contextvars
import gzip
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Response

from shared.platform import clock
from shared.platform import settings as settings_module
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry import recording
from tests.shared.platform.peers import Peer, serving
from tests.shared.platform.test_settings import GOOD

ROOT = Path(__file__).resolve().parents[3]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FROM = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Settings of a deployment; called with variables, they are added."""
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)

    def configure(**more: str) -> None:
        for name, value in more.items():
            monkeypatch.setenv(name, value)
        settings_module.settings.cache_clear()
        recording.reset()

    configure()
    yield configure
    settings_module.settings.cache_clear()
    recording.reset()


class Spans:
    """A real socket where the laptop's trace view would be."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.5)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = ("trace", "span", "parent", "name", "began", "ms", "function", "failed", "attributes")
        while True:
            try:
                for line in self._socket.recv(65535).splitlines():
                    yield dict(zip(names, json.loads(line), strict=True))
            except TimeoutError:
                return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def told(configured: Any) -> Iterator[Spans]:
    """Spans as they arrive."""
    spans = Spans()
    configured(BRIDGE_TRACES_ADDRESS=spans.address)
    yield spans
    spans.close()


def test_a_line_has_the_fields_that_cloud_logging_knows(
    configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Severity, message, an RFC 3339 time, the trace by its resource name, the span, string labels."""
    with telemetry.request_context("catalog-scan", "caller-1234", FROM):
        telemetry.in_team("018f-team")
        telemetry.log("scan began", "NOTICE", datasets=3, message_of="us", trace="mine")
        span_id = telemetry.context().span_id
    line = json.loads(capsys.readouterr().out)
    assert (line["severity"], line["message"], line["datasets"]) == ("NOTICE", "scan began", 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert line["logging.googleapis.com/trace"] == f"projects/acme-bridge/traces/{TRACE}"
    assert re.fullmatch(r"[0-9a-f]{16}", line["logging.googleapis.com/spanId"])
    assert line["logging.googleapis.com/spanId"] == span_id != SPAN
    assert line["logging.googleapis.com/trace_sampled"] is False
    labels = line["logging.googleapis.com/labels"]
    assert set(labels) == {"correlation_id", "function", "team"}
    assert all(isinstance(value, str) for value in labels.values())
    assert labels["correlation_id"] == "caller-1234"
    assert "018f-team" not in json.dumps(line), "the team only as a hash"


def test_lines_below_the_level_that_is_asked_for_are_not_written(
    configured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """BRIDGE_LOG_LEVEL: by default all but DEBUG; a notice counts between information and a warning."""
    for level, told in (("", 3), ("DEBUG", 4), ("WARNING", 1), ("ERROR", 0)):
        configured(**({"BRIDGE_LOG_LEVEL": level} if level else {}))
        for severity in ("DEBUG", "INFO", "NOTICE", "WARNING"):
            telemetry.log("something", severity)
        assert len(capsys.readouterr().out.splitlines()) == told, level


def test_labels_cannot_replace_what_a_line_is(configured: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A label of the name of a field does not forge it."""
    telemetry.log("true", "ERROR", time="never")
    line = json.loads(capsys.readouterr().out)
    assert (line["message"], line["severity"]) == ("true", "ERROR")
    assert line["time"] != "never"
    assert "logging.googleapis.com/trace" not in line


def test_spans_know_their_parents_also_across_threads(told: Spans) -> None:
    """Root below the caller's span, spans below the root, a thread's below the span that began it."""
    with telemetry.request_context(
        "dashboards-data", None, FROM, method="GET", route="/v1/dashboards/{slug}/data"
    ) as root:
        with telemetry.span("data.serve", dashboard_slug="flights") as span:
            span["cache_hit"] = False

            def work() -> None:
                with telemetry.span("sql.execute", query_hash="abc"):
                    pass

            thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
            thread.start()
            thread.join()
        root.answers(Response(status=200))
    inner, middle, outer = list(told)
    assert [inner["name"], middle["name"], outer["name"]] == [
        "sql.execute", "data.serve", "GET /v1/dashboards/{slug}/data",
    ]  # fmt: skip
    assert {inner["trace"], middle["trace"], outer["trace"]} == {TRACE}
    assert (inner["parent"], middle["parent"], outer["parent"]) == (middle["span"], outer["span"], SPAN)
    assert len({inner["span"], middle["span"], outer["span"], SPAN}) == 4
    assert middle["attributes"]["dashboard_slug"] == "flights"
    assert middle["attributes"]["cache_hit"] is False
    assert middle["attributes"]["duration_ms"] >= inner["attributes"]["duration_ms"]
    assert (outer["attributes"]["status"], outer["function"]) == (200, "dashboards-data")


def test_a_message_carries_the_span_that_sent_it(told: Spans) -> None:
    """The receiving step is a child of exactly that span."""
    with telemetry.request_context("a", None, None), telemetry.span("tool.execute"):
        sent = telemetry.traceparent()
    with telemetry.request_context("b", None, sent, background=True):
        pass
    spans = {span["name"]: span for span in told}
    assert spans["b"]["parent"] == spans["tool.execute"]["span"]
    assert spans["b"]["trace"] == spans["a"]["trace"]


def test_an_event_tells_its_cause_in_its_body(told: Spans) -> None:
    """What comes after belongs to the cause's trace; what is no trace changes nothing."""
    with telemetry.request_context("step", None, None):
        before = telemetry.context().trace_id
        for junk in (None, 7, "junk", {"a": 1}):
            telemetry.caused_by(junk)
        assert telemetry.context().trace_id == before
        telemetry.caused_by(FROM)
        with telemetry.span("step.run"):
            pass
    inner, root = list(told)
    assert (inner["trace"], root["trace"], root["parent"]) == (TRACE, TRACE, SPAN)
    assert inner["parent"] == root["span"]


def test_a_failed_span_is_told_as_failed_and_the_error_goes_on(told: Spans) -> None:
    """By the error's type; what it says may hold a row."""
    with pytest.raises(KeyError), telemetry.request_context("a", None, None), telemetry.span("sql.execute"):
        raise KeyError("a row's value")
    inner = list(told)[0]  # noqa: RUF015 - the others must be read, too
    assert (inner["failed"], inner["attributes"]["error_type"]) == (True, "KeyError")
    assert "row" not in json.dumps(inner)


def test_a_streams_root_ends_with_the_stream(told: Spans) -> None:
    """Not when its first byte is on its way."""
    with telemetry.request_context("chat-stream", None, None, method="POST", route="/s") as root:
        response = root.answers(Response(iter([b"a"]), status=200))
    assert list(told) == []
    response.close()
    response.close()
    assert [span["name"] for span in told] == ["POST /s"]


def test_a_receiver_that_is_away_costs_nothing_but_its_spans(configured: Any) -> None:
    """A closed port and a span that is too large are no errors of the request."""
    configured(BRIDGE_TRACES_ADDRESS="127.0.0.1:9")
    for _ in range(3):
        with telemetry.request_context("a", None, None), telemetry.span("b", text="x" * 100_000):
            pass


def test_a_loop_of_requests_is_recorded_in_part(told: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's requests whole; of a program's, the first ten of each second, each whole."""
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    for _ in range(30):
        with telemetry.request_context("a", None, None), telemetry.span("b"):
            pass
    assert [span["name"] for span in told] == ["b", "a"] * 10
    with telemetry.request_context("left out", None, None):
        unrecorded = telemetry.traceparent()
    with telemetry.request_context("a step of it", None, unrecorded):
        pass
    assert list(told) == []
    with telemetry.request_context("of a recorded one", None, FROM):
        assert telemetry.traceparent().endswith("-01")
    assert [span["name"] for span in told] == ["of a recorded one"]
    now[0] += 1
    with telemetry.request_context("c", None, None):
        pass
    assert [span["name"] for span in told] == ["c"]


def test_work_that_outlives_its_request_is_told_when_it_ends(told: Spans) -> None:
    """A turn goes on when its reader has left."""
    with telemetry.request_context("chat-stream", None, None):
        late = contextvars.copy_context()
    assert [span["name"] for span in told] == ["chat-stream"]

    def work() -> None:
        with telemetry.span("chat.stream"):
            pass

    late.run(work)
    assert [span["name"] for span in told] == ["chat.stream"]


def test_without_configuration_nothing_is_recorded(configured: Any) -> None:
    """Neither spans nor figures, and the span's context stays the request's own."""
    assert not recording.active()
    with telemetry.request_context("a", None, None):
        before = telemetry.context()
        with telemetry.span("b"):
            assert telemetry.context() is before


def test_the_sdk_is_not_imported_unless_an_endpoint_is_set() -> None:
    """Also not by a request of a function; it would cost each cold start more than 80 ms."""
    script = (
        "import sys\n"
        "from flask import Flask\n"
        "app = Flask('t')\n"
        "with app.app_context():\n"
        "    import functions.ops.health.main as door\n"
        "with app.test_request_context('/v1/health', method='DELETE') as c: door.health(c.request)\n"
        "loaded = [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "print('loaded', len(loaded))\n"
    )

    def loaded(**more: str) -> int:
        result = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
            env={**os.environ, **GOOD, "PYTHONPATH": str(ROOT), **more},
        )  # fmt: skip
        return int(next(line for line in result.stdout.splitlines() if line.startswith("loaded")).split()[1])

    assert loaded() == 0
    assert loaded(BRIDGE_TRACES_ADDRESS="127.0.0.1:9") == 0
    assert loaded(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") > 20


# OTLP ------------------------------------------------------------------------------------------


@pytest.fixture
def collector() -> Iterator[Peer]:
    """An HTTP server that takes OTLP."""

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        body = b""
        if request.path == "/token":
            body = b'{"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}'
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with serving(handle) as peer:
        yield peer


def _body(headers: dict[str, str], body: bytes) -> bytes:
    return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body


def test_spans_and_figures_arrive_at_a_collector(configured: Any, collector: Peer) -> None:
    """By the standard variables, in OTLP's protobuf, at the end of the request that caused them."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    configured(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}",
        OTEL_EXPORTER_OTLP_HEADERS="x-key=abc",
    )
    with telemetry.request_context("catalog-scan", None, FROM, method="GET", route="/r") as root:
        with telemetry.span("sql.execute", bytes_scanned=7, query_hash="h", cache_hit=True):
            recording.count("bridge.cache.reads", hit=True)
            recording.state("bridge.breaker.open", 1, circuit="x")
        root.answers(Response(status=503))
    sent = {path: (headers, body) for _, path, headers, body in collector.seen}
    assert set(sent) == {"/v1/traces", "/v1/metrics"}
    assert sent["/v1/traces"][0]["x-key"] == "abc"
    traces = ExportTraceServiceRequest.FromString(_body(*sent["/v1/traces"]))
    inner, outer = traces.resource_spans[0].scope_spans[0].spans
    assert (inner.name, outer.name) == ("sql.execute", "GET /r")
    assert {inner.trace_id.hex(), outer.trace_id.hex()} == {TRACE}
    assert (inner.parent_span_id, outer.parent_span_id.hex()) == (outer.span_id, SPAN)
    attributes = {one.key: one.value for one in inner.attributes}
    assert attributes["bytes_scanned"].int_value == 7
    assert attributes["cache_hit"].bool_value is True
    assert attributes["duration_ms"].double_value >= 0
    assert (outer.status.code, inner.status.code) == (2, 0)
    assert inner.end_time_unix_nano >= inner.start_time_unix_nano > 1_700_000_000 * 10**9
    figures = ExportMetricsServiceRequest.FromString(_body(*sent["/v1/metrics"]))
    names = {one.name for one in figures.resource_metrics[0].scope_metrics[0].metrics}
    assert names == {"bridge.cache.reads", "bridge.breaker.open", "bridge.request.duration"}


def test_a_sampler_leaves_spans_out_but_no_figures(configured: Any, collector: Peer) -> None:
    """By the standard variables. Who was recorded by a caller is recorded here, so that traces are whole."""
    configured(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}",
        OTEL_TRACES_SAMPLER="parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0",
    )
    with telemetry.request_context("a", None, None, background=True):
        pass
    assert [path for _, path, _, _ in collector.seen] == ["/v1/metrics"]
    with telemetry.request_context("a", None, FROM, background=True):
        pass
    assert sorted(path for _, path, _, _ in collector.seen) == ["/v1/metrics", "/v1/metrics", "/v1/traces"]


@pytest.mark.parametrize("google", [True, False])
def test_google_s_own_endpoint_gets_a_token_and_no_other_does(
    google: bool, configured: Any, collector: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Cloud Trace and Cloud Monitoring take OTLP from who signs in; a token must not reach anybody else."""
    from shared.platform.telemetry import otlp

    origin = f"http://127.0.0.1:{collector.port}"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = tmp_path / "account.json"
    account.write_text(
        json.dumps(
            {
                "type": "service_account",
                "client_email": "bridge-functions@bridge-test.iam.gserviceaccount.com",
                "private_key": key.decode(),
                "token_uri": f"{origin}/token",
            }
        )
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    if google:
        assert otlp._is_google("https://telemetry.googleapis.com")
        monkeypatch.setattr(otlp, "_is_google", lambda endpoint: endpoint == origin)
    configured(OTEL_EXPORTER_OTLP_ENDPOINT=origin)
    with telemetry.request_context("a", None, FROM, background=True):
        pass
    sent = {path: headers for _, path, headers, _ in collector.seen}
    assert {
        path: headers.get("authorization") for path, headers in sent.items() if path != "/token"
    } == dict.fromkeys(("/v1/traces", "/v1/metrics"), "Bearer a-token" if google else None)
    assert ("/token" in sent) is google


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        "http://telemetry.googleapis.com",
        "https://googleapis.com.evil.example",
        "https://evil.example/telemetry.googleapis.com",
        "https://telemetry.googleapis.com@evil.example",
    ],
)
def test_what_only_looks_like_google_gets_no_token(endpoint: str | None) -> None:
    """Another host, the name in a path or before an @, or no encryption."""
    from shared.platform.telemetry import otlp

    assert not otlp._is_google(endpoint)


def test_many_requests_send_together_and_a_step_sends_at_once(
    configured: Any, collector: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in some seconds pays for the others; nobody waits for a step, so it sends what there is."""
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    configured(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}")

    def sent() -> int:
        return sum(path == "/v1/traces" for _, path, _, _ in collector.seen)

    def request(**options: Any) -> None:
        with telemetry.request_context("a", None, None, **options):
            pass

    for _ in range(5):
        request()
    assert sent() == 1
    now[0] += 5.1
    request()
    assert sent() == 2
    request(background=True)
    assert sent() == 3


def test_a_collector_that_is_away_is_left_alone_for_a_while(
    configured: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No request fails, none waits for long, one line says what is lost, and memory stays bounded."""
    from shared.platform.telemetry import otlp

    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(otlp, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(otlp, "MOST_SPANS", 10)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        configured(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{taken.getsockname()[1]}")
        for number in range(40):
            with telemetry.request_context("a", None, None, background=number % 2 == 0):
                pass
    lines = [line for line in capsys.readouterr().out.splitlines() if "collector" in line]
    assert len(lines) == 1
    assert json.loads(lines[0])["severity"] == "WARNING"
    exporter: Any = recording._all()[0]
    assert len(exporter._gathered) == 10


def test_a_bundle_without_the_exporter_says_so_and_works(
    configured: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The endpoint alone does not bring the SDK into a bundle."""
    monkeypatch.setitem(sys.modules, "shared.platform.telemetry.otlp", None)
    monkeypatch.delattr("shared.platform.telemetry.otlp", raising=False)
    configured(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    with telemetry.request_context("a", None, None):
        pass
    assert "build with --otlp" in capsys.readouterr().out


@pytest.mark.slow
def test_a_job_s_end_is_measured_once(
    directory: dict[str, str], two_teams: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its request to its end, when that is durable; an end that changed nothing measures nothing."""
    from shared.platform.background import jobs
    from shared.platform.ids import TeamId, new_id
    from shared.platform.postgres import pool

    class Figures(recording.Datagrams):
        def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
            measured.append((name, value, attributes))

    measured: list[Any] = []
    figures = Figures("127.0.0.1:9")
    monkeypatch.setattr(recording, "_recorders", (figures,))
    team, job = TeamId(two_teams["ours"]["team"]), new_id()
    with pool.transaction(team) as tx:
        jobs.open_job(tx, id=job, team=team, kind="scan", user=None)
    for _ in range(2):
        with pool.transaction(team) as tx:
            jobs.finish(tx, id=job, team=team)
            assert not measured or len(measured) == 1
    figures.close()
    assert len(measured) == 1
    name, value, attributes = measured[0]
    assert (name, attributes) == ("bridge.job.duration", {"kind": "scan", "state": "completed"})
    assert 0 <= value < 60_000
