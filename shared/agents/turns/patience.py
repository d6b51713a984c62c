"""Wait for a store that is away, so that a turn outlives its restart; and leave the turn to its journal when it lasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from shared.platform import clock
from shared.platform.errors import Unavailable

PATIENCE_SECONDS = 20.0
T = TypeVar("T")


class StoreAway(Exception):
    """A store that the turn stands on could not be reached for so long that the turn is left to its journal.

    Not a BridgeError: nothing has failed yet. Another process, or this one later, goes on with it.
    """

    def __init__(self, error: Unavailable) -> None:
        super().__init__(error.message)
        self.error = error


def patiently(work: Callable[[], T]) -> T:
    """Repeat while the store can't be reached, for a while. Raises StoreAway when this process can wait no longer."""
    end, pause = clock.monotonic() + PATIENCE_SECONDS, 0.1
    while True:
        try:
            return work()
        except Unavailable as error:
            if clock.monotonic() > end:
                raise StoreAway(error) from error
            clock.sleep(pause)
            pause = min(pause * 2, 2.0)


def patiently_or_fail(work: Callable[[], T]) -> T:
    """The same for what a turn needs to begin, and what nobody can do without: raises what it failed with."""
    try:
        return patiently(work)
    except StoreAway as away:
        raise away.error from away
