"""Leases: the right of one worker to do something for a while.

    worker 1: take ── renew ── renew ── stalls ─────────────────────── wakes up: renew → False, its writes are refused
    worker 2:   take → None              lease ends, take (greater fence) ── works ── release

A lease is short and renewed by a heartbeat while the work goes on, so what a worker held that died is free within
seconds. A worker that stalls can't know that it lost its lease; so whatever it writes must name its owner token (in
the statement or transaction that writes) or its fencing token (where another store compares). Two backends keep this
contract: rows of the directory (`leases.postgres`) and documents of Firestore (`leases.firestore`); one suite of races
holds both to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol


@dataclass(frozen=True)
class Terms:
    """How a lease is kept, all in seconds."""

    seconds: float
    """How long it lasts without being renewed: what a dead worker held is free after that."""
    heartbeat: float
    """How often its holder renews it; several times within `seconds`, so that one failure is not the end."""
    at_most: float
    """For how long a holder renews it at all: who hangs must let go."""

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat <= self.seconds / 3:
            raise ValueError(
                f"a lease of {self.seconds} s can't be kept by a heartbeat each {self.heartbeat} s"
            )

    def lasting(self, at_most: float) -> Terms:
        """The same for work that may take another time."""
        return replace(self, at_most=at_most)


@dataclass(frozen=True)
class Lease:
    """A lease that was taken."""

    owner: str
    """The holder's token, new for each time that a lease is taken."""
    fence: int
    """Greater than that of every earlier holder, whatever became of those: released, ended, deleted."""
    row: Mapping[str, Any] = field(default_factory=dict)
    """What else the backend answered when it was taken."""


class Slot(Protocol):
    """What one worker at a time may hold. Every method raises Unavailable where its store can't be reached."""

    def take(self, seconds: float) -> Lease | None:
        """A lease of so many seconds; None while somebody else has one, or where there is nothing to do any more."""

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Begin the lease anew; False when it is not this holder's any more, which then changes nothing.

        One that has ended can be renewed as long as nobody has taken the slot since.
        """

    def release(self, lease: Lease) -> bool:
        """Give the lease back at once; False when it is not this holder's any more, which then changes nothing."""

    def left(self) -> float:
        """Seconds until the slot is free; nought when it is, or nobody ever held it. Asking disturbs no holder."""
