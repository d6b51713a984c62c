"""What every server of the laptop's cloud promises as a process, whichever service it plays."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import ports


@dataclass(frozen=True)
class Kind:
    """A module, and the options whose value is a port."""

    module: str
    ports: tuple[str, ...] = ("--port",)
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.module


KINDS = [
    Kind("local.cloud.storage"),
    Kind("local.cloud.firestore"),
    Kind("local.cloud.bigquery"),
    Kind("local.cloud.kms"),
    Kind("local.cloud.secrets"),
    Kind("local.cloud.tasks"),
    Kind("local.keys", ("--port", "--secrets-port")),
    Kind("local.dispatch", ("--port", "--grpc-port"), ("--no-clock",)),
]


class Running:
    def __init__(self, kind: Kind, data: Path) -> None:
        self.ports = [ports.free() for _ in kind.ports]
        given = [
            part for option, port in zip(kind.ports, self.ports, strict=True) for part in (option, str(port))
        ]
        command = [sys.executable, "-m", kind.module, *given, "--data", str(data), *kind.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()

    def listening(self) -> set[tuple[str, int]]:
        """The addresses that the process listens on, from the kernel's tables."""
        inodes = {
            os.readlink(entry).removeprefix("socket:[").removesuffix("]")
            for entry in Path(f"/proc/{self.process.pid}/fd").iterdir()
            if os.readlink(entry).startswith("socket:[")
        }
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    address, _, port = fields[1].rpartition(":")
                    # gRPC's sockets are of IPv6 and bound to the IPv4 loopback in IPv6's notation.
                    found.add((address.removeprefix("0000000000000000FFFF0000"), int(port, 16)))
        return found

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's tables under /proc")
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_server_listens_on_the_loopback_only_and_ends_when_told(kind: Kind, tmp_path: Path) -> None:
    """Ready, it listens on 127.0.0.1 and nowhere else; it ends with 0, and starts over what it left. What a start
    costs is measured by `make bench`."""
    for _ in range(2):
        running = Running(kind, tmp_path)
        try:
            assert running.line.startswith("ready ")
            assert running.listening() == {("0100007F", port) for port in running.ports}
        finally:
            assert running.stop() == 0


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_port_that_is_taken_ends_the_start(kind: Kind, tmp_path: Path) -> None:
    """A second server on the same port fails instead of sharing it, and says so."""
    running = Running(kind, tmp_path / "first")
    try:
        given = [p for o, n in zip(kind.ports, running.ports, strict=True) for p in (o, str(n))]
        second = subprocess.run(
            [sys.executable, "-m", kind.module, *given, "--data", str(tmp_path / "second"), *kind.options],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert second.returncode != 0
        assert not second.stdout.startswith("ready ")
        assert second.stderr.strip()
    finally:
        assert running.stop() == 0
