"""Envelope of our ciphertexts: format byte, version number, nonce, AES-256-GCM output.

The format and version are authenticated together with the caller's additional data. A ciphertext opens only
under the key that made it because each version has bytes of its own.
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


def seal(material: bytes, number: int, plaintext: bytes, aad: bytes) -> bytes:
    head = _HEAD.pack(_FORMAT, number)
    nonce = os.urandom(_NONCE)
    return head + nonce + AESGCM(material).encrypt(nonce, plaintext, head + aad)


def number_of(ciphertext: bytes) -> int:
    """The version that made the ciphertext. Raises Unreadable."""
    if len(ciphertext) < OVERHEAD or ciphertext[:1] != _FORMAT:
        raise Unreadable
    return int(_HEAD.unpack_from(ciphertext)[1])


def unseal(material: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    head, rest = ciphertext[: _HEAD.size], ciphertext[_HEAD.size :]
    try:
        return AESGCM(material).decrypt(rest[:_NONCE], rest[_NONCE:], head + aad)
    except InvalidTag:
        raise Unreadable from None
