"""Where a turn's events go: to the request that waits for them at once, and to the stream of the turn.

Each event has an id that only grows: an epoch (one for each process that had the turn) times a million,
plus a running number. A process that takes over starts above everything that the one before it can have
sent, so a reader that comes back with the last id it saw misses nothing and hears nothing twice.

Events for the stream are gathered for about 75 ms and written together; who waits here does not wait
for that.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from shared.platform import clock, threads
from shared.platform.cloud.event_stream import Superseded, Writer
from shared.platform.errors import Unavailable
from shared.platform.ids import new_id
from shared.platform.telemetry import context as telemetry

FLUSH_SECONDS = 0.075
EPOCH = 1_000_000
_LAST_FLUSHES = 5

Published = tuple[int, str, Mapping[str, Any]]


class Publisher:
    """The event stream of one turn, as one process writes it. Safe for the threads of its tools."""

    def __init__(
        self,
        turn_id: str,
        epoch: int,
        *,
        live: queue.Queue[Published | None] | None,
        superseded: Callable[[], None],
    ) -> None:
        self._turn, self._epoch = turn_id, epoch
        self._live, self._superseded = live, superseded
        self._id = (epoch - 1) * EPOCH
        self._waiting: list[Published] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._writer: Writer | None = None
        self._opener = new_id()
        self._thread = threads.start("publisher", self._work)

    @property
    def last_id(self) -> int:
        """The id of the event that was sent last."""
        with self._lock:
            return self._id

    def emit(self, kind: str, data: Mapping[str, Any]) -> int:
        """Send an event; answers its id."""
        with self._lock:
            self._id += 1
            event: Published = (self._id, kind, data)
            self._waiting.append(event)
            if self._live is not None:
                self._live.put(event)
            return self._id

    def close(self) -> None:
        """Write what is left and tell the waiting request that no more comes from here."""
        self._closing.set()
        self._thread.join()
        if self._live is not None:
            self._live.put(None)

    def _work(self) -> None:
        failures = 0
        while True:
            closing = clock.wait(self._closing, FLUSH_SECONDS)
            with self._lock:
                part, self._waiting = self._waiting, []
            try:
                if part:
                    self._write(part)
                failures = 0
            except Superseded:
                self._superseded()
                return
            except Unavailable as error:
                # The stream is a convenience and the journal the truth: keep the events and try again.
                failures += 1
                with self._lock:
                    self._waiting = part + self._waiting
                if closing and failures >= _LAST_FLUSHES:
                    telemetry.log_exception("the last events of a turn could not be kept", error)
                    return
                clock.sleep(min(1.0, 0.1 * failures))
                continue
            if closing:
                with self._lock:
                    if not self._waiting:
                        return

    def _write(self, part: list[Published]) -> None:
        if self._writer is None:
            self._writer = Writer(self._turn, self._epoch, self._opener)
        self._writer.append(list(part))
