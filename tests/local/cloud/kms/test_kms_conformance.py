"""KMS as its real client sees it."""

import stat
from collections.abc import Callable

import google_crc32c
import pytest
from google.api_core import exceptions
from google.cloud import kms

from local.cloud.faults import grpc_faults
from tests.local.cloud.kms.conftest import LOCATION, Keys, connect
from tests.local.grpc_serving import serving


def encrypt(keys: Keys, plaintext: bytes = b"secret", aad: bytes = b"team-1") -> kms.EncryptResponse:
    return keys.client.encrypt(
        request={"name": keys.key, "plaintext": plaintext, "additional_authenticated_data": aad}
    )


def decrypt(keys: Keys, ciphertext: bytes, aad: bytes = b"team-1", key: str = "") -> kms.DecryptResponse:
    name = key or keys.key
    return keys.client.decrypt(
        request={"name": name, "ciphertext": ciphertext, "additional_authenticated_data": aad}
    )


def test_what_was_encrypted_is_decrypted_with_checksums_that_fit(keys: Keys) -> None:
    """Both directions carry CRC32C of what they return, and tell that they checked what they got."""
    sealed = keys.client.encrypt(
        request={
            "name": keys.key,
            "plaintext": b"secret",
            "plaintext_crc32c": google_crc32c.value(b"secret"),
            "additional_authenticated_data": b"team-1",
            "additional_authenticated_data_crc32c": google_crc32c.value(b"team-1"),
        }
    )
    assert sealed.name == f"{keys.key}/cryptoKeyVersions/1"
    assert sealed.verified_plaintext_crc32c
    assert sealed.verified_additional_authenticated_data_crc32c
    assert sealed.ciphertext_crc32c == google_crc32c.value(sealed.ciphertext)
    assert b"secret" not in sealed.ciphertext
    opened = decrypt(keys, sealed.ciphertext)
    assert (opened.plaintext, opened.used_primary) == (b"secret", True)
    assert opened.plaintext_crc32c == google_crc32c.value(b"secret")


def test_a_call_without_checksums_says_that_it_verified_none(keys: Keys) -> None:
    """`verified_…` is false when no checksum came, so a client that forgot them can notice."""
    sealed = encrypt(keys)
    assert not sealed.verified_plaintext_crc32c
    assert not sealed.verified_additional_authenticated_data_crc32c


def test_the_same_plaintext_never_gives_the_same_ciphertext(keys: Keys) -> None:
    """Each encryption draws a fresh nonce."""
    assert encrypt(keys).ciphertext != encrypt(keys).ciphertext


@pytest.mark.parametrize("field", ["plaintext", "additional_authenticated_data"])
def test_a_wrong_checksum_of_what_is_to_be_encrypted_is_refused(keys: Keys, field: str) -> None:
    """INVALID_ARGUMENT names the field whose bytes were damaged on the way."""
    request = {"name": keys.key, "plaintext": b"a", "additional_authenticated_data": b"b"}
    with pytest.raises(exceptions.InvalidArgument, match=f"{field}_crc32c did not match"):
        keys.client.encrypt(request={**request, f"{field}_crc32c": 1})


@pytest.mark.parametrize("field", ["ciphertext", "additional_authenticated_data"])
def test_a_wrong_checksum_of_what_is_to_be_decrypted_is_refused(keys: Keys, field: str) -> None:
    """INVALID_ARGUMENT names the field whose bytes were damaged on the way."""
    request = {
        "name": keys.key,
        "ciphertext": encrypt(keys).ciphertext,
        "additional_authenticated_data": b"team-1",
    }
    with pytest.raises(exceptions.InvalidArgument, match=f"{field}_crc32c did not match"):
        keys.client.decrypt(request={**request, f"{field}_crc32c": 1})


def test_other_additional_data_does_not_decrypt(keys: Keys) -> None:
    """A credential moved to another team's row stays closed."""
    with pytest.raises(exceptions.InvalidArgument, match="Decryption failed"):
        decrypt(keys, encrypt(keys).ciphertext, aad=b"team-2")


@pytest.mark.parametrize("position", [0, 3, 8, -1])
def test_a_changed_byte_does_not_decrypt(keys: Keys, position: int) -> None:
    """Format, version, nonce and tag are all covered."""
    broken = bytearray(encrypt(keys).ciphertext)
    broken[position] ^= 1
    with pytest.raises(exceptions.InvalidArgument, match="Decryption failed"):
        decrypt(keys, bytes(broken))


@pytest.mark.parametrize("junk", [b"", b"x", b"\x0a" + b"\0" * 100])
def test_junk_does_not_decrypt(keys: Keys, junk: bytes) -> None:
    """What this service never made is INVALID_ARGUMENT, not an internal error."""
    with pytest.raises(exceptions.InvalidArgument, match="Decryption failed"):
        decrypt(keys, junk)


def test_another_key_does_not_decrypt(keys: Keys) -> None:
    """A ciphertext belongs to the key that made it."""
    ring = keys.key.partition("/cryptoKeys/")[0]
    purpose = kms.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT
    other = keys.client.create_crypto_key(parent=ring, crypto_key_id="other", crypto_key={"purpose": purpose})
    with pytest.raises(exceptions.InvalidArgument, match="Decryption failed"):
        decrypt(keys, encrypt(keys).ciphertext, key=other.name)


def test_64_kib_is_the_most_that_is_encrypted(keys: Keys) -> None:
    """Exactly 64 KiB passes and comes back; one byte more is refused."""
    largest = b"x" * 65536
    assert decrypt(keys, encrypt(keys, largest).ciphertext).plaintext == largest
    with pytest.raises(exceptions.InvalidArgument, match="plaintext has 65537 bytes"):
        encrypt(keys, largest + b"x")
    with pytest.raises(exceptions.InvalidArgument, match="additional_authenticated_data has 65537"):
        encrypt(keys, b"x", aad=b"x" * 65537)


def test_rotation_encrypts_with_the_new_version_and_still_reads_the_old(keys: Keys) -> None:
    """A new version is used once it is primary; ciphertexts of the old one say that it was not primary."""
    old = encrypt(keys).ciphertext
    second = keys.client.create_crypto_key_version(parent=keys.key, crypto_key_version={})
    assert encrypt(keys).name.endswith("/1")
    keys.client.update_crypto_key_primary_version(name=keys.key, crypto_key_version_id="2")
    assert encrypt(keys).name == second.name
    opened = decrypt(keys, old)
    assert (opened.plaintext, opened.used_primary) == (b"secret", False)


def test_missing_things_are_not_found(keys: Keys) -> None:
    """NOT_FOUND for rings, keys and versions."""
    for call in (
        lambda: keys.client.create_crypto_key(
            parent=f"{LOCATION}/keyRings/nope", crypto_key_id="x", crypto_key={"purpose": "ENCRYPT_DECRYPT"}
        ),
        lambda: keys.client.create_crypto_key_version(parent=keys.key + "x", crypto_key_version={}),
        lambda: keys.client.update_crypto_key_primary_version(name=keys.key, crypto_key_version_id="9"),
        lambda: keys.client.encrypt(name=keys.key + "x", plaintext=b"x"),
        lambda: keys.client.decrypt(name=keys.key + "x", ciphertext=b"x"),
    ):
        with pytest.raises(exceptions.NotFound, match="not found"):
            call()


def test_a_second_ring_or_key_of_a_name_is_refused(keys: Keys) -> None:
    """ALREADY_EXISTS, so that creating at start can be repeated safely."""
    location, _rings, rest = keys.key.partition("/keyRings/")
    ring = rest.partition("/")[0]
    with pytest.raises(exceptions.AlreadyExists):
        keys.client.create_key_ring(parent=location, key_ring_id=ring, key_ring={})
    with pytest.raises(exceptions.AlreadyExists):
        keys.client.create_crypto_key(
            parent=f"{location}/keyRings/{ring}",
            crypto_key_id="credentials",
            crypto_key={"purpose": "ENCRYPT_DECRYPT"},
        )
    assert decrypt(keys, encrypt(keys).ciphertext).plaintext == b"secret"


@pytest.mark.parametrize("name", ["", "a b", "x" * 64, "a/b"])
def test_a_bad_id_is_refused(keys: Keys, name: str) -> None:
    """INVALID_ARGUMENT names the field."""
    with pytest.raises(exceptions.InvalidArgument, match="key_ring_id"):
        keys.client.create_key_ring(parent=LOCATION, key_ring_id=name, key_ring={})


def test_keys_survive_sigkill_in_a_file_that_only_the_owner_reads(tmp_path) -> None:
    """What was encrypted before the kill is decrypted after the restart; the file has mode 0600."""
    name = f"{LOCATION}/keyRings/bridge/cryptoKeys/credentials"
    with serving("local.cloud.kms", tmp_path, "--ensure-key", name) as server:
        sealed = connect(server.address).encrypt(name=name, plaintext=b"kept")
        assert sealed.name.endswith("/1")
        server.kill()
        server.start()
        client = connect(server.address)
        opened = client.decrypt(name=name, ciphertext=sealed.ciphertext)
        assert (opened.plaintext, opened.used_primary) == (b"kept", True), "--ensure-key made a second"
    assert stat.S_IMODE((tmp_path / "kms.json").stat().st_mode) == 0o600


def test_the_server_refuses_keys_that_others_could_read(tmp_path) -> None:
    """A key file with open permissions stops the start."""
    (tmp_path / "kms.json").write_text("{}")
    (tmp_path / "kms.json").chmod(0o644)
    with pytest.raises(AssertionError, match="said ''"), serving("local.cloud.kms", tmp_path):
        pass


def test_the_server_stops_cleanly_on_sigterm(tmp_path) -> None:
    """Exit code 0."""
    with serving("local.cloud.kms", tmp_path) as server:
        assert server.stop() == 0


def test_a_quota_error_can_be_asked_for(keys: Keys) -> None:
    """Chaos answers RESOURCE_EXHAUSTED for exactly the calls it was told to."""
    rule = {"method": "Encrypt$", "code": "RESOURCE_EXHAUSTED", "message": "Quota exceeded", "count": 2}
    grpc_faults.set_rules(keys.server.address, [rule])
    for _ in range(2):
        with pytest.raises(exceptions.ResourceExhausted, match="Quota exceeded"):
            keys.client.encrypt(name=keys.key, plaintext=b"x", retry=None)
    assert encrypt(keys).ciphertext


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda keys: keys.client.get_crypto_key(name=keys.key), "GetCryptoKey"),
        (lambda keys: list(keys.client.list_key_rings(parent=LOCATION)), "ListKeyRings"),
        (
            lambda keys: keys.client.destroy_crypto_key_version(name=f"{keys.key}/cryptoKeyVersions/1"),
            "DestroyCryptoKeyVersion",
        ),
        (
            lambda keys: keys.client.create_crypto_key(
                parent=keys.key.partition("/cryptoKeys/")[0],
                crypto_key_id="rotating",
                crypto_key={"purpose": "ENCRYPT_DECRYPT", "rotation_period": {"seconds": 86400}},
            ),
            "crypto_key.rotation_period",
        ),
        (
            lambda keys: keys.client.create_crypto_key(
                parent=keys.key.partition("/cryptoKeys/")[0],
                crypto_key_id="signing",
                crypto_key={"purpose": "ASYMMETRIC_SIGN"},
            ),
            "crypto_key.purpose",
        ),
    ],
    ids=["get", "list", "destroy", "rotation", "signing"],
)
def test_what_nobody_calls_is_refused_by_name(keys: Keys, call: Callable[[Keys], object], named: str) -> None:
    """UNIMPLEMENTED; the key still works."""
    with pytest.raises(exceptions.MethodNotImplemented, match=f"{named}.* not supported by the local"):
        call(keys)
    assert decrypt(keys, encrypt(keys).ciphertext).plaintext == b"secret"
