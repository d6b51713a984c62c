"""`/_local/traces`: the trace view. The dispatch process holds the spans; this asks it and draws."""

import http.client
import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlencode

from local.gateway.answers import document, problem
from local.traces import page

Start = Callable[..., Any]
_PATH = re.compile(r"/_local/traces(?:/([0-9a-f]{32}))?/?")


def is_ours(path: str) -> bool:
    """Whether the trace view answers this path."""
    return path == "/_local/traces.css" or path == "/_local/traces" or path.startswith("/_local/traces/")


def answer(dispatch: str, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """The list, one trace, or the style sheet; as JSON with `?format=json`."""
    path = str(environ.get("PATH_INFO"))
    if path == "/_local/traces.css":
        return _send(start, page.STYLE, "text/css; charset=utf-8")
    match = _PATH.fullmatch(path)
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        message = "This address takes GET."
        return problem(
            environ, start, 405, "METHOD_NOT_ALLOWED", message, retryable=False, headers={"Allow": "GET"}
        )
    given = {name: values[0] for name, values in parse_qs(str(environ.get("QUERY_STRING", ""))).items()}
    asked = urlencode([(name, given[name]) for name in ("q", "limit", "before") if name in given])
    found = _ask(dispatch, f"{path.rstrip('/')}?{asked}") if match else None
    if found is None:
        message = "There is no such trace any more: only the latest are kept, in memory."
        return problem(environ, start, 404, "NOT_FOUND", message, retryable=False)
    if given.get("format") == "json":
        return document(start, 200, found)
    shown = page.detail(found) if match and match[1] else page.listing(found, given.get("q", ""))
    return _send(start, shown, "text/html; charset=utf-8")


def _ask(dispatch: str, path: str) -> Any | None:
    host, _, port = dispatch.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        content = json.loads(response.read() or b"{}")
        return content if response.status == 200 else None
    finally:
        connection.close()


def _send(start: Start, text: str, media_type: str) -> Iterable[bytes]:
    content = text.encode()
    start(
        "200 OK",
        [
            ("Content-Type", media_type),
            ("Content-Length", str(len(content))),
            ("Content-Security-Policy", page.POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ],
    )
    return [content]
