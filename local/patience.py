"""Waiting for a condition with a bound that a busy or a slow machine stretches.

A bound is needed only for what never comes true. A fixed number of seconds would also be passed by work that
merely gets little of the processor, so bounds are counted in seconds of a quiet machine: while this machine
works at a tenth of that pace, a minute of patience lasts ten.
"""

import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

_LOOPS = 60_000
_QUIET_SECONDS = 0.003
"""Processor time that so many loops take on the machine whose seconds are counted."""
_SAMPLED_EVERY = 0.5

T = TypeVar("T")


class NotInTime(TimeoutError):
    """A condition stayed false for longer than it may on the slowest machine that counts."""


class Patience:
    """A supply of seconds of a quiet machine, used up more slowly where the machine is busy or slow."""

    def __init__(self, seconds: float, slowness: Callable[[], float] | None = None) -> None:
        self.seconds, self.used = seconds, 0.0
        self._slowness = slowness or slowness_now
        self._looked, self._pace = time.monotonic(), 0.0

    def over(self) -> bool:
        """Whether the supply is used up."""
        now = time.monotonic()
        if not self._pace or now - self._looked > _SAMPLED_EVERY:
            self._pace = self._slowness()
        self.used += (now - self._looked) / self._pace
        self._looked = now
        return self.used > self.seconds


def until(
    condition: Callable[[], T],
    what: str | Callable[[], str] = "",
    *,
    seconds: float = 60.0,
    pause: float = 0.02,
) -> T:
    """The first true value of the condition, which is asked each `pause` seconds.

    `what` says for the message what was waited for; a callable is asked at the end. Raises NotInTime after
    `seconds` of a quiet machine.
    """
    patience = Patience(seconds)
    while not (value := condition()):
        if patience.over():
            said = what() if callable(what) else what
            raise NotInTime(f"not within {seconds:g} s of a quiet machine: {said or condition}")
        time.sleep(pause)
    return value


def slowness_now() -> float:
    """How many times longer than on a quiet machine work takes on this one just now; 1 or more."""
    return max(1.0, _runnable() / _cores()) * _pace_of_this_machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _runnable() -> float:
    """How many threads want a processor: of now and of the last minute, whichever is more."""
    try:
        words = Path("/proc/loadavg").read_text().split()
    except OSError:
        return os.getloadavg()[0]
    return max(float(words[0]), float(words[3].partition("/")[0]))


@cache
def _pace_of_this_machine() -> float:
    """How many times slower this machine's processor is, 1 or more; other processes are not counted."""
    began, total = time.thread_time(), 0
    for number in range(_LOOPS):
        total += number & 7
    return max(1.0, (time.thread_time() - began) / _QUIET_SECONDS)
