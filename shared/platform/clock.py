"""The time, in one place, so that every caller agrees on zone and form, and tests can move it.

    now, epoch, monotonic ─┐
    sleep, wait ───────────┼─► the clock in use: the machine's, or one that `replaced` puts there
    of_server ─────────────┘

Whoever waits, waits here: a test that moves its clock wakes every sleeper whose time has come, so leases, pauses and
retries age at once instead of being waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol


class TimeSource(Protocol):
    """What tells the time and lets it pass."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""

    def wait(self, event: threading.Event, seconds: float | None) -> bool:
        """Wait for the event for at most so many seconds; answers whether it is set."""

    def of_server(self, instant: datetime) -> datetime:
        """An instant that a server told, as it is on this clock."""


class _Machine:
    """The clock of the machine; a server's instant is what it is."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float | None) -> bool:
        return event.wait(seconds)

    def of_server(self, instant: datetime) -> datetime:
        return instant


_clock: TimeSource = _Machine()


@contextmanager
def replaced(by: TimeSource) -> Iterator[None]:
    """Every thread of this process reads another clock inside the block."""
    global _clock
    before, _clock = _clock, by
    try:
        yield
    finally:
        _clock = before


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return _clock.now()


def epoch() -> float:
    """The current instant in seconds since 1970."""
    return now().timestamp()


def today_iso() -> str:
    """The current UTC date as YYYY-MM-DD."""
    return now().date().isoformat()


def iso(instant: datetime | None) -> str | None:
    """RFC 3339 with milliseconds and Z, the form of every timestamp in an answer."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def monotonic() -> float:
    """Seconds that only grow; for deadlines and durations, never for dates."""
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    """Let so many seconds pass."""
    _clock.sleep(seconds)


def wait(event: threading.Event, seconds: float | None = None) -> bool:
    """Wait for the event, for at most so many seconds where they are given; answers whether it is set."""
    return _clock.wait(event, seconds)


def of_server(instant: datetime) -> datetime:
    """An instant that a server told, as it is on the clock in use.

    What several instances compare (the end of a lease) is read from one clock, the server's: instances whose own
    clocks differ or are set anew agree all the same.
    """
    return _clock.of_server(instant)
