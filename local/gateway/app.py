"""The gateway as a WSGI application: find the function, hand it the request untouched, log what came.

/_local/…      the laptop's own pages, some of them answered by the dispatch process
/_fn/<name>    a function under its own address, as the cloud's queues call it
anything else  the public routes of the manifest
"""

import http.client
import io
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from local.gateway import status, traces
from local.gateway.answers import correlation_id, document, problem, refused_method
from local.gateway.config import Config
from local.gateway.front import Front, NoSignature
from local.gateway.loader import Loader, LoadError
from local.gateway.routes import Match, Routes
from local.manifest import Function, LastGood, Watched

MAX_BODY = 32 * 1024 * 1024  # Cloud Run's limit for HTTP/1 requests.
_IN_MEMORY = 1024 * 1024
_CODES = {400: "VALIDATION_ERROR", 404: "NOT_FOUND", 413: "PAYLOAD_TOO_LARGE", 502: "SERVICE_UNAVAILABLE"}


class Gateway:
    """Serves every function of the manifest."""

    def __init__(self, config: Config, loader: Loader) -> None:
        self._config, self._loader = config, loader
        self._front = Front(config.identity, config.step_url) if config.identity else None
        # Made before the workers fork, so that all of them share it.
        self._manifest = Watched(config.manifest, LastGood())
        self._routes: tuple[tuple[Function, ...], Routes] = ((), Routes(()))
        # Read at once: a worker whose first look comes after the manifest broke has no last good one.
        self.routes()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        record = _Record(environ)

        def started(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            record.started(line, headers)
            return start(line, headers, exc_info) if exc_info else start(line, headers)

        return _Logged(self._answer(environ, started, record), record, environ["REQUEST_METHOD"] == "HEAD")

    def routes(self) -> Routes:
        """The route table of the manifest as it is now."""
        functions = self._manifest.functions()
        known, table = self._routes
        if functions is not known:
            table = Routes(functions)
            # One assignment: a table is never kept under the name of another reading.
            self._routes = (functions, table)
        return table

    def _answer(
        self, environ: dict[str, Any], start: Callable[..., Any], record: "_Record"
    ) -> Iterable[bytes]:
        path = environ.get("PATH_INFO") or "/"
        if path == "/_local" or path.startswith("/_local/"):
            return self._local(environ, start, path)
        wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "")
        match = self.routes().find(environ["REQUEST_METHOD"], path, wanted)
        if match is None:
            message = "Nothing is served at this path."
            if self._manifest.problem:
                message = "The functions are unknown: run `make manifest`."
                _log("ERROR", f"the manifest can't be read: {self._manifest.problem}")
            return problem(environ, start, 404, "NOT_FOUND", message, retryable=False)
        record.function = match.function.name
        if match.allowed:
            return refused_method(environ, start, match.allowed)
        try:
            body = _bounded(environ)
        except OSError:  # gunicorn's errors of chunked bodies are OSErrors.
            message = "The body breaks off, or its chunks can't be read."
            return problem(environ, start, 400, "BAD_REQUEST", message, retryable=False)
        if body is None:
            message = f"The body is larger than {MAX_BODY} bytes."
            return problem(environ, start, 413, "PAYLOAD_TOO_LARGE", message, retryable=False)
        return self._call(match, environ | {"wsgi.input": body}, start)

    def _call(self, match: Match, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if self._front is not None:
            try:
                environ = self._front.admit(match.function.kind, match.function.name, environ)
            except NoSignature:
                message = "The token has no signature."
                return problem(environ, start, 401, "UNAUTHENTICATED", message, retryable=False)
        try:
            app = self._loader.load(match.function)
        except LoadError as error:
            cause = "".join(traceback.format_exception(error.__cause__ or error))
            _log(
                "ERROR",
                f"{match.function.name} can't be loaded: {error}",
                function=match.function.name,
                stack=cause,
            )
            message = f"The function {match.function.name} can't be loaded; logs/gateway.log has the reason."
            return problem(environ, start, 500, "INTERNAL", message, retryable=True)
        try:
            return app(environ | {"SCRIPT_NAME": "", "PATH_INFO": match.path}, start)
        except Exception as error:
            cause = "".join(traceback.format_exception(error))
            name = match.function.name
            _log("ERROR", f"{name} did not answer: {error}", function=name, stack=cause)
            message = f"The function {name} did not answer; logs/gateway.log has the reason."
            return problem(environ, start, 502, "SERVICE_UNAVAILABLE", message, retryable=True)

    def _local(self, environ: dict[str, Any], start: Callable[..., Any], path: str) -> Iterable[bytes]:
        if path == "/_local/health":
            return document(start, 200, {"status": "ok"})
        if path in ("/_local", "/_local/"):
            return document(start, 200, status.describe(self._config, self.routes(), self._loader))
        if self._config.dispatch is None:
            return problem(
                environ, start, 404, "NOT_FOUND", "Nothing is served at this path.", retryable=False
            )
        if traces.is_ours(path):
            try:
                return traces.answer(self._config.dispatch, environ, start)
            except (OSError, ValueError) as error:
                _log("WARNING", f"the dispatch process did not answer: {error}")
                message = "The dispatch process is away."
                return problem(environ, start, 503, "SERVICE_UNAVAILABLE", message, retryable=True)
        return _forward(self._config.dispatch, environ, start)


def _bounded(environ: dict[str, Any]) -> IO[bytes] | None:
    """The body to read, or None when it is too large. A chunked body is read first to know its size."""
    stream: IO[bytes] = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    if length:
        return stream if length.isdecimal() and int(length) <= MAX_BODY else None
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() != "chunked":
        return stream
    spooled: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the request's
    size = 0
    while chunk := stream.read(65536):
        size += len(chunk)
        if size > MAX_BODY:
            return None
        spooled.write(chunk)
    spooled.seek(0)
    environ["CONTENT_LENGTH"] = str(size)
    return spooled


def _forward(address: str, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Pass one of the laptop's own requests to the dispatch process."""
    host, _, port = address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=660)
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers = {"Content-Type": environ.get("CONTENT_TYPE") or "application/json"}
    try:
        connection.request(environ["REQUEST_METHOD"], environ["PATH_INFO"], body or None, headers)
        response = connection.getresponse()
        content = json.loads(response.read() or b"{}")
        if response.status >= 400 and isinstance(content.get("error"), str):
            code = _CODES.get(response.status, "INTERNAL")
            return problem(environ, start, response.status, code, content["error"], retryable=False)
        return document(start, response.status, content)
    except (OSError, ValueError) as error:
        _log("WARNING", f"the dispatch process did not answer: {error}")
        return problem(
            environ, start, 503, "SERVICE_UNAVAILABLE", "The dispatch process is away.", retryable=True
        )
    finally:
        connection.close()


class _Record:
    """One request's line in the access log. The query string is left out: it can carry tickets."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._begun = time.perf_counter()
        self._method, self._path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        self._correlation = correlation_id(environ)
        self._status = 0
        self.function: str | None = None
        self.sent = 0

    def started(self, line: str, headers: list[tuple[str, str]]) -> None:
        self._status = int(line.split(" ", 1)[0])
        for name, value in headers:
            if name.lower() == "x-correlation-id":
                self._correlation = value

    def write(self) -> None:
        latency = time.perf_counter() - self._begun
        _log(
            "ERROR" if self._status >= 500 else "INFO",
            f"{self._method} {self._path} {self._status}",
            function=self.function,
            correlation_id=self._correlation,
            httpRequest={
                "requestMethod": self._method,
                "requestUrl": self._path,
                "status": self._status,
                "responseSize": self.sent,
                "latency": f"{latency:.6f}s",
            },
        )


class _Logged:
    """Passes a response through chunk by chunk, so that streams stay streams, and logs its end."""

    def __init__(self, inner: Iterable[bytes], record: _Record, head: bool = False) -> None:
        # gunicorn sends what it is given: a body after the answer to HEAD would be read as the next answer.
        self._inner, self._record, self._head = inner, record, head
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in () if self._head else self._inner:
            self._record.sent += len(chunk)
            yield chunk

    def close(self) -> None:
        """End the function's response, also when the client left in the middle of it."""
        if self._closed:
            return
        self._closed = True
        try:
            if hasattr(self._inner, "close"):
                self._inner.close()
        finally:
            self._record.write()


def _log(severity: str, message: str, **fields: Any) -> None:
    entry = {"severity": severity, "time": _now(), "message": message, "service": "gateway"} | fields
    line = io.StringIO()
    json.dump(entry, line, default=str)
    sys.stderr.write(line.getvalue() + "\n")
    sys.stderr.flush()


def _now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}Z"
