"""How long a step is tried for, and at which pace queues and events come back.

A step declares its budget of time: an outage that ends within it leaves no dead letter. Queues count tries, so the
budget becomes a number of them by the queue's own pace, which waits at least so long between two tries, and longer
where an answer asks for it (`Retry-After`).
"""

from __future__ import annotations

from dataclasses import dataclass

RETRY_SECONDS = 900
"""What outages may last that the design expects: a restart or a failover of a store, a service that is paused."""


@dataclass(frozen=True)
class Pace:
    """The least pauses between tries: doubled so often, then grown by the last step, up to the longest."""

    first: float
    longest: float
    doublings: int

    def pause(self, failures: int) -> float:
        """Seconds after so many failures (1 or more)."""
        if failures <= self.doublings + 1:
            return min(self.longest, self.first * 2.0 ** (failures - 1))
        return min(self.longest, self.first * 2.0**self.doublings * (failures - self.doublings))

    def tries(self, seconds: float) -> int:
        """How many tries it takes until that much time has passed between the first and the last."""
        count, passed = 1, 0.0
        while passed < seconds:
            passed += self.pause(count)
            count += 1
        return count


QUEUES = Pace(first=1.0, longest=300.0, doublings=8)
"""Cloud Tasks, as infra/queues.tf sets every queue."""
EVENTS = Pace(first=10.0, longest=600.0, doublings=16)
"""Pub/Sub under Eventarc, whose own default it is."""
