"""Keep what is held only for a short time, while the work goes on: a beat from a thread of its own.

Short leases with beats free what a dead worker held within seconds, and still let a slow one finish.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.platform import clock, threads
from shared.platform.telemetry import context as telemetry


@contextmanager
def beating(renew: Callable[[], bool], *, every: float, at_most: float, what: str) -> Iterator[None]:
    """Call `renew` each `every` seconds inside the block, until it answers False or `at_most` seconds passed.

    A beat that fails is logged and tried again: the next one may get through, and the holder's fence
    decides if none does in time.
    """
    stopped, end = threading.Event(), clock.monotonic() + at_most

    def beat() -> None:
        while not clock.wait(stopped, every) and clock.monotonic() < end:
            try:
                if not renew():
                    return
            except Exception as error:
                telemetry.log_exception(f"a beat for {what} failed", error)

    threads.start("beat", beat)
    try:
        yield
    finally:
        stopped.set()
