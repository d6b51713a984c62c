"""Whatever is asked, and however: what comes back is our envelope, never a page of the framework's."""

import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.test import Client

from local.gateway.loader import SourceLoader
from local.manifest import Function

ROOT = Path(__file__).resolve().parents[2]
MANIFEST: list[dict[str, Any]] = json.loads((ROOT / "functions" / "manifest.json").read_text())["functions"]


def envelope(content: bytes, content_type: str, status: int) -> dict[str, Any]:
    """The error of an answer, which must be one of ours."""
    assert content_type == "application/json", content[:200]
    body = json.loads(content)
    assert body["status"] == status
    assert {"code", "message", "retryable", "correlation_id", "trace_id"} <= set(body["error"])
    assert not re.search(rb"<[a-z]|Traceback|werkzeug|File \\\"", content)
    return dict(body["error"])


@pytest.fixture(scope="module")
def loader() -> SourceLoader:
    return SourceLoader(ROOT)


@pytest.mark.parametrize("function", MANIFEST, ids=lambda function: function["name"])
def test_what_flask_would_answer_is_answered_by_the_function(
    function: dict[str, Any], loader: SourceLoader
) -> None:
    """Paths that the framework's routes do not match, and no redirects of its own."""
    app: Any = loader.load(
        Function(
            name=function["name"], source=function["source"], entry_point=function["entry_point"], kind="http"
        )
    )
    client = Client(app)
    for path in ("/a\nb", "/robots.txt", "/favicon.ico", "/a\n"):
        answer = client.open(path, method="GET", headers={"X-Correlation-Id": "caller-1234"})
        if function.get("local_only") and answer.status_code == 500:
            return  # It must know where it runs first, and no environment is set here.
        assert answer.status_code in (401, 404, 405)
        error = envelope(answer.data, str(answer.content_type), answer.status_code)
        assert error["code"] in ("UNAUTHENTICATED", "NOT_FOUND", "METHOD_NOT_ALLOWED")
        assert answer.headers["Content-Security-Policy"]
    answer = client.open("/a//b", method="GET")
    assert answer.status_code != 308


def test_a_crash_outside_the_function_says_nothing_of_its_cause(loader: SourceLoader) -> None:
    """functions-framework's own handler answers with the exception's text."""
    known = next(function for function in MANIFEST if function["name"] == "ops-health")
    app: Any = loader.load(
        Function(name="ops-health", source=known["source"], entry_point=known["entry_point"], kind="http")
    )

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("postgres://user:secret@host")

    flask = app.__self__ if hasattr(app, "__self__") else app
    view = flask.view_functions["run"]
    flask.view_functions["run"] = crash
    try:
        answer = Client(app).get("/v1/health")
    finally:
        flask.view_functions["run"] = view
    assert envelope(answer.data, str(answer.content_type), 500)["code"] == "INTERNAL"
    assert b"secret" not in answer.data


@pytest.mark.stack
@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET /v1/auth/me%0A HTTP/1.1\r\nHost: x\r\n\r\n", (401, 404)),
        ("GET /v1/dashboards/a%0Ab HTTP/1.1\r\nHost: x\r\n\r\n", (401, 404)),
        ("GET /v1/onboarding/teams/%0D%0A HTTP/1.1\r\nHost: x\r\n\r\n", (401, 404)),
        ("GET //v1/auth/me HTTP/1.1\r\nHost: x\r\n\r\n", (404,)),
        ("GET /v1//auth/me HTTP/1.1\r\nHost: x\r\n\r\n", (404,)),
        ("GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n", (404,)),
        ("GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n", (404,)),
        ("GET /v1/dashboards/%ff HTTP/1.1\r\nHost: x\r\n\r\n", (401, 404)),
        ("GET /_fn/ops-health/a%0Ab HTTP/1.1\r\nHost: x\r\n\r\n", (404,)),
        ("GET /_fn/none HTTP/1.1\r\nHost: x\r\n\r\n", (404,)),
        ("GET /_local/none HTTP/1.1\r\nHost: x\r\n\r\n", (404,)),
        ("BREW /v1/auth/me HTTP/1.1\r\nHost: x\r\n\r\n", (405,)),
        ("GET / HTTP/9.9\r\nHost: x\r\n\r\n", (400,)),
        ("nonsense\r\n\r\n", (400,)),
        ("GET / HTTP/1.1\r\nHost x\r\n\r\n", (400,)),
        ("GET / HTTP/1.1\r\nA b: c\r\n\r\n", (400,)),
        ("GET /" + "a" * 9000 + " HTTP/1.1\r\nHost: x\r\n\r\n", (414,)),
        ("GET / HTTP/1.1\r\n" + "".join(f"X-{n}: y\r\n" for n in range(120)) + "\r\n", (431,)),
        ("GET / HTTP/1.1\r\nX: " + "y" * 9000 + "\r\n\r\n", (431,)),
        ("POST /v1/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", (400,)),
        ("POST /v1/auth/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", (400, 401, 501)),
        ("POST /v1/auth/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", (400,)),
        ("POST /v1/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", (413,)),
    ],
    ids=lambda value: re.sub(r"[^ -~]+", " ", value)[:50].strip() if isinstance(value, str) else "",
)
def test_over_the_wire_every_refusal_is_in_the_envelope(
    request_text: str, status: tuple[int, ...], world: Any
) -> None:
    """Bytes that client libraries would not send, straight to the gateway."""
    where = urlsplit(world.url)
    with socket.create_connection((where.hostname, where.port)) as connection:
        connection.sendall(request_text.encode("latin-1"))
        with connection.makefile("rb") as file:
            head = b"".join(iter(file.readline, b"\r\n")).decode("latin-1").lower()
            length = re.search(r"^content-length: (\d+)", head, re.MULTILINE)
            assert length, head
            body = file.read(int(length[1]))
    got = int(head.split()[1])
    media_type = re.search(r"^content-type: (\S+)", head, re.MULTILINE)
    assert got in status
    assert media_type
    envelope(body, media_type[1], got)
