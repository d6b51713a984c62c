"""A Firestore of one's own for what instances share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local import ports
from tests.servers import launched


@pytest.fixture(scope="session")
def firestore(open_folder: Path) -> Iterator[str]:
    """The address of a local Firestore."""
    port = ports.free()
    with launched("local.cloud.firestore", "--port", str(port), "--data", str(open_folder / "rates")):
        yield f"127.0.0.1:{port}"
