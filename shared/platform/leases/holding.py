"""Hold a slot while a block works: take it, keep it by a heartbeat, give it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.platform.leases.contract import Lease, Slot, Terms
from shared.platform.leases.heartbeat import Heartbeat
from shared.platform.telemetry.bookkeeping import bookkeeping


@contextmanager
def holding(
    slot: Slot, terms: Terms, what: str, *, take: Callable[[], Lease | None] | None = None
) -> Iterator[Lease | None]:
    """Hold the slot inside the block; None where somebody else has it. `take` takes it in a way of the caller's own.

    The slot is given back as best it can be: what the block made is not lost because its lease could not be returned,
    which ends by itself.
    """
    lease = slot.take(terms.seconds) if take is None else take()
    if lease is None:
        yield None
        return
    try:
        with Heartbeat(lambda: slot.renew(lease, terms.seconds), terms, what):
            yield lease
    finally:
        with bookkeeping("the end of a lease", "it ends by itself", what=what):
            slot.release(lease)
