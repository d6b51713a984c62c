"""The methods of google.cloud.kms.v1.KeyManagementService by which keys are made and bytes are wrapped."""

import re
from typing import Any

import google_crc32c
from google.cloud.kms_v1.types import service as messages

from local.cloud.kms import cipher
from local.cloud.kms.keyring import CryptoKey, CryptoKeyVersion, KeyRing, Ring
from local.cloud.serving.grpc_server import Code, Method, Refused, Service, plain

EncryptResponse = plain(messages.EncryptResponse)
DecryptResponse = plain(messages.DecryptResponse)
LARGEST = 64 * 1024
_ID = re.compile(r"[a-zA-Z0-9_-]{1,63}")
_LOCATION = re.compile(r"projects/[^/]+/locations/[^/]+")
_PURPOSE = CryptoKey.CryptoKeyPurpose.Value("ENCRYPT_DECRYPT")


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

    async def create_crypto_key(self, request: Any) -> Any:
        """A key with its first version, which is the primary one."""
        self.ring.ring(request.parent)
        name = f"{request.parent}/cryptoKeys/{_id('crypto_key_id', request.crypto_key_id)}"
        if name in self.ring.keys:
            raise Refused(Code.ALREADY_EXISTS, f"CryptoKey {name} already exists.")
        given = request.crypto_key
        _refuse_unknown("crypto_key", given, {"purpose", "labels"})
        if request.skip_initial_version_creation:
            raise _unsupported("skip_initial_version_creation")
        if given.purpose != _PURPOSE:
            raise _unsupported("a crypto_key.purpose other than ENCRYPT_DECRYPT")
        made = CryptoKey(name=name, purpose=_PURPOSE, labels=dict(given.labels))
        made.create_time.GetCurrentTime()
        made.primary.CopyFrom(self.ring.add_version(made))
        self.ring.keys[name] = made
        self.ring.save()
        return made

    async def create_crypto_key_version(self, request: Any) -> Any:
        """A version that opens nothing yet and seals nothing until it is made the primary one."""
        _refuse_unknown("crypto_key_version", request.crypto_key_version, set())
        version = self.ring.add_version(self.ring.key(request.parent))
        self.ring.save()
        return version

    async def update_crypto_key_primary_version(self, request: Any) -> Any:
        key = self.ring.key(request.name)
        key.primary.CopyFrom(
            self.ring.version(f"{key.name}/cryptoKeyVersions/{request.crypto_key_version_id}")
        )
        self.ring.save()
        return key

    async def encrypt(self, request: Any) -> Any:
        """By the primary version of a key."""
        version = self.ring.key(request.name).primary
        aad = request.additional_authenticated_data
        for field, value in (("plaintext", request.plaintext), ("additional_authenticated_data", aad)):
            if len(value) > LARGEST:
                raise invalid(f"{field} has {len(value)} bytes; at most {LARGEST} are allowed.")
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

    async def decrypt(self, request: Any) -> Any:
        """By the version that sealed the ciphertext."""
        key = self.ring.key(request.name)
        if len(request.ciphertext) > LARGEST + cipher.OVERHEAD:
            raise invalid(f"ciphertext has {len(request.ciphertext)} bytes, more than this service makes.")
        _verify(request, "ciphertext")
        _verify(request, "additional_authenticated_data")
        try:
            name = f"{key.name}/cryptoKeyVersions/{cipher.number_of(request.ciphertext)}"
            if name not in self.ring.material:
                raise cipher.Unreadable
            plaintext = cipher.unseal(
                self.ring.material[name], request.ciphertext, request.additional_authenticated_data
            )
        except cipher.Unreadable:
            raise invalid("Decryption failed: the ciphertext is invalid.") from None
        response = DecryptResponse(
            plaintext=plaintext, used_primary=name == key.primary.name, protection_level="SOFTWARE"
        )
        response.plaintext_crc32c.value = google_crc32c.value(plaintext)
        return response


def _id(field: str, text: str) -> str:
    if not _ID.fullmatch(text):
        raise invalid(f"{field} {text!r} must be 1 to 63 letters, digits, - or _.")
    return text


def _refuse_unknown(where: str, message: Any, known: set[str]) -> None:
    for field, _value in message.ListFields():
        if field.name not in known:
            raise _unsupported(f"{where}.{field.name}")


def _unsupported(what: str) -> Refused:
    return Refused(Code.UNIMPLEMENTED, f"{what} is not supported by the local KMS.")


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
        "CreateCryptoKey": CryptoKey,
        "CreateCryptoKeyVersion": CryptoKeyVersion,
        "UpdateCryptoKeyPrimaryVersion": CryptoKey,
        "Encrypt": EncryptResponse,
        "Decrypt": DecryptResponse,
    }
    methods = {}
    for name, answer in answers.items():
        handler = getattr(kms, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())
        methods[name] = Method(plain(getattr(messages, f"{name}Request")), answer, handler)
    return Service("google.cloud.kms.v1.KeyManagementService", methods)
