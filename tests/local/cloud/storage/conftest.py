"""A running storage server and the real client that talks to it, as any program would reach it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.cloud import storage

from local import ports
from local.patience import until


@dataclass
class Running:
    """One server process over one data directory; it can be killed and started again on the same port."""

    data: Path
    port: int = field(default_factory=ports.free)
    events_url: str | None = None
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait for the ready line."""
        command = [
            sys.executable,
            "-m",
            "local.cloud.storage",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
        ]
        if self.events_url:
            command += ["--events-url", self.events_url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"ready {self.url}\n"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def client(self) -> storage.Client:
        before = os.environ.get("STORAGE_EMULATOR_HOST")
        os.environ["STORAGE_EMULATOR_HOST"] = self.url
        try:
            return storage.Client(project="bridge-local")
        finally:
            del os.environ["STORAGE_EMULATOR_HOST"]
            if before is not None:
                os.environ["STORAGE_EMULATOR_HOST"] = before

    def call(self, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.url + path, data=body, method="GET" if body is None else "POST")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def chaos(self, *rules: dict[str, Any]) -> None:
        self.call("/_local/chaos", {"rules": list(rules)})


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Servers of a test's own, stopped at its end."""
    started: list[Running] = []

    def start(events_url: str | None = None) -> Running:
        running = Running(tmp_path / f"data{len(started)}", events_url=events_url)
        started.append(running)
        running.start()
        return running

    yield start
    for running in started:
        if running.process is not None:
            running.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server that tests share; each uses a bucket of its own."""
    running = Running(tmp_path_factory.mktemp("storage"))
    running.start()
    yield running
    running.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def client(server: Running) -> storage.Client:
    return server.client()


@pytest.fixture
def bucket(client: storage.Client) -> storage.Bucket:
    return client.create_bucket(f"test-{uuid.uuid4().hex}")


@pytest.fixture
def versioned(client: storage.Client) -> storage.Bucket:
    made = client.bucket(f"test-{uuid.uuid4().hex}")
    made.versioning_enabled = True
    return client.create_bucket(made)


@pytest.fixture
def faulty(server: Running) -> Iterator[Running]:
    """The shared server, without faults again after the test."""
    yield server
    server.chaos()


@dataclass
class Event:
    headers: dict[str, str]
    resource: dict[str, Any]


@dataclass
class Receiver:
    """A CloudEvents receiver that remembers what it got; `answers` are its first statuses, then 204."""

    port: int
    received: list[Event] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/_local/events"

    def wait_for(self, count: int) -> list[Event]:
        until(lambda: len(self.received) >= count, lambda: f"{len(self.received)} of {count} events arrive")
        return list(self.received)

    def wait_for_names(self, names: set[str]) -> None:
        def missing() -> set[str]:
            return names - {event.resource["name"] for event in list(self.received)}

        until(lambda: not missing(), lambda: f"the events of {missing()} arrive")


@contextlib.contextmanager
def _receiver(port: int) -> Iterator[Receiver]:
    receiver = Receiver(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Event(headers, json.loads(body)))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def unused_port() -> int:
    return ports.free()


@pytest.fixture
def receive() -> Callable[[int], contextlib.AbstractContextManager[Receiver]]:
    """Starts receivers on a port of the test's choice: one that is down is a port without receiver."""
    return _receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with _receiver(ports.free()) as started:
        yield started
