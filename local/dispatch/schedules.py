"""The role of Cloud Scheduler: call each scheduled function when its cron expression says, in UTC.

A run that was missed while the stack was off is not made up: the cloud's clock is never off, and a
schedule that must not be missed belongs in the function's own bookkeeping.
"""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from croniter import croniter

from local.cloud.serving.post import Answer, DeliveryFaults, send
from local.manifest import Function, Watched

_LONGEST_SLEEP = 30.0  # The manifest may change: look at it at least this often.
_log = logging.getLogger("clock")


class Scheduler:
    """Fires scheduled functions, by the time or on demand."""

    def __init__(
        self,
        manifest: Watched,
        step_url: str,
        account: str,
        mint: Callable[[str, str], str],
        faults: DeliveryFaults,
    ) -> None:
        self._manifest, self._step_url, self._account = manifest, step_url, account
        self._mint, self._faults = mint, faults
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="clock")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="clock", daemon=True)

    def start(self) -> None:
        """Begin to watch the time."""
        self._thread.start()

    def stop(self) -> None:
        """Fire nothing more."""
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def names(self) -> list[str]:
        """The functions with a schedule."""
        return [function.name for function in self._scheduled()]

    def fire(self, name: str) -> Answer:
        """Call one scheduled function now and wait for its answer. Raises KeyError if there is none."""
        for function in self._scheduled():
            if function.name == name:
                return self._call(function, dt.datetime.now(dt.UTC))
        raise KeyError(name)

    def _scheduled(self) -> list[Function]:
        return [function for function in self._manifest.functions() if function.kind == "scheduled"]

    def _loop(self) -> None:
        seen = time.time()
        while not self._stopping.is_set():
            now = time.time()
            upcoming = []
            for function in self._scheduled():
                when = next_after(function.schedule, seen)
                if when <= now:
                    self._pool.submit(self._fire, function, dt.datetime.fromtimestamp(when, dt.UTC))
                upcoming.append(next_after(function.schedule, now))
            seen = now
            self._stopping.wait(
                min(_LONGEST_SLEEP, *(max(0.05, when - time.time()) for when in upcoming), 3600.0)
            )

    def _fire(self, function: Function, when: dt.datetime) -> None:
        try:
            answer = self._call(function, when)
        except Exception:
            _log.exception("the run of %s at %s broke", function.name, when)
            return
        if not answer.ok:
            _log.warning("%s at %s answered %s", function.name, when, answer.status or answer.reason)

    def _call(self, function: Function, when: dt.datetime) -> Answer:
        url = self._step_url.replace("{name}", function.name)
        headers = {
            "Authorization": f"Bearer {self._mint(url, self._account)}",
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": function.name,
            "X-CloudScheduler-ScheduleTime": when.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
            "Content-Type": "application/octet-stream",
        }
        return send("POST", url, headers, b"", function.timeout, self._faults)


def next_after(schedule: str, seconds: float) -> float:
    """The first time after `seconds` (Unix) at which a cron expression fires, in UTC."""
    moment = croniter(schedule, dt.datetime.fromtimestamp(seconds, dt.UTC)).get_next(dt.datetime)
    return float(moment.timestamp())
