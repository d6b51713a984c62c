"""The world of the dispatch tests: a real dispatch process, a real client, a receiver that writes down."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from local import ports

LOCATION = "projects/bridge-local/locations/us-central1"


@dataclass(frozen=True)
class Call:
    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = int | tuple[int, dict[str, str]]


@dataclass
class Receiver:
    """Answers each call by a script and remembers it."""

    calls: list[Call] = field(default_factory=list)
    script: Callable[[Call], Answer] = lambda _call: 200
    port: int = 0
    open_now: int = 0
    most_open: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str = "/step") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def bodies(self) -> list[bytes]:
        return [call.body for call in list(self.calls)]


@contextlib.contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True  # Who called was killed amid the request.
                return
            call = Call(time.time(), self.command, self.path, dict(self.headers), body)
            with receiver.lock:
                receiver.calls.append(call)
                receiver.open_now += 1
                receiver.most_open = max(receiver.most_open, receiver.open_now)
            answer = receiver.script(call)
            with receiver.lock:
                receiver.open_now -= 1
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_PUT = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", port), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


class Dispatch:
    """A dispatch process over one data folder, on the same ports each time it starts."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data, self.arguments = data, arguments
        self.port, self.grpc_port = ports.free(), ports.free()
        self.process: subprocess.Popen[bytes] | None = None
        self._channel: grpc.Channel | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local.dispatch", "--port", str(self.port), "--grpc-port", str(self.grpc_port),
             "--data", str(self.data), "--no-clock", *self.arguments],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith(b"ready ")

    def client(self) -> tasks_v2.CloudTasksClient:
        self._channel = self._channel or grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}")
        return tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=self._channel))

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data,
            headers or {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def idle(self) -> bool:
        return bool(self.ask("GET", "/_local/dispatch")[1]["idle"])

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._close()

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait()
        self._close()
        return code

    def _close(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None


@contextlib.contextmanager
def dispatching(data: Path, *arguments: str) -> Iterator[Dispatch]:
    process = Dispatch(data, *arguments)
    process.start()
    try:
        yield process
    finally:
        process.stop()
