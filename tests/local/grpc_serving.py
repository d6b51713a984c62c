"""Start one gRPC server of the laptop's cloud as the stack does: a process, a free port, a data folder."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local import ports


class Serving:
    """A running server process; `kill` is SIGKILL, `start` again is the restart after it."""

    def __init__(self, module: str, data: Path, *options: str, port: int | None = None) -> None:
        self.port = port or ports.free()
        self._command = [
            sys.executable,
            "-m",
            module,
            "--port",
            str(self.port),
            "--data",
            str(data),
            *options,
        ]
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "Serving":
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready "), f"{self._command} said {line!r}"
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self._reap()

    def _reap(self) -> int:
        assert self.process is not None
        try:
            return self.process.wait()
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()


@contextmanager
def serving(module: str, data: Path, *options: str, **more: Any) -> Iterator[Serving]:
    server = Serving(module, data, *options, **more).start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
