"""A Firestore of one's own for what instances share."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="session")
def firestore(open_folder: Path) -> Iterator[str]:
    """The address of a local Firestore."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    child = subprocess.Popen(
        [sys.executable, "-m", "local.firestore", "--port", str(port), "--data", str(open_folder / "rates")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert "ready" in child.stdout.readline()
    yield f"127.0.0.1:{port}"
    child.terminate()
    child.wait(30)
    child.stdout.close()
