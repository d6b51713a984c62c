"""How long a client may wait for a service: its own limit, and no longer than what the request or step has left.

    @http(timeout=60) ─► over(60) ─► hot.get: within(10) ─► 10 s, or less near the end

lease > function deadline > longest wait for a client: the first is the ledger's (shared/platform/background/ledger.py), the
second is kept here. Client libraries repeat for minutes by default, long after who asked has been cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from shared.platform import clock

ANSWER_SECONDS = 2.0
"""Left for the answer: who waits is told what failed, instead of being cut off."""
LEAST_SECONDS = 1.0
"""What a call gets though the time is over: things are put in order at the end."""

_end: ContextVar[float | None] = ContextVar("bridge_deadline", default=None)


class TimeIsOver(Exception):
    """An operation has had its time; raised inside client libraries, which repeat what they raise themselves."""


def over(seconds: float) -> AbstractContextManager[None]:
    """What runs inside ends within so many seconds, but for the time that the answer takes."""
    return _ending_in(max(LEAST_SECONDS, seconds - ANSWER_SECONDS))


def operation(most: float) -> AbstractContextManager[None]:
    """One operation of several calls (a transaction), all within `most` seconds and within what is left."""
    return _ending_in(within(most))


@contextmanager
def _ending_in(seconds: float) -> Iterator[None]:
    token = _end.set(clock.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def within(most: float) -> float:
    """Seconds that a call may take: at most so many, and no more than are left."""
    end = _end.get()
    return most if end is None else max(LEAST_SECONDS, min(most, end - clock.monotonic()))


def left() -> float | None:
    """Seconds until the end, negative when it is past; None where there is none."""
    end = _end.get()
    return None if end is None else end - clock.monotonic()


def is_over() -> bool:
    """Whether the time is over, or so nearly that what fails now may have failed for want of it."""
    end = left()
    return end is not None and end <= LEAST_SECONDS


def patience(most: float) -> dict[str, Any]:
    """Arguments of a Google client's call: its repetitions end, too, and repeat only what was not received."""
    from google.api_core.exceptions import ServiceUnavailable
    from google.api_core.retry import Retry, if_exception_type

    seconds = within(most)
    again = Retry(predicate=if_exception_type(ServiceUnavailable), initial=0.1, maximum=2.0, timeout=seconds)
    return {"timeout": seconds, "retry": again}
