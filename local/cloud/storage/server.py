"""The HTTP face: one thread for each connection, HTTP/1.1 with keep-alive, bodies that stream.

The standard library's server is enough here: a small read or write takes about a millisecond, and a thread that
waits for a slow client holds no lock.
"""

import json
import logging
import socket
import sqlite3
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local.cloud.faults import http_faults
from local.cloud.storage.database import Database
from local.cloud.storage.errors import ApiError, invalid
from local.cloud.storage.events import Outbox
from local.cloud.storage.files import Files
from local.cloud.storage.resumable import forget_expired
from local.cloud.storage.routes import dispatch
from local.cloud.storage.service import Storage
from local.cloud.storage.wire import Body, BrokenBody, HttpRequest, Response, json_response

_LOG = logging.getLogger(__name__)
_DRAIN = 64 * 1024 * 1024
_IDLE = 600.0


class StorageServer(ThreadingHTTPServer):
    """The listening socket and what the handlers share."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], storage: Storage):
        self.storage = storage
        self.chaos = http_faults.Chaos()
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        _LOG.exception("a connection from %s failed", client_address)


def open_server(port: int, data: Path, events_url: str | None) -> StorageServer:
    """Open the data directory, clear what a killed process left behind, and listen; `serve_forever` serves."""
    data.mkdir(parents=True, exist_ok=True)
    database, files = Database(data / "storage.db"), Files(data)
    outbox = Outbox(database, events_url) if events_url else None
    storage = Storage(database, files, outbox, f"http://127.0.0.1:{port}")
    # The port first: a second server over the same folder ends here, before it sweeps what the first one writes.
    server = StorageServer(("127.0.0.1", port), storage)
    with database.write() as tx:
        forget_expired(tx)
        files.sweep(_column(tx, "SELECT blob FROM objects"), _open_uploads(tx))
    if outbox is not None:
        outbox.start()
    return server


def _open_uploads(tx: sqlite3.Connection) -> set[str]:
    return _column(tx, "SELECT id FROM uploads WHERE finished IS NULL")


def _column(tx: sqlite3.Connection, sql: str) -> set[str]:
    return {row[0] for row in tx.execute(sql)}


class _Handler(BaseHTTPRequestHandler):
    """Frames requests and answers; everything else is in `routes`."""

    server: StorageServer
    protocol_version = "HTTP/1.1"
    server_version = "local-storage"
    sys_version = ""
    timeout = _IDLE
    rbufsize = 256 * 1024
    wbufsize = 256 * 1024
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        _LOG.debug(format, *args)

    def _serve(self) -> None:
        try:
            request = HttpRequest(self.command, self.path, self.headers, self._body())
            local = request.raw_path.startswith("/_local/")
            action = None if local else self.server.chaos.match(request.method, request.target)
            if action is not None and action.kind == "latency":
                time.sleep(action.value)
            if action is not None and action.kind == "status":
                answer = _refused_by_chaos(action.status)
            else:
                answer = _answer(self.server, request)
            if not request.body.drain(_DRAIN):
                self.close_connection = True
            if action is not None and action.kind == "drop_after_apply":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._send(answer)
        except (BrokenBody, ConnectionError, TimeoutError):
            # The client has gone; whatever it had not finished was not applied.
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def _body(self) -> Body:
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return Body(self.rfile, None, chunked=True)
        length = self.headers.get("Content-Length") or "0"
        if not (length.isascii() and length.isdigit()):
            raise BrokenBody
        return Body(self.rfile, int(length))

    def _send(self, answer: Response) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, _header(value))
        body = answer.body
        if isinstance(body, bytes):
            if answer.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            return
        chunked = answer.length is None
        self.send_header(
            *(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(answer.length)))
        )
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            for chunk in body:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        except (ConnectionError, TimeoutError):
            raise
        except Exception:
            # The status line is gone already: a cut connection is the only honest error left.
            _LOG.exception("reading an object failed half way")
            self.close_connection = True
            return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")


def _answer(server: StorageServer, request: HttpRequest) -> Response:
    storage = server.storage
    try:
        if request.raw_path.startswith("/_local/"):
            return _local(server, request)
        return dispatch(storage, request)
    except ApiError as error:
        return _error(error)
    except (BrokenBody, ConnectionError, TimeoutError):
        raise
    except Exception:
        _LOG.exception("%s %s failed", request.method, request.target)
        message = "Internal error: see the storage server's log."
        return _error(ApiError(500, "internalError", message))


def _error(error: ApiError) -> Response:
    return Response(error.status, {"Content-Type": "application/json; charset=UTF-8"}, error.json_body())


def _refused_by_chaos(status: int) -> Response:
    error = ApiError(status, "chaos", f"A rule posted to {http_faults.PATH} asks for this status.")
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    if status in (429, 503):
        headers["Retry-After"] = "0"
    return Response(status, headers, error.json_body())


def _local(server: StorageServer, request: HttpRequest) -> Response:
    if request.raw_path == "/_local/health" and request.method == "GET":
        with server.storage.database.read() as db:
            (pending,) = db.execute("SELECT count(*) FROM events").fetchone()
        return json_response({"status": "ok", "pending_events": pending})
    if request.raw_path == http_faults.PATH and request.method in ("GET", "POST"):
        if request.method == "POST":
            try:
                server.chaos.replace(json.loads(request.body.read_all()))
            except ValueError as error:
                raise invalid(str(error)) from error
        return json_response(server.chaos.as_json())
    raise ApiError(404, "notFound", f"There is no {request.method} {request.raw_path}.")


def _header(value: str) -> str:
    """Header values are latin-1 on the wire; names and metadata may hold anything: UTF-8 bytes, as the service."""
    return value.replace("\r", " ").replace("\n", " ").encode().decode("latin-1")
