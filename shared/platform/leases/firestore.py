"""Leases in documents of Firestore: `owner`, `fence` and `until`, in seconds since 1970 by Firestore's own clock.

    look ── held ──► wait, look again            plain reads: two hundred waiters cost the holder nothing
      └──── free ──► take, in a transaction      only now, and only if the document is still as it was looked at

Firestore may lose a document, so a fencing token is no counter: it is the time of the taking in microseconds, and one
more than the token before it where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.platform.cloud import documents
from shared.platform.cloud.documents import Seen
from shared.platform.ids import new_id
from shared.platform.leases.contract import Lease

COLLECTION = "leases"
_KEPT_SECONDS = 3600.0
"""How long a document outlives its lease, so that its fencing token is remembered."""


@dataclass(frozen=True)
class Look:
    """What a plain read of a lease showed."""

    left: float
    """Seconds until it is free."""
    fence: int
    """The token of the holder now, or of the last one; nought where there was none."""


def look_at(seen: Seen) -> Look:
    """The lease in a document as it was read."""
    value = seen.value or {}
    return Look(max(0.0, float(value.get("until", 0.0)) - seen.at), int(value.get("fence", 0)))


def granted(seen: Seen, seconds: float) -> tuple[dict[str, Any], Lease]:
    """A new lease, and its fields for the document, which may have others."""
    lease = Lease(new_id(), max(look_at(seen).fence + 1, int(seen.at * 1_000_000)))
    return {"owner": lease.owner, "fence": lease.fence, "until": seen.at + seconds}, lease


class DocumentSlot:
    """The lease of one document."""

    def __init__(self, key: str) -> None:
        self.key = key

    def look(self) -> Look:
        """Read it, without a transaction."""
        return look_at(documents.see((COLLECTION, self.key))[0])

    def left(self) -> float:
        """Seconds until it is free."""
        return self.look().left

    def take(self, seconds: float) -> Lease | None:
        """Take it where a look shows it free; None while somebody else has it."""
        looked = self.look()
        return None if looked.left > 0 else self.take_after(looked, seconds)

    def take_after(self, looked: Look, seconds: float) -> Lease | None:
        """Take it as it was looked at; None where somebody else has had it since, even if it is free again.

        So what was read together with the lease, and found missing, is still missing.
        """

        def decide(seen: Seen) -> tuple[dict[str, Any] | None, Lease | None]:
            now = look_at(seen)
            return (None, None) if now.left > 0 or now.fence != looked.fence else granted(seen, seconds)

        return documents.change_seen(COLLECTION, self.key, decide, ttl_seconds=_KEPT_SECONDS + seconds)

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Begin the lease anew; False when it is not the holder's any more."""
        return self._change(lease, {"owner": lease.owner}, seconds)

    def release(self, lease: Lease) -> bool:
        """Give the lease back; False when it is not the holder's any more. The fencing token stays."""
        # Without an owner: a renewal that is still on its way must find nothing to renew.
        return self._change(lease, {"owner": None}, 0.0)

    def _change(self, lease: Lease, new: dict[str, Any], seconds: float) -> bool:
        def decide(seen: Seen) -> tuple[dict[str, Any] | None, bool]:
            current = seen.value
            if current is None or current["owner"] != lease.owner or int(current["fence"]) != lease.fence:
                return None, False
            return current | new | {"until": seen.at + seconds}, True

        return documents.change_seen(COLLECTION, self.key, decide, ttl_seconds=_KEPT_SECONDS + seconds)
