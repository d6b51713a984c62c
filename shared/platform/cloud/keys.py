"""Envelope encryption: a fresh data key for each object, wrapped by Cloud KMS.

The associated data binds the payload **and** the key wrap to where the object belongs, so an object
copied to another tenant's path can't be opened: neither the wrapped key nor the payload will.

    blob = 4 bytes length of wrapped key | wrapped key | 12 bytes nonce | AES-256-GCM ciphertext
"""

from __future__ import annotations

import os
import struct
from functools import lru_cache
from typing import Any

from shared.platform import deadline
from shared.platform.errors import InvalidCiphertext, Unavailable
from shared.platform.settings import settings

TIMEOUT_SECONDS = 10
_NONCE = 12


def seal(plaintext: bytes, *, bound_to: str) -> tuple[bytes, str]:
    """Encrypt; answers the blob and the version of the wrapping key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    data_key = AESGCM.generate_key(256)
    wrapped, version = _wrap(data_key, bound_to.encode())
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(data_key).encrypt(nonce, plaintext, bound_to.encode())
    return struct.pack(">I", len(wrapped)) + wrapped + nonce + sealed, version


def open_sealed(blob: bytes, *, bound_to: str) -> bytes:
    """Decrypt; raises InvalidCiphertext when the blob is broken or belongs elsewhere."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(blob) < 4 + _NONCE + 16:
        raise InvalidCiphertext
    size = struct.unpack(">I", blob[:4])[0]
    wrapped, rest = blob[4 : 4 + size], blob[4 + size :]
    if len(wrapped) != size or len(rest) < _NONCE + 16:
        raise InvalidCiphertext
    data_key = _unwrap(wrapped, bound_to.encode())
    try:
        return AESGCM(data_key).decrypt(rest[:_NONCE], rest[_NONCE:], bound_to.encode())
    except (InvalidTag, ValueError) as error:
        raise InvalidCiphertext from error


def _wrap(data_key: bytes, bound: bytes) -> tuple[bytes, str]:
    from google.api_core.exceptions import GoogleAPICallError, RetryError

    request = {
        "name": settings().kms_key,
        "plaintext": data_key,
        "plaintext_crc32c": _crc(data_key),
        "additional_authenticated_data": bound,
        "additional_authenticated_data_crc32c": _crc(bound),
    }
    try:
        response = _client().encrypt(request=request, **deadline.patience(TIMEOUT_SECONDS))
    except (GoogleAPICallError, RetryError) as error:
        raise Unavailable("The key service is not reachable or over its quota.", retry_after=5) from error
    arrived = response.verified_plaintext_crc32c and response.verified_additional_authenticated_data_crc32c
    if not arrived or _crc(response.ciphertext) != response.ciphertext_crc32c:
        raise Unavailable("The key service's answer was damaged on the way.", retry_after=1)
    return response.ciphertext, response.name


def _unwrap(wrapped: bytes, bound: bytes) -> bytes:
    from google.api_core import exceptions

    request = {
        "name": settings().kms_key,
        "ciphertext": wrapped,
        "ciphertext_crc32c": _crc(wrapped),
        "additional_authenticated_data": bound,
        "additional_authenticated_data_crc32c": _crc(bound),
    }
    try:
        response = _client().decrypt(request=request, **deadline.patience(TIMEOUT_SECONDS))
    except (exceptions.InvalidArgument, exceptions.FailedPrecondition) as error:
        raise InvalidCiphertext from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError) as error:
        raise Unavailable("The key service is not reachable or over its quota.", retry_after=5) from error
    plaintext: bytes = response.plaintext
    if _crc(plaintext) != response.plaintext_crc32c:
        raise Unavailable("The key service's answer was damaged on the way.", retry_after=1)
    return plaintext


def _crc(data: bytes) -> int:
    import google_crc32c

    return int(google_crc32c.value(data))


@lru_cache(maxsize=1)
def _client() -> Any:
    from google.cloud import kms

    emulator = settings().kms_emulator
    if emulator is None:
        return kms.KeyManagementServiceClient()
    import grpc
    from google.cloud.kms_v1.services.key_management_service.transports import (
        KeyManagementServiceGrpcTransport,
    )

    return kms.KeyManagementServiceClient(
        transport=KeyManagementServiceGrpcTransport(channel=grpc.insecure_channel(emulator))
    )
