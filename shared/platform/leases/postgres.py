"""Leases in rows of the directory.

A lease lives where its work lives: an attempt's in the attempt, a turn's in the turn. So the transaction that keeps
an effect can also demand that the lease is still its own (`WHERE … owner = :owner`), and both come or neither. Each
room writes its four statements as SQL beside its store; what a lease means they ask the directory's functions
(migrations/0012_leases.up.sql), and here stands how they are called.

    ATTEMPTS = Rows(take=Q.claim_attempt, renew=Q.renew_attempt, release=Q.release_attempt, left=Q.attempt_left)
    lease = ATTEMPTS.take(tx, 30, step=step, key=key)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from shared.platform.ids import new_id
from shared.platform.leases.contract import Lease
from shared.platform.postgres import pool

_MUST_ASK = {
    "take": ("bridge_lease_end(", "bridge_lease_over(", "bridge_lease_fence()", ":owner"),
    "renew": ("bridge_lease_end(", ":owner"),
    "release": (":owner",),
    "left": ("bridge_lease_left(",),
}


class Rows:
    """Leases in the rows of one table, by its four statements.

    `take` binds `owner` and `lease` (seconds) and answers a row with `fence` where it got the lease; `renew` binds
    both, `release` the owner: they touch a row where the lease is still the owner's. `left` answers `left` (seconds).
    All bind what names the row (`at`).
    """

    def __init__(self, *, take: str, renew: str, release: str, left: str) -> None:
        self._take, self._renew, self._release, self._left = take, renew, release, left
        for name, statement in (("take", take), ("renew", renew), ("release", release), ("left", left)):
            if missing := [part for part in _MUST_ASK[name] if part not in statement]:
                raise ValueError(f"the statement that would {name} a lease lacks {missing}: {statement[:80]}")

    def take(self, tx: pool.Tx, seconds: float, *, owner: str | None = None, **at: Any) -> Lease | None:
        """Take the lease of a row; None while somebody else has it, or where the row is done with.

        `owner` is a token of the caller's own, for a transaction that may be repeated.
        """
        owner = owner or new_id()
        row = tx.find(self._take, owner=owner, lease=seconds, **at)
        return None if row is None else Lease(owner, int(row["fence"]), row)

    def renew(self, tx: pool.Tx, lease: Lease, seconds: float, **at: Any) -> bool:
        """Begin the lease anew; False when it is not the holder's any more."""
        return tx.run(self._renew, owner=lease.owner, lease=seconds, **at) > 0

    def release(self, tx: pool.Tx, lease: Lease, **at: Any) -> bool:
        """Give the lease back; False when it is not the holder's any more."""
        return tx.run(self._release, owner=lease.owner, **at) > 0

    def left(self, tx: pool.Tx, **at: Any) -> float:
        """Seconds until the row is free; a plain read, which waits for no lock and makes nobody wait."""
        row = tx.find(self._left, **at)
        return 0.0 if row is None or row["left"] is None else float(row["left"])

    def slot(
        self,
        transaction: Callable[[], AbstractContextManager[pool.Tx]],
        at: Mapping[str, Any],
        taking: Mapping[str, Any],
    ) -> RowSlot:
        """The lease of one row as a slot, each call in a transaction of its own. `taking`: what only `take` binds."""
        return RowSlot(self, transaction, at, taking)


class RowSlot:
    """The lease of one row."""

    def __init__(
        self,
        rows: Rows,
        transaction: Callable[[], AbstractContextManager[pool.Tx]],
        at: Mapping[str, Any],
        taking: Mapping[str, Any],
    ) -> None:
        self._rows, self._transaction, self._at, self._taking = rows, transaction, at, taking

    def take(self, seconds: float) -> Lease | None:
        """Take the lease; None while somebody else has it, or where the row is done with."""
        with self._transaction() as tx:
            return self._rows.take(tx, seconds, **self._at, **self._taking)

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Begin the lease anew; False when it is not the holder's any more."""
        with self._transaction() as tx:
            return self._rows.renew(tx, lease, seconds, **self._at)

    def release(self, lease: Lease) -> bool:
        """Give the lease back; False when it is not the holder's any more."""
        with self._transaction() as tx:
            return self._rows.release(tx, lease, **self._at)

    def left(self) -> float:
        """Seconds until the row is free."""
        with self._transaction() as tx:
            return self._rows.left(tx, **self._at)
