"""Identifiers: UUIDv7, made by the application, sortable by creation time.

A repeated request must create the same row twice, not two rows, so an id can also be derived from an
idempotency key: same key, same id, and the second INSERT meets the first.
"""

import hashlib
import os
import re
import time
from typing import NewType
from uuid import UUID

TeamId = NewType("TeamId", str)
UserId = NewType("UserId", str)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def new_id() -> str:
    """A fresh UUIDv7 (RFC 9562): 48 bits of milliseconds, then randomness."""
    return _v7(time.time_ns() // 1_000_000, os.urandom(10))


def derived_id(*parts: str, at_ms: int = 0) -> str:
    """The id that these parts always give, shaped as a UUIDv7 of the given millisecond."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return _v7(at_ms, digest[:10])


def is_id(text: str) -> bool:
    """Whether the text is a UUID in its canonical, lower-case form."""
    return bool(_UUID.match(text))


def _v7(milliseconds: int, tail: bytes) -> str:
    raw = bytearray(milliseconds.to_bytes(6, "big") + tail)
    raw[6] = (raw[6] & 0x0F) | 0x70
    raw[8] = (raw[8] & 0x3F) | 0x80
    return str(UUID(bytes=bytes(raw)))
