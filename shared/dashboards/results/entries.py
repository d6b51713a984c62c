"""Results of queries as instances share them: Firestore entries, large ones by a pointer to the lake.

    fresh ──ttl──► soft-stale (served while one refresh runs) ──window──► hard-stale (never served)

A result is written by whoever holds the key's lease (`platform.leases`). An entry remembers the fencing token of its
writer, so a holder that stalled past its lease can't overwrite what its successor computed. A refresh that failed
gives the lease back and is remembered for a short while.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, replace
from typing import Any

from shared.platform import clock
from shared.platform.cloud import documents, objects
from shared.platform.leases.contract import Lease
from shared.platform.leases.firestore import COLLECTION, Look, look_at

INLINE_BYTES = 700 * 1024
ERROR_SECONDS, RETRYABLE_ERROR_SECONDS = 60.0, 5.0
NO_ROWS = gzip.compress(b'"columns":[],"rows":[]', 1, mtime=0)
RESULTS = "results"


@dataclass(frozen=True)
class Entry:
    """One stored result, or the memory of one failed attempt."""

    shown: bytes
    """gzip of `"columns":[…],"rows":[…]` as a tile gets it."""
    metadata: dict[str, Any]
    fresh_until: float
    serve_until: float
    error: dict[str, Any] | None = None
    whole: bytes | None = None
    """gzip of all rows, where the tile gets fewer."""
    pointer: str | None = None
    quiet_until: float = 0.0
    """After a failed refresh nobody tries again before this."""
    fence: int = 0

    def is_fresh(self, now: float) -> bool:
        """Whether it is served without a thought."""
        return now < self.fresh_until

    def is_servable(self, now: float) -> bool:
        """Whether it may be served at all."""
        return now < max(self.fresh_until, self.serve_until)


def find_many(keys: list[str]) -> dict[str, Entry]:
    """The entries that may still be served, in one round trip."""
    now = clock.epoch()
    found = {key: _entry(value) for key, value in documents.get_many(RESULTS, keys).items()}
    return {key: entry for key, entry in found.items() if entry.is_servable(now)}


def find(key: str) -> Entry | None:
    """One entry that may still be served."""
    return find_many([key]).get(key)


def look(key: str) -> tuple[Entry | None, Look]:
    """An entry that may still be served, and who computes it now, in one plain read."""
    result, lease = documents.see((RESULTS, key), (COLLECTION, key))
    entry = None if result.value is None else _entry(result.value)
    return entry if entry is not None and entry.is_servable(clock.epoch()) else None, look_at(lease)


def write(key: str, lease: Lease, team: str, entry: Entry) -> bool:
    """Keep a result; False when a later holder has written already. Raises Unavailable."""
    whole, pointer = entry.whole, entry.pointer
    if len(entry.shown) + len(whole or b"") > INLINE_BYTES and whole is not None:
        name = objects.safe_name(team, f"{hashlib.sha256(key.encode()).hexdigest()}-{lease.fence}.json.gz")
        objects.put("cache", name, whole, content_type="application/gzip")
        whole, pointer = None, name
    value = {
        "shown": entry.shown,
        "metadata": entry.metadata,
        "fresh_until": entry.fresh_until,
        "serve_until": entry.serve_until,
        "error": entry.error,
        "whole": whole,
        "pointer": pointer,
        "quiet_until": entry.quiet_until,
        "fence": lease.fence,
    }
    life = max(60.0, entry.serve_until - clock.epoch(), entry.fresh_until - clock.epoch())

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, bool]:
        if current is not None and int(current["fence"]) > lease.fence:
            return None, False
        return value, True

    return documents.change(RESULTS, key, decide, ttl_seconds=life)


def failed(previous: Entry | None, error: dict[str, Any]) -> Entry:
    """The memory of a failure: beside a result that may still be served, or instead of one."""
    now = clock.epoch()
    pause = RETRYABLE_ERROR_SECONDS if error["retryable"] else ERROR_SECONDS
    if previous is not None and previous.error is None:
        # Its rows stay where they lie: whether they can be read has nothing to do with this failure.
        return replace(previous, quiet_until=now + pause)
    return Entry(
        shown=NO_ROWS,
        metadata={"row_count": 0, "executed_at": clock.iso(clock.now()), "warnings": []},
        fresh_until=now + pause,
        serve_until=0.0,
        error=error,
    )


def rows_of(entry: Entry) -> bytes | None:
    """gzip of all rows of an entry, wherever they lie; None where the tile's rows are all."""
    if entry.pointer is not None:
        return objects.get("cache", entry.pointer)[0]
    return entry.whole


def _entry(value: dict[str, Any]) -> Entry:
    known: dict[str, Any] = {name: value[name] for name in Entry.__dataclass_fields__ if name in value}
    return Entry(**known)
