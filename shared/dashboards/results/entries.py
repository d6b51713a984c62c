"""Results of queries as instances share them: Firestore entries, large ones by a pointer to the lake.

    fresh ──ttl──► soft-stale (served while one refresh runs) ──window──► hard-stale (never served)

A result is written by whoever holds the key's lease. The lease carries a fencing token that only grows;
an entry remembers the token of its writer, so a holder that stalled past its lease can't overwrite what
its successor computed. A refresh that failed gives the lease back and is remembered for a short while.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from typing import Any

from shared.platform import clock
from shared.platform.cloud import documents, objects
from shared.platform.ids import new_id

INLINE_BYTES = 700 * 1024
ERROR_SECONDS, RETRYABLE_ERROR_SECONDS = 60.0, 5.0
NO_ROWS = gzip.compress(b'"columns":[],"rows":[]', 1, mtime=0)
RESULTS, LEASES = "results", "leases"


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


@dataclass(frozen=True)
class Lease:
    """The right to compute one key for a while, with the token that orders holders."""

    key: str
    owner: str
    fence: int


def find_many(keys: list[str]) -> dict[str, Entry]:
    """The entries that may still be served, in one round trip."""
    now = clock.epoch()
    found = {key: _entry(value) for key, value in documents.get_many(RESULTS, keys).items()}
    return {key: entry for key, entry in found.items() if entry.is_servable(now)}


def find(key: str) -> Entry | None:
    """One entry that may still be served."""
    return find_many([key]).get(key)


def take_lease(key: str, seconds: float) -> Lease | None:
    """The lease of a key, or None while somebody else holds it."""
    owner, now = new_id(), clock.epoch()

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, Lease | None]:
        if current is not None and current["until"] > now:
            return None, None
        fence = max(int(current["fence"]) + 1 if current else 0, int(now * 1000))
        return {"owner": owner, "fence": fence, "until": now + seconds}, Lease(key, owner, fence)

    return documents.change(LEASES, key, decide, ttl_seconds=max(3600.0, seconds * 2))


def renew(lease: Lease, seconds: float) -> bool:
    """Hold the lease for longer; False when somebody else has it now."""

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, bool]:
        if current is None or current["owner"] != lease.owner:
            return None, False
        return current | {"until": clock.epoch() + seconds}, True

    return documents.change(LEASES, lease.key, decide, ttl_seconds=max(3600.0, seconds * 2))


def release(lease: Lease) -> None:
    """Give the lease back; the fence stays, and another holder's lease is left alone."""

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, None]:
        if current is None or current["owner"] != lease.owner:
            return None, None
        return current | {"until": 0.0}, None

    documents.change(LEASES, lease.key, decide, ttl_seconds=3600.0)


def is_leased(key: str) -> bool:
    """Whether somebody computes the key now."""
    current = documents.get(LEASES, key)
    return current is not None and current["until"] > clock.epoch()


def write(lease: Lease, team: str, entry: Entry) -> bool:
    """Keep a result; False when a later holder has written already."""
    whole, pointer = entry.whole, None
    if len(entry.shown) + len(whole or b"") > INLINE_BYTES and whole is not None:
        name = objects.safe_name(
            team, f"{hashlib.sha256(lease.key.encode()).hexdigest()}-{lease.fence}.json.gz"
        )
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

    return documents.change(RESULTS, lease.key, decide, ttl_seconds=life)


def failed(lease: Lease, team: str, previous: Entry | None, error: dict[str, Any]) -> Entry:
    """Remember a failure: beside a result that may still be served, or instead of one."""
    now = clock.epoch()
    pause = RETRYABLE_ERROR_SECONDS if error["retryable"] else ERROR_SECONDS
    if previous is not None and previous.error is None:
        entry = Entry(
            shown=previous.shown,
            metadata=previous.metadata,
            fresh_until=previous.fresh_until,
            serve_until=previous.serve_until,
            whole=rows_of(previous),
            quiet_until=now + pause,
        )
    else:
        entry = Entry(
            shown=NO_ROWS,
            metadata={"row_count": 0, "executed_at": clock.iso(clock.now()), "warnings": []},
            fresh_until=now + pause,
            serve_until=0.0,
            error=error,
        )
    write(lease, team, entry)
    return entry


def rows_of(entry: Entry) -> bytes | None:
    """gzip of all rows of an entry, wherever they lie; None where the tile's rows are all."""
    if entry.pointer is not None:
        return objects.get("cache", entry.pointer)[0]
    return entry.whole


def _entry(value: dict[str, Any]) -> Entry:
    known: dict[str, Any] = {name: value[name] for name in Entry.__dataclass_fields__ if name in value}
    return Entry(**known)
