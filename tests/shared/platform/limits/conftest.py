"""A Firestore of one's own for what instances share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import ports

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="session")
def firestore(open_folder: Path) -> Iterator[str]:
    """The address of a local Firestore."""
    port = ports.free()
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "local.cloud.firestore",
            "--port",
            str(port),
            "--data",
            str(open_folder / "rates"),
        ],
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
