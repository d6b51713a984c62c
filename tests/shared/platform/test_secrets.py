"""Secrets by reference, over the real client and the local Secret Manager."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import AlreadyExists

from shared.platform.cloud import secrets
from shared.platform.errors import Unavailable
from tests.servers import launched

ROOT = Path(__file__).resolve().parents[3]
PARENT = "projects/bridge-local"


@pytest.fixture
def manager(tmp_path: Path, directory: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A running Secret Manager and its client."""
    from shared.platform import settings as module

    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        keys, port = one.getsockname()[1], two.getsockname()[1]
    arguments = ("--port", str(keys), "--secrets-port", str(port), "--data", str(tmp_path))
    with launched("local.keys", *arguments):
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", f"127.0.0.1:{port}")
        module.settings.cache_clear()
        secrets._client.cache_clear()
        monkeypatch.setattr(secrets, "_known", {})
        yield secrets._client()
        secrets._client.cache_clear()


def store(client: Any, name: str, value: bytes) -> str:
    with contextlib.suppress(AlreadyExists):
        client.create_secret(parent=PARENT, secret_id=name, secret={"replication": {"automatic": {}}})
    version = client.add_secret_version(parent=f"{PARENT}/secrets/{name}", payload={"data": value})
    return str(version.name)


def test_a_reference_is_resolved_and_a_plain_value_is_itself(manager: Any) -> None:
    """The payload comes back as text, without the newline that an editor left."""
    name = store(manager, "anthropic-key", b"value-one\n")
    assert secrets.is_reference(name)
    assert secrets.resolve(name) == "value-one"
    assert secrets.resolve("sk-plain") == "sk-plain"


def test_an_instance_reads_a_secret_once(manager: Any) -> None:
    """`latest` stays what it was when this instance first looked."""
    store(manager, "rotating", b"old")
    latest = f"{PARENT}/secrets/rotating/versions/latest"
    assert secrets.resolve(latest) == "old"
    store(manager, "rotating", b"new")
    assert secrets.resolve(latest) == "old"
    secrets._known.clear()
    assert secrets.resolve(latest) == "new"


def test_a_secret_that_is_not_there_is_unavailable(manager: Any) -> None:
    """The message names no secret."""
    with pytest.raises(Unavailable) as caught:
        secrets.resolve(f"{PARENT}/secrets/missing/versions/1")
    assert "missing" not in caught.value.message
