"""Envelope encryption over the real KMS client: what belongs elsewhere or was damaged never opens."""

import struct
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.api_core import exceptions
from google.cloud.kms_v1.types import service as messages
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.cloud import keys
from shared.platform.errors import InvalidCiphertext, Unavailable
from tests.local.cloud.kms.conftest import LOCATION, connect
from tests.local.grpc_serving import Serving, serving

pytestmark = pytest.mark.slow

OURS, THEIRS = "team-1/connection-1", "team-2/connection-1"
SECRET = b'{"private_key": "a canary"}'


class Way(grpc.GenericRpcHandler):
    """The way to the key service and back, on which an answer can be damaged."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self.damage: Callable[[Any], None] = lambda answer: None
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def service(self, details: Any) -> Any:
        method = details.method
        kind = messages.EncryptResponse if method.endswith("/Encrypt") else messages.DecryptResponse

        def forward(request: bytes, context: Any) -> bytes:
            try:
                answer = kind.deserialize(self._channel.unary_unary(method)(request))
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            self.damage(answer)
            return bytes(kind.serialize(answer))

        return grpc.unary_unary_rpc_method_handler(forward)

    def close(self) -> None:
        self._server.stop(None)
        self._channel.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving("local.cloud.kms", tmp_path_factory.mktemp("kms")) as running:
        yield running


@pytest.fixture(scope="module")
def key(service: Serving) -> str:
    client = connect(service.address)
    ring = client.create_key_ring(parent=LOCATION, key_ring_id="directory", key_ring={})
    made = client.create_crypto_key(
        parent=ring.name, crypto_key_id="credentials", crypto_key={"purpose": 1}, timeout=10
    )
    client.transport.close()
    return str(made.name)


@pytest.fixture
def way(
    service: Serving, key: str, directory: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Way]:
    """The platform's client, its requests passing through here."""
    from shared.platform import settings as module

    made = Way(service.address)
    monkeypatch.setenv("BRIDGE_KMS_KEY", key)
    monkeypatch.setenv("KMS_EMULATOR_HOST", f"127.0.0.1:{made.port}")
    module.settings.cache_clear()
    keys._client.cache_clear()
    yield made
    keys._client().transport.close()
    keys._client.cache_clear()
    made.close()


def taken_apart(blob: bytes) -> tuple[bytes, bytes, bytes]:
    """The wrapped key, the nonce and the sealed payload, by the form that the module documents."""
    size = struct.unpack(">I", blob[:4])[0]
    return blob[4 : 4 + size], blob[4 + size : 16 + size], blob[16 + size :]


def test_what_was_sealed_opens_where_it_belongs(way: Way, key: str) -> None:
    """The same bytes come back; two seals of them share neither key nor nonce, and the version is told."""
    first, version = keys.seal(SECRET, bound_to=OURS)
    second, _ = keys.seal(SECRET, bound_to=OURS)
    assert keys.open_sealed(first, bound_to=OURS) == SECRET
    assert SECRET not in first
    assert all(one != two for one, two in zip(taken_apart(first), taken_apart(second), strict=True))
    assert version == f"{key}/cryptoKeyVersions/1"


def test_a_blob_of_another_team_does_not_open(way: Way) -> None:
    """Copied to another tenant's place it is nothing but bytes."""
    blob, _ = keys.seal(SECRET, bound_to=THEIRS)
    with pytest.raises(InvalidCiphertext):
        keys.open_sealed(blob, bound_to=OURS)


def test_both_the_wrapped_key_and_the_payload_are_bound(way: Way, service: Serving, key: str) -> None:
    """Each by itself: who gets past one meets the other."""
    wrapped, nonce, sealed = taken_apart(keys.seal(SECRET, bound_to=THEIRS)[0])
    client = connect(service.address)
    ask = {"name": key, "ciphertext": wrapped}
    with pytest.raises(exceptions.InvalidArgument):
        client.decrypt(request=ask | {"additional_authenticated_data": OURS.encode()})
    data_key = client.decrypt(request=ask | {"additional_authenticated_data": THEIRS.encode()}).plaintext
    client.transport.close()
    assert AESGCM(data_key).decrypt(nonce, sealed, THEIRS.encode()) == SECRET
    for bound in (OURS.encode(), b"", None):
        with pytest.raises(InvalidTag):
            AESGCM(data_key).decrypt(nonce, sealed, bound)


def test_a_key_of_one_blob_does_not_open_another(way: Way) -> None:
    """Parts of two blobs of the same place don't make a third."""
    one, other = (taken_apart(keys.seal(SECRET, bound_to=OURS)[0]) for _ in range(2))
    mixed = struct.pack(">I", len(one[0])) + one[0] + other[1] + other[2]
    with pytest.raises(InvalidCiphertext):
        keys.open_sealed(mixed, bound_to=OURS)


def test_damaged_blobs_are_refused_and_nothing_else_happens(way: Way) -> None:
    """Cut anywhere, a bit turned anywhere, or made up: always the one refusal."""
    blob, _ = keys.seal(SECRET, bound_to=OURS)
    flips = st.integers(0, len(blob) * 8 - 1).map(
        lambda bit: blob[: bit // 8] + bytes([blob[bit // 8] ^ 1 << bit % 8]) + blob[bit // 8 + 1 :]
    )
    cuts = st.integers(0, len(blob) - 1).map(lambda end: blob[:end])

    @given(flips | cuts | st.binary(max_size=200))
    def refused(broken: bytes) -> None:
        with pytest.raises(InvalidCiphertext):
            keys.open_sealed(broken, bound_to=OURS)

    refused()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ciphertext", b"something else"),
        ("verified_plaintext_crc32c", False),
        ("verified_additional_authenticated_data_crc32c", False),
    ],
)
def test_a_wrapped_key_that_was_damaged_on_the_way_is_not_kept(way: Way, field: str, value: Any) -> None:
    """What KMS did not receive as it was sent, or we did not as it answered, could never be opened again."""
    way.damage = lambda answer: setattr(answer, field, value)
    with pytest.raises(Unavailable) as caught:
        keys.seal(SECRET, bound_to=OURS)
    assert caught.value.retry_after == 1


def test_a_data_key_that_was_damaged_on_the_way_is_asked_for_again(way: Way) -> None:
    """It is the way's fault, not the blob's: a retry opens it."""
    blob, _ = keys.seal(SECRET, bound_to=OURS)
    way.damage = lambda answer: setattr(answer, "plaintext", bytes(32))
    with pytest.raises(Unavailable):
        keys.open_sealed(blob, bound_to=OURS)
    way.damage = lambda answer: None
    assert keys.open_sealed(blob, bound_to=OURS) == SECRET


def test_what_an_older_version_sealed_opens_after_a_rotation(way: Way, service: Serving, key: str) -> None:
    """New seals are made with the new version, and are told so."""
    blob, before = keys.seal(SECRET, bound_to=OURS)
    client = connect(service.address)
    made = client.create_crypto_key_version(parent=key, crypto_key_version={})
    client.update_crypto_key_primary_version(name=key, crypto_key_version_id=made.name.rpartition("/")[2])
    client.transport.close()
    _, after = keys.seal(SECRET, bound_to=OURS)
    assert (before, after) == (f"{key}/cryptoKeyVersions/1", made.name)
    assert keys.open_sealed(blob, bound_to=OURS) == SECRET


def test_a_key_service_that_is_away_says_when_to_come_again(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with a pause, for seals and for opens; nothing is taken for broken."""
    blob, _ = keys.seal(SECRET, bound_to=OURS)
    way.close()
    monkeypatch.setattr(keys, "TIMEOUT_SECONDS", 1)
    for attempt in (
        lambda: keys.seal(SECRET, bound_to=OURS),
        lambda: keys.open_sealed(blob, bound_to=OURS),
    ):
        with pytest.raises(Unavailable) as caught:
            attempt()
        assert caught.value.retry_after == 5
