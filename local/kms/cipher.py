"""Envelope of our ciphertexts: format byte, version number, nonce, AES-256-GCM output.

The key's name and the version are authenticated together with the caller's additional data, so a ciphertext
opens only under the key that made it.
"""

import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = b"\x0a"
_HEAD = struct.Struct(">cI")
_NONCE = 12
OVERHEAD = _HEAD.size + _NONCE + 16


class Unreadable(Exception):
    """Not a ciphertext of this key with this additional data."""


def seal(material: bytes, key: str, number: int, plaintext: bytes, aad: bytes) -> bytes:
    head = _HEAD.pack(_FORMAT, number)
    nonce = os.urandom(_NONCE)
    return head + nonce + AESGCM(material).encrypt(nonce, plaintext, _bound(head, key, aad))


def number_of(ciphertext: bytes) -> int:
    """The version that made the ciphertext. Raises Unreadable."""
    if len(ciphertext) < OVERHEAD or ciphertext[:1] != _FORMAT:
        raise Unreadable
    return int(_HEAD.unpack_from(ciphertext)[1])


def unseal(material: bytes, key: str, ciphertext: bytes, aad: bytes) -> bytes:
    head, rest = ciphertext[: _HEAD.size], ciphertext[_HEAD.size :]
    try:
        return AESGCM(material).decrypt(rest[:_NONCE], rest[_NONCE:], _bound(head, key, aad))
    except InvalidTag:
        raise Unreadable from None


def _bound(head: bytes, key: str, aad: bytes) -> bytes:
    name = key.encode()
    return head + struct.pack(">I", len(name)) + name + aad
