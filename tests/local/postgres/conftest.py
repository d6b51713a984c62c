"""A Postgres of the test's own, run as the stack runs it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pg8000.native
import pytest

from local import ports
from local.stack.api import temporary_home


class Postgres:
    """`python -m local.postgres` over one folder."""

    def __init__(self, data: Path) -> None:
        self.data, self.port = data, ports.free()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local.postgres", "--port", str(self.port), "--data", str(self.data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"ready 127.0.0.1:{self.port}\n".encode()

    def passwords(self) -> dict[str, str]:
        return json.loads((self.data / "passwords.json").read_text())

    def connect(self, role: str = "bridge_owner", password: str | None = None) -> pg8000.native.Connection:
        secret = self.passwords()[role] if password is None else password
        return pg8000.native.Connection(role, "127.0.0.1", "bridge", self.port, secret, ssl_context=None)

    def url(self, role: str = "bridge_owner") -> str:
        return f"postgresql://{role}:{self.passwords()[role]}@127.0.0.1:{self.port}/bridge"

    def postmaster(self) -> int:
        return int((self.data / "pgdata" / "postmaster.pid").read_text().splitlines()[0])

    def kill(self) -> None:
        """SIGKILL for the server and for the process that watches it."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.postmaster(), signal.SIGKILL)
        self.process.kill()
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


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with temporary_home() as folder:
        server = Postgres(folder / "data")
        server.start()
        yield server
        server.stop()
