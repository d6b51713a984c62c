"""The methods of google.cloud.kms.v1.KeyManagementService that symmetric encryption needs."""

import re
import time
from typing import Any

import google_crc32c
from google.cloud.kms_v1.types import service as messages

from local.cloud.kms import cipher, keyring
from local.cloud.kms.keyring import CryptoKey, CryptoKeyVersion, KeyRing, Ring, State
from local.cloud.serving.grpc_server import Code, Method, Refused, Service, plain
from local.cloud.serving.paging import page

EncryptResponse = plain(messages.EncryptResponse)
DecryptResponse = plain(messages.DecryptResponse)
LARGEST = 64 * 1024
_ID = re.compile(r"[a-zA-Z0-9_-]{1,63}")
_LOCATION = re.compile(r"projects/[^/]+/locations/[^/]+")
_ENABLED, _DISABLED = State.Value("ENABLED"), State.Value("DISABLED")
_SCHEDULED = State.Value("DESTROY_SCHEDULED")


def invalid(message: str) -> Refused:
    return Refused(Code.INVALID_ARGUMENT, message)


class Kms:
    """Handlers; each change is in the file before it is answered."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring

    async def create_key_ring(self, request: Any) -> Any:
        if not _LOCATION.fullmatch(request.parent):
            raise invalid(f"parent {request.parent!r} must be projects/PROJECT/locations/LOCATION.")
        name = f"{request.parent}/keyRings/{_id('key_ring_id', request.key_ring_id)}"
        if name in self.ring.rings:
            raise Refused(Code.ALREADY_EXISTS, f"KeyRing {name} already exists.")
        made = KeyRing(name=name)
        made.create_time.GetCurrentTime()
        self.ring.rings[name] = made
        self.ring.save()
        return made

    async def get_key_ring(self, request: Any) -> Any:
        return self.ring.ring(request.name)

    async def list_key_rings(self, request: Any) -> Any:
        prefix = f"{request.parent}/keyRings/"
        names = [name for name in self.ring.rings if name.startswith(prefix)]
        return self._page(
            messages.ListKeyRingsResponse, "key_rings", [self.ring.rings[n] for n in names], request
        )

    async def create_crypto_key(self, request: Any) -> Any:
        self.ring.ring(request.parent)
        name = f"{request.parent}/cryptoKeys/{_id('crypto_key_id', request.crypto_key_id)}"
        if name in self.ring.keys:
            raise Refused(Code.ALREADY_EXISTS, f"CryptoKey {name} already exists.")
        if request.crypto_key.purpose != CryptoKey.CryptoKeyPurpose.Value("ENCRYPT_DECRYPT"):
            raise invalid("crypto_key.purpose: this KMS serves ENCRYPT_DECRYPT only.")
        made = CryptoKey()
        made.CopyFrom(request.crypto_key)
        made.name = name
        made.ClearField("primary")
        made.create_time.GetCurrentTime()
        made.version_template.algorithm = CryptoKeyVersion.CryptoKeyVersionAlgorithm.Value(
            "GOOGLE_SYMMETRIC_ENCRYPTION"
        )
        if not made.HasField("destroy_scheduled_duration"):
            made.destroy_scheduled_duration.seconds = keyring.DEFAULT_DESTROY_SECONDS
        _check_rotation(made)
        self.ring.keys[name] = made
        if not request.skip_initial_version_creation:
            made.primary.CopyFrom(self.ring.add_version(made, _ENABLED))
        self.ring.save()
        return self.ring.shown(made)

    async def get_crypto_key(self, request: Any) -> Any:
        return self.ring.shown(self.ring.key(request.name))

    async def list_crypto_keys(self, request: Any) -> Any:
        self.ring.ring(request.parent)
        prefix = f"{request.parent}/cryptoKeys/"
        found = [self.ring.shown(key) for name, key in self.ring.keys.items() if name.startswith(prefix)]
        return self._page(messages.ListCryptoKeysResponse, "crypto_keys", found, request)

    async def update_crypto_key(self, request: Any) -> Any:
        key = self.ring.key(request.crypto_key.name)
        changed = CryptoKey()
        changed.CopyFrom(key)
        _check_mask(request.update_mask, {"labels", "rotation_period", "next_rotation_time"})
        request.update_mask.MergeMessage(
            request.crypto_key, changed, replace_message_field=True, replace_repeated_field=True
        )
        _check_rotation(changed)
        key.CopyFrom(changed)
        self.ring.save()
        return self.ring.shown(key)

    async def update_crypto_key_primary_version(self, request: Any) -> Any:
        key = self.ring.key(request.name)
        version = self.ring.version(f"{key.name}/cryptoKeyVersions/{request.crypto_key_version_id}")
        _check_enabled(version)
        key.primary.CopyFrom(version)
        self.ring.save()
        return self.ring.shown(key)

    async def create_crypto_key_version(self, request: Any) -> Any:
        key = self.ring.key(request.parent)
        state = request.crypto_key_version.state or _ENABLED
        if state not in (_ENABLED, _DISABLED):
            raise invalid("crypto_key_version.state must be ENABLED or DISABLED.")
        version = self.ring.add_version(key, state)
        self.ring.save()
        return version

    async def get_crypto_key_version(self, request: Any) -> Any:
        return self.ring.version(request.name)

    async def list_crypto_key_versions(self, request: Any) -> Any:
        key = self.ring.key(request.parent)
        found = self.ring.versions_of(key.name)
        return self._page(messages.ListCryptoKeyVersionsResponse, "crypto_key_versions", found, request)

    async def update_crypto_key_version(self, request: Any) -> Any:
        version = self.ring.version(request.crypto_key_version.name)
        _check_mask(request.update_mask, {"state"})
        if request.crypto_key_version.state not in (_ENABLED, _DISABLED):
            raise invalid("crypto_key_version.state can be updated to ENABLED or DISABLED only.")
        if version.state not in (_ENABLED, _DISABLED):
            raise _not_in_state(version, "ENABLED or DISABLED")
        version.state = request.crypto_key_version.state
        self.ring.save()
        return version

    async def destroy_crypto_key_version(self, request: Any) -> Any:
        version = self.ring.version(request.name)
        if version.state not in (_ENABLED, _DISABLED):
            raise _not_in_state(version, "ENABLED or DISABLED")
        key = self.ring.key(request.name.partition("/cryptoKeyVersions/")[0])
        version.state = _SCHEDULED
        version.destroy_time.FromSeconds(int(time.time()) + key.destroy_scheduled_duration.seconds)
        self.ring.save()
        return version

    async def restore_crypto_key_version(self, request: Any) -> Any:
        version = self.ring.version(request.name)
        if version.state != _SCHEDULED:
            raise _not_in_state(version, "DESTROY_SCHEDULED")
        version.state = _DISABLED
        version.ClearField("destroy_time")
        self.ring.save()
        return version

    async def encrypt(self, request: Any) -> Any:
        version = self._encrypting(request.name)
        aad = request.additional_authenticated_data
        if len(request.plaintext) > LARGEST:
            raise invalid(f"plaintext has {len(request.plaintext)} bytes; at most {LARGEST} are allowed.")
        if len(aad) > LARGEST:
            raise invalid(
                f"additional_authenticated_data has {len(aad)} bytes; at most {LARGEST} are allowed."
            )
        verified = _verify(request, "plaintext")
        verified_aad = _verify(request, "additional_authenticated_data")
        number = int(version.name.rpartition("/")[2])
        sealed = cipher.seal(self.ring.material[version.name], number, request.plaintext, aad)
        response = EncryptResponse(
            name=version.name,
            ciphertext=sealed,
            verified_plaintext_crc32c=verified,
            verified_additional_authenticated_data_crc32c=verified_aad,
            protection_level="SOFTWARE",
        )
        response.ciphertext_crc32c.value = google_crc32c.value(sealed)
        return response

    def _encrypting(self, name: str) -> Any:
        if "/cryptoKeyVersions/" in name:
            version = self.ring.version(name)
        else:
            key = self.ring.key(name)
            if not key.HasField("primary"):
                raise Refused(Code.FAILED_PRECONDITION, f"{name} has no primary CryptoKeyVersion.")
            version = self.ring.version(key.primary.name)
        _check_enabled(version)
        return version

    async def decrypt(self, request: Any) -> Any:
        key = self.ring.key(request.name)
        if len(request.ciphertext) > LARGEST + cipher.OVERHEAD:
            raise invalid(f"ciphertext has {len(request.ciphertext)} bytes, more than this service makes.")
        _verify(request, "ciphertext")
        _verify(request, "additional_authenticated_data")
        try:
            number = cipher.number_of(request.ciphertext)
            version = self.ring.versions.get(f"{key.name}/cryptoKeyVersions/{number}")
            if version is None:
                raise cipher.Unreadable
            _check_enabled(version)
            plaintext = cipher.unseal(
                self.ring.material[version.name],
                request.ciphertext,
                request.additional_authenticated_data,
            )
        except cipher.Unreadable:
            raise invalid("Decryption failed: the ciphertext is invalid.") from None
        response = DecryptResponse(
            plaintext=plaintext, used_primary=version.name == key.primary.name, protection_level="SOFTWARE"
        )
        response.plaintext_crc32c.value = google_crc32c.value(plaintext)
        return response

    def _page(self, response: Any, field: str, found: list[Any], request: Any) -> Any:
        if request.filter or request.order_by:
            raise invalid("filter and order_by are not served by this KMS: filter in the caller.")
        part, token = page(sorted(found, key=_by_number), request.page_token, request.page_size or 100)
        return plain(response)(**{field: part}, next_page_token=token, total_size=len(found))


def _by_number(item: Any) -> tuple[str, int]:
    head, _slash, last = item.name.rpartition("/")
    return (head, int(last)) if last.isdecimal() else (item.name, 0)


def _id(field: str, text: str) -> str:
    if not _ID.fullmatch(text):
        raise invalid(f"{field} {text!r} must be 1 to 63 letters, digits, - or _.")
    return text


def _check_rotation(key: Any) -> None:
    if key.HasField("rotation_period"):
        if key.rotation_period.seconds < 86400:
            raise invalid("crypto_key.rotation_period must be at least 24 hours.")
        if not key.HasField("next_rotation_time"):
            raise invalid("crypto_key.next_rotation_time must be set when rotation_period is.")


def _check_mask(mask: Any, allowed: set[str]) -> None:
    if not mask.paths:
        raise invalid("update_mask is empty.")
    for path in mask.paths:
        if path.partition(".")[0] not in allowed:
            raise invalid(f"update_mask: {path!r} can't be updated; these can: {sorted(allowed)}.")


def _check_enabled(version: Any) -> None:
    if version.state != _ENABLED:
        raise _not_in_state(version, "ENABLED")


def _not_in_state(version: Any, wanted: str) -> Refused:
    state = State.Name(version.state)
    return Refused(
        Code.FAILED_PRECONDITION, f"{version.name} is not {wanted.lower()}, current state is: {state}."
    )


def _verify(request: Any, field: str) -> bool:
    """True: a checksum came and fits. False: none came. Refused: it does not fit."""
    if not request.HasField(f"{field}_crc32c"):
        return False
    if getattr(request, f"{field}_crc32c").value != google_crc32c.value(getattr(request, field)):
        raise invalid(f"The checksum in field {field}_crc32c did not match the data in field {field}.")
    return True


def service(kms: Kms) -> Service:
    """The generic handlers, one for each public coroutine of Kms."""
    answers = {
        "CreateKeyRing": KeyRing,
        "GetKeyRing": KeyRing,
        "ListKeyRings": plain(messages.ListKeyRingsResponse),
        "CreateCryptoKey": CryptoKey,
        "GetCryptoKey": CryptoKey,
        "ListCryptoKeys": plain(messages.ListCryptoKeysResponse),
        "UpdateCryptoKey": CryptoKey,
        "UpdateCryptoKeyPrimaryVersion": CryptoKey,
        "CreateCryptoKeyVersion": CryptoKeyVersion,
        "GetCryptoKeyVersion": CryptoKeyVersion,
        "ListCryptoKeyVersions": plain(messages.ListCryptoKeyVersionsResponse),
        "UpdateCryptoKeyVersion": CryptoKeyVersion,
        "DestroyCryptoKeyVersion": CryptoKeyVersion,
        "RestoreCryptoKeyVersion": CryptoKeyVersion,
        "Encrypt": EncryptResponse,
        "Decrypt": DecryptResponse,
    }
    methods = {}
    for name, answer in answers.items():
        handler = getattr(kms, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())
        methods[name] = Method(plain(getattr(messages, f"{name}Request")), answer, handler)
    return Service("google.cloud.kms.v1.KeyManagementService", methods)
