"""Secret Manager as its real client sees it."""

import itertools
import stat
import threading
from collections.abc import Iterator
from typing import NamedTuple
from uuid import uuid4

import google_crc32c
import grpc
import pytest
from google.api_core import exceptions
from google.cloud import secretmanager
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)

from local import ports
from tests.local.grpc_serving import serving

PROJECT = "projects/bridge-local"


def connect(address: str) -> secretmanager.SecretManagerServiceClient:
    channel = grpc.insecure_channel(address)
    return secretmanager.SecretManagerServiceClient(
        transport=SecretManagerServiceGrpcTransport(channel=channel)
    )


class Held(NamedTuple):
    """A client and a fresh secret without versions."""

    client: secretmanager.SecretManagerServiceClient
    name: str

    def add(self, data: bytes) -> str:
        return self.client.add_secret_version(parent=self.name, payload={"data": data}).name

    def access(self, version: str = "latest") -> bytes:
        return self.client.access_secret_version(name=f"{self.name}/versions/{version}").payload.data


def make(client: secretmanager.SecretManagerServiceClient, name: str) -> str:
    return client.create_secret(
        parent=PROJECT, secret_id=name, secret={"replication": {"automatic": {}}}
    ).name


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[secretmanager.SecretManagerServiceClient]:
    """Served beside KMS, in the same process, as the stack does."""
    port = ports.free()
    with serving("local.keys", tmp_path_factory.mktemp("keys"), "--secrets-port", str(port)):
        yield connect(f"127.0.0.1:{port}")


@pytest.fixture
def secret(client: secretmanager.SecretManagerServiceClient) -> Held:
    return Held(client, make(client, f"s{uuid4().hex[:8]}"))


def test_latest_is_the_newest_version_and_numbers_stay(secret: Held) -> None:
    """Adding a version changes `latest` and nothing else."""
    first = secret.add(b"v1")
    assert secret.access() == b"v1"
    second = secret.add(b"v2")
    assert (first, second) == (f"{secret.name}/versions/1", f"{secret.name}/versions/2")
    assert (secret.access(), secret.access("1")) == (b"v2", b"v1")


def test_the_payload_carries_a_checksum_that_fits(secret: Held) -> None:
    """CRC32C comes with the data, and a version says whether its writer sent one."""
    data = b"\x00binary\xff"
    made = secret.client.add_secret_version(
        parent=secret.name, payload={"data": data, "data_crc32c": google_crc32c.value(data)}
    )
    assert made.client_specified_payload_checksum
    payload = secret.client.access_secret_version(name=made.name).payload
    assert (payload.data, payload.data_crc32c) == (data, google_crc32c.value(data))


def test_a_wrong_checksum_is_refused_and_nothing_is_added(secret: Held) -> None:
    """INVALID_ARGUMENT, and the next version is the first."""
    with pytest.raises(exceptions.InvalidArgument, match="data_crc32c did not match"):
        secret.client.add_secret_version(parent=secret.name, payload={"data": b"x", "data_crc32c": 1})
    assert secret.add(b"x").endswith("/versions/1")


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty"), (b"x" * 65537, "65537 bytes")])
def test_an_empty_or_oversized_payload_is_refused(secret: Held, data: bytes, reason: str) -> None:
    """At least one byte, at most 64 KiB."""
    with pytest.raises(exceptions.InvalidArgument, match=reason):
        secret.add(data)


def test_missing_secrets_and_versions_are_not_found(secret: Held) -> None:
    """NOT_FOUND for an unknown secret, an unknown number and `latest` of an empty secret."""
    for name in (f"{PROJECT}/secrets/nope/versions/latest", f"{secret.name}/versions/latest"):
        with pytest.raises(exceptions.NotFound):
            secret.client.access_secret_version(name=name)
    secret.add(b"x")
    with pytest.raises(exceptions.NotFound, match="versions/7"):
        secret.access("7")
    with pytest.raises(exceptions.NotFound):
        secret.client.add_secret_version(parent=f"{PROJECT}/secrets/nope", payload={"data": b"x"})


def test_a_second_secret_of_a_name_is_refused(secret: Held) -> None:
    """ALREADY_EXISTS, and the first keeps its versions."""
    secret.add(b"x")
    with pytest.raises(exceptions.AlreadyExists):
        make(secret.client, secret.name.rpartition("/")[2])
    assert secret.access() == b"x"


def test_a_secret_without_replication_is_refused(secret: Held) -> None:
    """INVALID_ARGUMENT names the field, as the service does for global secrets."""
    with pytest.raises(exceptions.InvalidArgument, match="replication"):
        secret.client.create_secret(parent=PROJECT, secret_id="x1", secret={})


def test_a_kill_in_the_middle_of_writes_loses_nothing_that_was_acknowledged(tmp_path) -> None:
    """The file is replaced as a whole: after the kill it is the one before or after a write, never a part."""
    with serving("local.cloud.secrets", tmp_path) as server:
        held = Held(connect(server.address), make(connect(server.address), "busy"))
        known: dict[str, bytes] = {}
        enough = threading.Event()

        def write(writer: int) -> None:
            for number in itertools.count():
                value = f"{writer} {number} ".encode() + b"x" * 20_000
                try:
                    known[held.add(value)] = value
                except exceptions.GoogleAPICallError:
                    return  # The server is gone; what it had not acknowledged may be there or not.
                if len(known) >= 30:
                    enough.set()

        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for writer in writers:
            writer.start()
        assert enough.wait(60)
        server.kill()
        for writer in writers:
            writer.join()
        server.start()
        again = Held(connect(server.address), held.name)
        assert {name: again.access(name.rpartition("/")[2]) for name in known} == known


def test_secrets_survive_sigkill_in_a_file_that_only_the_owner_reads(tmp_path) -> None:
    """Served alone, killed and started again, the secret is there; the file has mode 0600."""
    with serving("local.cloud.secrets", tmp_path) as server:
        held = Held(connect(server.address), make(connect(server.address), "kept"))
        held.add(b"value")
        server.kill()
        server.start()
        assert Held(connect(server.address), held.name).access() == b"value"
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_what_nobody_calls_is_refused_by_name(secret: Held) -> None:
    """UNIMPLEMENTED; what is there stays."""
    secret.add(b"value")
    with pytest.raises(exceptions.MethodNotImplemented, match="DeleteSecret is not supported by the local"):
        secret.client.delete_secret(name=secret.name)
    with pytest.raises(exceptions.MethodNotImplemented, match=r"secret\.ttl is not supported by the local"):
        secret.client.create_secret(
            parent=PROJECT,
            secret_id="brief",
            secret={"replication": {"automatic": {}}, "ttl": {"seconds": 60}},
        )
    assert secret.access() == b"value"
