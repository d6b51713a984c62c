"""Stop work that is under way somewhere else: a query on a warehouse, a call that waits.

    with cancelling(job.cancel):      # the adapter, where it begins to wait
        return job.result()

    stop.request()                    # the beat of the step, when it sees that its job was cancelled

The two do not know each other: what can be stopped registers with the work that this thread is part of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.platform.telemetry import context as telemetry


class Stop:
    """Whether a piece of work is to stop, and how what it waits for is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._actions: list[Callable[[], object]] = []
        self.requested = False

    def request(self) -> None:
        """Tell everything that waits, once; what begins to wait later is told at once."""
        with self._lock:
            first, self.requested = not self.requested, True
            actions = list(self._actions) if first else []
        for action in actions:
            _tell(action)

    @contextmanager
    def telling(self, action: Callable[[], object]) -> Iterator[None]:
        """Run the action if the work is to stop inside the block."""
        with self._lock:
            self._actions.append(action)
            late = self.requested
        if late:
            _tell(action)
        try:
            yield
        finally:
            with self._lock:
                self._actions.remove(action)


_current: ContextVar[Stop | None] = ContextVar("bridge_stop", default=None)


@contextmanager
def stoppable(stop: Stop) -> Iterator[None]:
    """The work of this block can be stopped by that."""
    token = _current.set(stop)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def cancelling(action: Callable[[], object]) -> Iterator[None]:
    """Run the action when the work around this block is to stop; outside such work nothing happens."""
    stop = _current.get()
    if stop is None:
        yield
        return
    with stop.telling(action):
        yield


def _tell(action: Callable[[], object]) -> None:
    try:
        action()
    except Exception as error:
        # It ends by its own timeout then; nothing that it does counts any more.
        telemetry.log_exception("work under way could not be stopped", error)
