"""Identifiers: UUIDv7, made by the application, sortable by creation time.

A repeated request must create the same row twice, not two rows, so an id can also be derived from an
idempotency key: same key, same id, and the second INSERT meets the first.
"""

import hashlib
import os
import re
import threading
import time
from typing import NewType
from uuid import UUID

TeamId = NewType("TeamId", str)
UserId = NewType("UserId", str)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A fresh UUIDv7: 48 bits of milliseconds, 12 of their fraction, 62 random (RFC 9562, section 6.2, method 3).

    Those of one process sort in the order in which they were made, whatever the clock does.
    """
    global _last
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    with _lock:
        _last = tick = max(milliseconds << 12 | (rest << 12) // 1_000_000, _last + 1)
    return _v7(tick >> 12, (tick & 0xFFF).to_bytes(2, "big") + os.urandom(8))


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
