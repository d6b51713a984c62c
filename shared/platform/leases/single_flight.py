"""Single flight: of callers that want the same result, one computes it and the others wait for it.

    instance 1   caller 1  ── looks, takes the lease ── computes ── keeps ─► Done
                 caller 2  ── waits for caller 1 ──────────────────────────► the same
    instance 2   caller 3  ── looks, it is held ── pause ── looks ── looks ─► Done, found
                 caller 4  ── waits for caller 3 ─────────────────────────── ► the same

In an instance one caller a key goes on: the leader. It tries, and while another instance holds the lease it looks
again after pauses that grow, so waiting costs one plain read a pause for each instance, however many callers wait.
Each caller waits for as long as it has time itself. A leader whose own time is over leaves, and the next caller leads:
what one caller's deadline cut short is nobody else's answer.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.platform import clock, deadline
from shared.platform.errors import DeadlineExceeded

T = TypeVar("T")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 0.5
GROWTH = 1.6


class NotInTime(Exception):
    """The caller has no time left, and the result is not there yet."""


@dataclass(frozen=True)
class Done(Generic[T]):
    """There is a result. `shared`: callers that wait for it here get it too."""

    value: T
    shared: bool = True


@dataclass(frozen=True)
class Later:
    """Somebody else is at it, and holds the lease for so many seconds yet."""

    seconds: float


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """A result and whether this caller's own attempt came by it."""

    value: T
    led: bool


class Flight(Generic[T]):
    """The callers of one instance, by what they want."""

    def __init__(self, shares: Callable[[BaseException], bool] = lambda _error: True) -> None:
        """`shares` says which errors of an attempt are everybody's; of others each caller makes its own attempt."""
        self._shares = shares
        self._going: dict[Hashable, _Going[T]] = {}
        self._lock = threading.Lock()

    def run(
        self, key: Hashable, attempt: Callable[[], Done[T] | Later], *, remaining: Callable[[], float]
    ) -> Outcome[T]:
        """The result for the key: of this caller's attempts, or of the caller's that it waited for.

        `attempt` looks for the result, computes it where nobody does, or says who is at it. `remaining` answers the
        seconds that this caller has left. Raises NotInTime when they are over, and what the attempt raises.
        """
        going, leads = self._join(key)
        while not leads:
            if not clock.wait(going.ended, max(0.0, remaining())):
                self._leave(key, going)
                raise NotInTime
            if going.error is not None:
                raise going.error
            if going.done is not None:
                return Outcome(going.done.value, led=False)
            assert going.next is not None
            going, leads = self._follow(going.next)
        return Outcome(self._lead(key, going, attempt, remaining), led=True)

    def _join(self, key: Hashable) -> tuple[_Going[T], bool]:
        """The attempt that is under way for the key, and whether this caller is to lead it."""
        with self._lock:
            going = self._going.setdefault(key, _Going())
            leads, going.led = not going.led, True
            going.waiting += not leads
            return going, leads

    def _follow(self, going: _Going[T]) -> tuple[_Going[T], bool]:
        """The attempt after one that gave those who waited for it nothing: the first of them to come leads it."""
        with self._lock:
            leads, going.led = not going.led, True
            going.waiting -= leads
            return going, leads

    def _leave(self, key: Hashable, going: _Going[T]) -> None:
        """A caller waits no longer."""
        with self._lock:
            while going.next is not None:
                going = going.next
            going.waiting -= 1
            if not going.led and not going.waiting:
                self._going.pop(key, None)

    def _lead(
        self,
        key: Hashable,
        going: _Going[T],
        attempt: Callable[[], Done[T] | Later],
        remaining: Callable[[], float],
    ) -> T:
        try:
            done = persevere(attempt, remaining)
            going.done = done if done.shared else None
            return done.value
        except Exception as error:
            if self._shares(error) and not _is_of_the_caller(error, remaining):
                going.error = error
            raise
        finally:
            with self._lock:
                del self._going[key]
                if going.done is None and going.error is None and going.waiting:
                    going.next = self._going[key] = _Going(waiting=going.waiting)
            going.ended.set()


@dataclass
class _Going(Generic[T]):
    """An attempt under way: what its leader leaves to those who wait for it."""

    waiting: int = 0
    led: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    done: Done[T] | None = None
    error: BaseException | None = None
    next: _Going[T] | None = None
    """The attempt that those who waited make, where this one gave them nothing."""


def persevere(attempt: Callable[[], Done[T] | Later], remaining: Callable[[], float]) -> Done[T]:
    pause = FIRST_PAUSE_SECONDS
    while True:
        tried = attempt()
        if isinstance(tried, Done):
            return tried
        left = remaining()
        if left <= 0:
            raise NotInTime
        # No longer than the lease lasts: what a dead holder had is free then. Scattered, so that instances that
        # began to wait at one moment do not look at one moment.
        wait = min(pause, tried.seconds + FIRST_PAUSE_SECONDS, left)
        clock.sleep(wait * random.uniform(0.5, 1.0))
        pause = min(pause * GROWTH, LONGEST_PAUSE_SECONDS)


def _is_of_the_caller(error: BaseException, remaining: Callable[[], float]) -> bool:
    """Whether an error came of the caller's deadline: another caller may have the time."""
    if isinstance(error, NotInTime | DeadlineExceeded | deadline.TimeIsOver):
        return True
    if deadline.is_over():
        return True
    try:
        return remaining() <= deadline.LEAST_SECONDS
    except DeadlineExceeded:
        return True
