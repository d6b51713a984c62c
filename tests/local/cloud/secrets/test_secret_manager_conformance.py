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
State = secretmanager.SecretVersion.State


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
    """INVALID_ARGUMENT, and the secret still has no version."""
    with pytest.raises(exceptions.InvalidArgument, match="data_crc32c did not match"):
        secret.client.add_secret_version(parent=secret.name, payload={"data": b"x", "data_crc32c": 1})
    assert list(secret.client.list_secret_versions(parent=secret.name)) == []


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


def test_a_disabled_version_is_closed_until_enabled(secret: Held) -> None:
    """FAILED_PRECONDITION tells the state, also for `latest`: an older version never stands in."""
    secret.add(b"old")
    name = secret.add(b"new")
    assert secret.client.disable_secret_version(name=name).state == State.DISABLED
    for version in ("2", "latest"):
        with pytest.raises(exceptions.FailedPrecondition, match="is in DISABLED state"):
            secret.access(version)
    secret.client.enable_secret_version(name=name)
    assert secret.access() == b"new"


def test_a_destroyed_version_never_comes_back(secret: Held) -> None:
    """DESTROYED is final: no access, no enabling, no second destruction; the number is not reused."""
    name = secret.add(b"gone")
    assert secret.client.destroy_secret_version(name=name).state == State.DESTROYED
    for call in (
        secret.client.access_secret_version,
        secret.client.enable_secret_version,
        secret.client.destroy_secret_version,
    ):
        with pytest.raises(exceptions.FailedPrecondition, match="DESTROYED"):
            call(name=name)
    assert secret.add(b"next").endswith("/versions/2")


def test_versions_are_listed_newest_first_in_pages(secret: Held) -> None:
    """Three versions in pages of two."""
    for data in (b"1", b"2", b"3"):
        secret.add(data)
    pages = secret.client.list_secret_versions(request={"parent": secret.name, "page_size": 2}).pages
    assert [[one.name[-1] for one in page.versions] for page in pages] == [["3", "2"], ["1"]]


def test_deleting_a_secret_takes_its_versions(secret: Held) -> None:
    """Afterwards it is missing, and a new one of the name starts at version 1."""
    secret.add(b"x")
    secret.client.delete_secret(name=secret.name)
    with pytest.raises(exceptions.NotFound):
        secret.client.get_secret(name=secret.name)
    make(secret.client, secret.name.rpartition("/")[2])
    assert secret.add(b"y").endswith("/versions/1")
    assert secret.access() == b"y"


def test_a_second_secret_of_a_name_is_refused(secret: Held) -> None:
    """ALREADY_EXISTS, and the first keeps its versions."""
    secret.add(b"x")
    with pytest.raises(exceptions.AlreadyExists):
        make(secret.client, secret.name.rpartition("/")[2])
    assert secret.access() == b"x"


def test_a_stale_etag_is_refused(secret: Held) -> None:
    """FAILED_PRECONDITION when the secret changed since it was read."""
    read = secret.client.get_secret(name=secret.name)
    labelled = {"name": secret.name, "labels": {"a": "b"}, "etag": read.etag}
    assert dict(secret.client.update_secret(secret=labelled, update_mask={"paths": ["labels"]}).labels)
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        secret.client.update_secret(secret=labelled, update_mask={"paths": ["labels"]})


def test_an_alias_names_a_version(secret: Held) -> None:
    """version_aliases work where a number does."""
    secret.add(b"old")
    secret.add(b"new")
    aliased = {"name": secret.name, "version_aliases": {"stable": 1}}
    secret.client.update_secret(secret=aliased, update_mask={"paths": ["version_aliases"]})
    assert secret.access("stable") == b"old"


@pytest.mark.parametrize("alias", ["latest", "NEW", "1st", "a b", "a" * 64, ""])
def test_an_alias_has_a_form(secret: Held, alias: str) -> None:
    """A letter first, at most 63 characters, and none of the reserved words."""
    secret.add(b"value")
    aliased = {"name": secret.name, "version_aliases": {alias: 1}}
    with pytest.raises(exceptions.InvalidArgument, match="version_aliases"):
        secret.client.update_secret(secret=aliased, update_mask={"paths": ["version_aliases"]})
    assert not secret.client.get_secret(name=secret.name).version_aliases


def test_an_alias_needs_its_version(secret: Held) -> None:
    """One that points nowhere would be found out when the secret is needed."""
    aliased = {"name": secret.name, "version_aliases": {"stable": 1}}
    with pytest.raises(exceptions.InvalidArgument, match="does not exist"):
        secret.client.update_secret(secret=aliased, update_mask={"paths": ["version_aliases"]})


@pytest.mark.parametrize("name", ["latest", "stable"])
@pytest.mark.parametrize("change", ["disable", "enable", "destroy"])
def test_what_changes_a_version_names_its_number(secret: Held, change: str, name: str) -> None:
    """An alias that moved meanwhile would destroy another version than was meant."""
    secret.add(b"value")
    aliased = {"name": secret.name, "version_aliases": {"stable": 1}}
    secret.client.update_secret(secret=aliased, update_mask={"paths": ["version_aliases"]})
    with pytest.raises(exceptions.InvalidArgument, match="number"):
        getattr(secret.client, f"{change}_secret_version")(name=f"{secret.name}/versions/{name}")
    assert secret.access(name) == b"value"


def test_listing_shows_the_projects_secrets(secret: Held) -> None:
    """Only those of the parent."""
    assert secret.name in [one.name for one in secret.client.list_secrets(parent=PROJECT)]
    assert list(secret.client.list_secrets(parent="projects/other")) == []


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
