"""KMS as its real client sees it."""

import datetime
import stat
import time

import google_crc32c
import pytest
from google.api_core import exceptions
from google.cloud import kms

from local.cloud.faults import grpc_faults
from tests.local.cloud.kms.conftest import LOCATION, Keys, connect
from tests.local.grpc_serving import serving

State = kms.CryptoKeyVersion.CryptoKeyVersionState
ENABLED = State.ENABLED
DISABLED = State.DISABLED


def encrypt(keys: Keys, plaintext: bytes = b"secret", aad: bytes = b"team-1") -> kms.EncryptResponse:
    return keys.client.encrypt(
        request={"name": keys.key, "plaintext": plaintext, "additional_authenticated_data": aad}
    )


def decrypt(keys: Keys, ciphertext: bytes, aad: bytes = b"team-1", key: str = "") -> kms.DecryptResponse:
    name = key or keys.key
    return keys.client.decrypt(
        request={"name": name, "ciphertext": ciphertext, "additional_authenticated_data": aad}
    )


def set_state(keys: Keys, version: str, state: State) -> kms.CryptoKeyVersion:
    return keys.client.update_crypto_key_version(
        crypto_key_version={"name": version, "state": state}, update_mask={"paths": ["state"]}
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
    assert keys.client.get_crypto_key(name=keys.key).primary.name == second.name


def test_a_disabled_version_neither_encrypts_nor_decrypts_until_enabled(keys: Keys) -> None:
    """FAILED_PRECONDITION tells the state; enabling makes the same ciphertext readable again."""
    sealed = encrypt(keys)
    set_state(keys, sealed.name, DISABLED)
    with pytest.raises(exceptions.FailedPrecondition, match="not enabled, current state is: DISABLED"):
        decrypt(keys, sealed.ciphertext)
    with pytest.raises(exceptions.FailedPrecondition, match="DISABLED"):
        encrypt(keys)
    set_state(keys, sealed.name, ENABLED)
    assert decrypt(keys, sealed.ciphertext).plaintext == b"secret"


def test_a_disabled_version_does_not_become_primary(keys: Keys) -> None:
    """FAILED_PRECONDITION, and the primary stays."""
    second = keys.client.create_crypto_key_version(parent=keys.key, crypto_key_version={})
    set_state(keys, second.name, DISABLED)
    with pytest.raises(exceptions.FailedPrecondition, match="not enabled"):
        keys.client.update_crypto_key_primary_version(name=keys.key, crypto_key_version_id="2")
    assert encrypt(keys).name.endswith("/1")


def test_a_destroyed_version_waits_to_be_destroyed_and_can_be_restored_as_disabled(keys: Keys) -> None:
    """DESTROY_SCHEDULED first, closed at once; restored it is DISABLED, and after enabling readable."""
    sealed = encrypt(keys)
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    scheduled = keys.client.destroy_crypto_key_version(name=sealed.name)
    assert scheduled.state == State.DESTROY_SCHEDULED
    assert scheduled.destroy_time - datetime.timedelta(days=30) >= before
    with pytest.raises(exceptions.FailedPrecondition, match="DESTROY_SCHEDULED"):
        decrypt(keys, sealed.ciphertext)
    with pytest.raises(exceptions.FailedPrecondition, match="DESTROY_SCHEDULED"):
        set_state(keys, sealed.name, ENABLED)
    assert keys.client.restore_crypto_key_version(name=sealed.name).state == DISABLED
    set_state(keys, sealed.name, ENABLED)
    assert decrypt(keys, sealed.ciphertext).plaintext == b"secret"


def test_after_its_time_a_destroyed_version_and_its_bytes_are_gone(keys: Keys) -> None:
    """When the scheduled time has passed the state is DESTROYED and nothing restores it."""
    ring = keys.key.partition("/cryptoKeys/")[0]
    key = keys.client.create_crypto_key(
        parent=ring,
        crypto_key_id="brief",
        crypto_key={"purpose": "ENCRYPT_DECRYPT", "destroy_scheduled_duration": {"seconds": 1}},
    )
    version = keys.client.destroy_crypto_key_version(name=key.primary.name)
    time.sleep(max(0.0, version.destroy_time.timestamp() - time.time()) + 0.05)
    assert keys.client.get_crypto_key_version(name=version.name).state == State.DESTROYED
    with pytest.raises(exceptions.FailedPrecondition, match="DESTROYED"):
        keys.client.restore_crypto_key_version(name=version.name)


def test_a_due_rotation_happens_by_itself(keys: Keys) -> None:
    """A key whose next_rotation_time has passed encrypts with a new primary version."""
    ring = keys.key.partition("/cryptoKeys/")[0]
    key = keys.client.create_crypto_key(
        parent=ring,
        crypto_key_id="rotating",
        crypto_key={
            "purpose": "ENCRYPT_DECRYPT",
            "rotation_period": {"seconds": 86400},
            "next_rotation_time": {"seconds": int(time.time()) - 10},
        },
    )
    sealed = keys.client.encrypt(name=key.name, plaintext=b"x")
    assert sealed.name.endswith("/2")
    found = keys.client.get_crypto_key(name=key.name)
    assert found.next_rotation_time.timestamp() > time.time()
    assert len(list(keys.client.list_crypto_key_versions(parent=key.name))) == 2


def test_missing_things_are_not_found(keys: Keys) -> None:
    """NOT_FOUND for rings, keys and versions, also when encrypting."""
    for call in (
        lambda: keys.client.get_key_ring(name=f"{LOCATION}/keyRings/nope"),
        lambda: keys.client.get_crypto_key(name=keys.key + "x"),
        lambda: keys.client.get_crypto_key_version(name=keys.key + "/cryptoKeyVersions/9"),
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


def test_lists_page_through_everything_once(keys: Keys) -> None:
    """Three versions in pages of two, in the order of their numbers."""
    for _ in range(2):
        keys.client.create_crypto_key_version(parent=keys.key, crypto_key_version={})
    pages = keys.client.list_crypto_key_versions(request={"parent": keys.key, "page_size": 2}).pages
    names = [[one.name.rpartition("/")[2] for one in page.crypto_key_versions] for page in pages]
    assert names == [["1", "2"], ["3"]]
    ring = keys.key.partition("/cryptoKeys/")[0]
    assert [one.name for one in keys.client.list_crypto_keys(parent=ring)] == [keys.key]
    assert ring in [one.name for one in keys.client.list_key_rings(parent=LOCATION)]


def test_labels_are_updated_by_mask_only(keys: Keys) -> None:
    """Fields outside the mask stay, and a field that can't change is named."""
    keys.client.update_crypto_key(
        crypto_key={"name": keys.key, "labels": {"env": "local"}}, update_mask={"paths": ["labels"]}
    )
    found = keys.client.get_crypto_key(name=keys.key)
    assert dict(found.labels) == {"env": "local"}
    assert found.purpose == kms.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT
    with pytest.raises(exceptions.InvalidArgument, match="purpose"):
        keys.client.update_crypto_key(crypto_key={"name": keys.key}, update_mask={"paths": ["purpose"]})


def test_keys_survive_sigkill_in_a_file_that_only_the_owner_reads(tmp_path) -> None:
    """What was encrypted before the kill is decrypted after the restart; the file has mode 0600."""
    name = f"{LOCATION}/keyRings/bridge/cryptoKeys/credentials"
    with serving("local.cloud.kms", tmp_path, "--ensure-key", name) as server:
        sealed = connect(server.address).encrypt(name=name, plaintext=b"kept").ciphertext
        server.kill()
        server.start()
        client = connect(server.address)
        assert client.decrypt(name=name, ciphertext=sealed).plaintext == b"kept"
        assert len(list(client.list_crypto_key_versions(parent=name))) == 1, "--ensure-key made a second"
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
