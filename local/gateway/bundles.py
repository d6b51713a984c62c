"""Functions as they are deployed: each built bundle in a process and an environment of its own.

    request ─► BundleLoader ─► build/{function}.zip, unpacked ─► functions-framework in build/.environments/{set}

The source tree is out of reach, so a bundle that leans on something that it does not carry fails here as it
would in the cloud. A process starts at its function's first request; beyond a number of them the one that
was idle for the longest ends.
"""

import http.client
import json
import os
import queue
import shutil
import socket
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local import ports
from local.cloud.serving.process import die_with_parent
from local.gateway.loader import LoadError, Wsgi
from local.manifest import Function
from local.patience import Patience

START_SECONDS, ANSWER_SECONDS = 60.0, 660.0
_PIECE = 64 * 1024
_HOP_BY_HOP = ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "server", "date")


@dataclass
class _Process:
    """One function's server."""

    name: str
    digest: str
    port: int
    server: subprocess.Popen[bytes]
    used: float = field(default_factory=time.monotonic)
    requests: int = 0

    def end(self) -> None:
        """Stop it; requests that it still has get two seconds."""
        self.server.terminate()
        try:
            self.server.wait(2)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()


class BundleLoader:
    """Where the gateway finds functions in bundle mode."""

    def __init__(self, build: Path, most: int = 24) -> None:
        self._build, self._most = build, most
        self._processes: dict[str, _Process] = {}
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._starts: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] = (
            queue.SimpleQueue()
        )
        self._keeper: threading.Thread | None = None

    def load(self, function: Function) -> Wsgi:
        """An application that passes requests to the function's process. Raises LoadError."""
        with self._lock:
            turn = self._turns.setdefault(function.name, threading.Lock())
        with turn:  # One start of a function at a time; others start meanwhile.
            process = self._running(function) or self._start(function)
            with self._lock:
                process.used, process.requests = time.monotonic(), process.requests + 1
        return lambda environ, start: self._pass(process, environ, start)

    def loaded(self) -> list[str]:
        """The functions that have a process now."""
        return sorted(self._processes)

    def stop(self) -> None:
        """End every process."""
        with self._lock:
            ending = list(self._processes.values())
            self._processes.clear()
        for process in ending:
            process.end()

    def _running(self, function: Function) -> _Process | None:
        """The function's process, unless it ended or its bundle was built anew."""
        known = self._processes.get(function.name)
        if known is None:
            return None
        if known.server.poll() is None and known.digest == self._entry(function)["sha256"]:
            return known
        with self._lock:
            del self._processes[function.name]
        known.end()
        return None

    def _start(self, function: Function) -> _Process:
        self._make_room()
        entry = self._entry(function)
        python = self._build / ".environments" / entry["environment"] / "bin" / "python"
        if not python.exists():
            raise LoadError(
                f"{function.name} has no environment: run `python tools/verify_bundles.py --environments`"
            )
        folder = self._unpacked(function, entry["sha256"])
        port = ports.free()
        # Nothing of this process's Python: its path would put the source tree within the bundle's reach.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {"K_SERVICE": function.name, "THREADS": "32"}
        command = [
            str(python), "-I", "-m", "functions_framework", "--source", "main.py", "--target", function.entry_point,
            "--host", "127.0.0.1", "--port", str(port),
        ]  # fmt: skip
        server = self._kept(
            lambda: subprocess.Popen(command, cwd=folder, env=environment, preexec_fn=die_with_parent)
        )
        process = _Process(function.name, entry["sha256"], port, server)
        _wait(process)
        with self._lock:
            self._processes[function.name] = process
        return process

    def _unpacked(self, function: Function, digest: str) -> Path:
        """The bundle's files; unpacked once for each build of it."""
        folder = self._build / ".unpacked" / function.name / digest[:16]
        if not folder.exists():
            shutil.rmtree(folder.parent, ignore_errors=True)
            begun = folder.with_name("begun")
            with zipfile.ZipFile(self._build / f"{function.name}.zip") as archive:
                archive.extractall(begun)
            begun.rename(folder)
        return folder

    def _entry(self, function: Function) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self._build / "bundles.json").read_text())[function.name]
        except (OSError, ValueError, KeyError) as error:
            raise LoadError(f"{function.name} has no bundle: run `make build`") from error
        return found

    def _make_room(self) -> None:
        """End the processes that were idle for the longest while there are too many."""
        ending = []
        with self._lock:
            idle = sorted((one.used, one.name) for one in self._processes.values() if not one.requests)
            while len(self._processes) >= self._most and idle:
                ending.append(self._processes.pop(idle.pop(0)[1]))
        for one in ending:
            one.end()

    def _kept(self, start: Callable[[], Any]) -> Any:
        """Start a child from a thread that lives as long as this process: the kernel ends the child with it."""
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
            self._keeper.start()
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._starts.put((start, answer))
        return answer.get()

    def _keep(self) -> None:
        while True:
            start, answer = self._starts.get()
            answer.put(start())

    def _pass(self, process: _Process, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=ANSWER_SECONDS)
        try:
            connection.request(environ["REQUEST_METHOD"], _target(environ), *_body(environ))
            response = connection.getresponse()
        except BaseException:
            self._done(process, connection)
            raise
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP]
        start(f"{response.status} {response.reason}", headers)
        return _Stream(response, lambda: self._done(process, connection))

    def _done(self, process: _Process, connection: http.client.HTTPConnection) -> None:
        connection.close()
        with self._lock:
            process.requests -= 1


class _Stream:
    """An answer piece by piece, as it comes. Closing it, also in the middle, hangs up on the function."""

    def __init__(self, response: http.client.HTTPResponse, done: Callable[[], None]) -> None:
        self._response, self._done = response, done
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._response.read1(_PIECE):
            yield piece

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._done()


def _target(environ: dict[str, Any]) -> str:
    """The request's path as it was sent; of a step's own address only what stands behind its name."""
    path = str(environ.get("RAW_URI", "")).split("?", 1)[0]
    if not path or path.startswith("/_fn/"):
        path = quote(environ.get("PATH_INFO") or "/")
    query = environ.get("QUERY_STRING")
    return f"{path}?{query}" if query else path


def _body(environ: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """The body to send on and the request's headers."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-"): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") and name not in ("HTTP_CONNECTION", "HTTP_TRANSFER_ENCODING")
    }
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = str(environ["CONTENT_TYPE"])
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length:
        headers["Content-Length"] = str(length)
    headers["Connection"] = "close"
    return (environ["wsgi.input"] if length else None), headers


def _wait(process: _Process) -> None:
    """Until the server takes connections; raises LoadError when it ends or takes too long."""
    patience = Patience(START_SECONDS)
    while True:
        try:
            socket.create_connection(("127.0.0.1", process.port), timeout=START_SECONDS).close()
            return
        except OSError:
            pass
        if process.server.poll() is not None:
            raise LoadError(f"{process.name} ended with {process.server.returncode} while it was loaded")
        if patience.over():
            process.end()
            raise LoadError(f"{process.name} did not start within {START_SECONDS:.0f} s")
        time.sleep(0.01)
