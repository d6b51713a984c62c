"""A heartbeat: renew what a worker holds, from a thread of its own, while the work goes on.

    with Heartbeat(lambda: slot.renew(lease, TERMS.seconds), TERMS, "a step") as heartbeat:
        for piece in work:
            if heartbeat.lost.is_set():      # somebody else has it now: whatever comes is refused
                return

Short leases with heartbeats free what a dead worker held within seconds, and still let a slow one finish.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from types import TracebackType

from shared.platform import clock, threads
from shared.platform.leases.contract import Terms
from shared.platform.telemetry import context as telemetry

JITTER = 0.2
"""By how much of itself the time between two beats varies: workers that began together don't renew together."""


class Heartbeat:
    """Renews until it is stopped, until the lease is somebody else's, or until the terms' time is over."""

    def __init__(
        self,
        renew: Callable[[], bool],
        terms: Terms,
        what: str,
        *,
        lost: threading.Event | None = None,
        ends: Callable[[], float] | None = None,
    ) -> None:
        """`ends` answers at which `clock.monotonic` to let go, where that changes while the work goes on."""
        self._renew, self._terms, self._what = renew, terms, what
        self._stopped = threading.Event()
        end = clock.monotonic() + terms.at_most
        self._ends = ends or (lambda: end)
        self._sure_until = clock.monotonic() + terms.seconds
        self.lost = lost or threading.Event()
        """Set when the holder has the lease no more: another one has it, or its time is over."""

    @property
    def held(self) -> bool:
        """Whether the lease is surely held: not lost, and renewed within its own length."""
        return not self.lost.is_set() and clock.monotonic() < self._sure_until

    def assure(self) -> bool:
        """Renew at once, in the caller's thread; False when the lease is lost. Raises what the renewal raises."""
        began = clock.monotonic()
        if not self._renew():
            self.lost.set()
            return False
        self._sure_until = began + self._terms.seconds
        return True

    def start(self) -> None:
        """Begin to renew."""
        threads.start("heartbeat", self._beat)

    def stop(self) -> None:
        """Renew no more. A renewal that is under way may still come; once released, it finds nothing to renew."""
        self._stopped.set()

    def __enter__(self) -> Heartbeat:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _beat(self) -> None:
        while not clock.wait(self._stopped, self._terms.heartbeat * (1 - JITTER * random.random())):
            if clock.monotonic() >= self._ends():
                telemetry.log("a lease was held for as long as it may be", "WARNING", what=self._what)
                self.lost.set()
                return
            try:
                kept = self.assure()
            except Exception as error:
                # The next one may get through; if none does in time, the holder's token decides what counts.
                telemetry.log_exception("a lease could not be renewed", error, what=self._what)
                continue
            if not kept:
                telemetry.log("a lease was lost", "WARNING", what=self._what)
                return
