"""A clock that tests move: time goes on by itself, and by leaps.

    with moved_clock() as clock:
        clock.forward(15)     # every lease, pause and deadline of this process is 15 s older; sleepers wake up
        clock.step(-3600)     # somebody set the machine's clock: dates change, durations do not

The directory has a clock of its own, by which leases in its rows end: `moved_clock(directory=url)` moves that too, for
every process that asks it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from shared.platform import clock

_LOOK_SECONDS = 0.005


class MovedClock:
    """The machine's clock plus what a test added to it."""

    def __init__(self) -> None:
        self.agers: list[Callable[[float], None]] = []
        self._passed, self._set = 0.0, 0.0
        self._moved = threading.Condition()
        self._asleep = 0

    def forward(self, seconds: float) -> None:
        """Let so many seconds pass at once, here and on the servers."""
        for age in self.agers:
            age(seconds)
        with self._moved:
            self._passed += seconds
            self._moved.notify_all()

    __call__ = forward

    def step(self, seconds: float) -> None:
        """Set this machine's clock by so many seconds, forth or back; no time passes, and servers keep theirs."""
        with self._moved:
            self._set += seconds

    @property
    def asleep(self) -> int:
        """How many threads sleep or wait just now: a test leaps when those it cares for have come to rest."""
        return self._asleep

    @property
    def seconds(self) -> float:
        """What a duration is counted by."""
        return self.monotonic()

    # What the product asks -------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._passed + self._set)

    def monotonic(self) -> float:
        return time.monotonic() + self._passed

    def of_server(self, instant: datetime) -> datetime:
        return instant + timedelta(seconds=self._passed)

    def sleep(self, seconds: float) -> None:
        end = self.monotonic() + seconds
        with self._moved:
            self._asleep += 1
            try:
                while (left := end - self.monotonic()) > 0:
                    self._moved.wait(left)
            finally:
                self._asleep -= 1

    def wait(self, event: threading.Event, seconds: float | None) -> bool:
        end = None if seconds is None else self.monotonic() + seconds
        with self._moved:
            self._asleep += 1
        try:
            # An event can't be woken without being set: so it is looked at again and again.
            while not event.wait(_LOOK_SECONDS):
                if end is not None and self.monotonic() >= end:
                    return event.is_set()
            return True
        finally:
            with self._moved:
                self._asleep -= 1


class StillClock(MovedClock):
    """A clock that stands still but for what a test moves it, so that what is told of it is exact. Whoever sleeps or
    waits does so by the machine's."""

    def __init__(self) -> None:
        super().__init__()
        self._began, self._counted = datetime.now(UTC), time.monotonic()

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self._passed + self._set)

    def monotonic(self) -> float:
        return self._counted + self._passed

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float | None) -> bool:
        return event.wait(seconds)


@contextmanager
def moved_clock(made: MovedClock | None = None, *, directory: str | None = None) -> Iterator[MovedClock]:
    """A clock that can be moved, in use for the block; with it that of a directory, by its owner's address."""
    made = made or MovedClock()
    with clock.replaced(made):
        if directory is None:
            yield made
            return
        time_of_leases = _DirectoryClock(directory)
        made.agers.append(time_of_leases.forward)
        try:
            yield made
        finally:
            time_of_leases.reset()


class _DirectoryClock:
    """The one function by which every statement about leases reads the time (migrations/0012)."""

    def __init__(self, owner: str) -> None:
        self._owner, self._passed = owner, 0.0

    def forward(self, seconds: float) -> None:
        self._passed += seconds
        self._write(f"now() + make_interval(secs => {self._passed})")

    def reset(self) -> None:
        if self._passed:
            self._write("now()")

    def _write(self, time_of_leases: str) -> None:
        from pg8000.native import Connection

        url = urlsplit(self._owner)
        owner = Connection(
            url.username or "",
            password=url.password,
            host=url.hostname or "",
            port=url.port or 5432,
            database=url.path[1:],
        )
        try:
            owner.run(
                "CREATE OR REPLACE FUNCTION bridge_lease_now() RETURNS timestamptz "
                f"LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT {time_of_leases} $$"
            )
        finally:
            owner.close()
