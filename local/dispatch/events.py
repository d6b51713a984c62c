"""The role of Eventarc: from a finalized object to each function on its bucket.

    storage ─► POST /_local/events ─► one row per (event, function) ─► POST /_fn/<name> with an ID token
                                          2xx ─► forget      otherwise ─► back off ─► dead letter

An event is acknowledged once its deliveries are on disk, and delivered at least once.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from local.cloud import identity
from local.cloud.serving.database import Database
from local.cloud.serving.post import HELD_SECONDS, Answer, DeliveryFaults, send
from local.manifest import Watched

FINALIZED = "google.cloud.storage.object.v1.finalized"
_SOURCE = "//storage.googleapis.com/projects/_/buckets/"
_SUBJECT = "objects/"
_BACKOFF = (0.2, 10.0)
_UNREACHED_WAIT = 0.25
_DEADLINE = 600.0
_THREADS = 16
_log = logging.getLogger("events")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT NOT NULL,
    function TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    dead INTEGER NOT NULL DEFAULT 0,
    accepted REAL NOT NULL,
    PRIMARY KEY (id, function)
);
CREATE INDEX IF NOT EXISTS events_by_due ON events (dead, due);
"""


class BadEvent(ValueError):
    """The request is not a CloudEvent of Cloud Storage."""


@dataclass(frozen=True)
class Target:
    """Where functions are reached and as whom they are called."""

    step_url: str
    account: str
    bucket_prefix: str


class Trigger:
    """Accepts events, keeps them and delivers them."""

    def __init__(
        self,
        database: Database,
        manifest: Watched,
        target: Target,
        mint: Callable[[str, str], str],
        faults: DeliveryFaults,
        attempts: int = 20,
    ) -> None:
        self._db, self._manifest, self._target = database, manifest, target
        self._mint, self._faults, self._attempts = mint, faults, attempts
        self._db.create(_SCHEMA)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="event")
        self._wake = threading.Condition()
        self._under_way: set[tuple[str, str]] = set()
        self._stopped = False
        self._thread = threading.Thread(target=self._loop, name="events", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is under way is delivered again after the next start."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def accept(self, headers: Mapping[str, str], body: bytes) -> list[str]:
        """Keep a delivery for each function on this bucket; answers their names.

        Eventarc knows no patterns of object names: what a function does not wait for it must leave alone.
        """
        event = _event(headers)
        bucket = event["ce-source"].removeprefix(_SOURCE)
        waiting = [
            function.name
            for function in self._manifest.functions()
            if function.kind == "finalized" and f"{self._target.bucket_prefix}-{function.bucket}" == bucket
        ]
        now = time.time()
        with self._db.transaction():
            for function in waiting:
                # The same event again, because its acknowledgement was lost, adds nothing.
                self._db.write(
                    "INSERT OR IGNORE INTO events (id, function, headers, body, due, accepted) VALUES (?,?,?,?,?,?)",
                    (event["ce-id"], function, json.dumps(event), body, now, now),
                )
        self._notice()
        return waiting

    def pending(self) -> int:
        """How many deliveries are not done, dead letters left out."""
        row = self._db.row("SELECT count(*) FROM events WHERE dead = 0")
        return int(row[0]) if row else 0

    def dead(self) -> list[dict[str, Any]]:
        """The deliveries that were given up, newest last."""
        rows = self._db.rows(
            "SELECT id, function, headers, attempts, reason, accepted FROM events WHERE dead = 1 ORDER BY accepted"
        )
        return [
            {"id": id_, "function": function, "subject": json.loads(headers)["ce-subject"],
             "source": json.loads(headers)["ce-source"], "attempts": attempts, "reason": reason, "accepted": accepted}
            for id_, function, headers, attempts, reason, accepted in rows
        ]  # fmt: skip

    def replay(self, event_id: str) -> int:
        """Deliver the dead letters of one event again; answers how many there were."""
        count = self._db.write(
            "UPDATE events SET dead = 0, attempts = 0, due = ? WHERE id = ? AND dead = 1",
            (time.time(), event_id),
        )
        self._notice()
        return count

    def _notice(self) -> None:
        with self._wake:
            self._wake.notify_all()

    def _loop(self) -> None:
        while True:
            with self._wake:
                if self._stopped:
                    return
                if self._faults.hold:
                    self._wake.wait(HELD_SECONDS)
                    continue
                free = _THREADS - len(self._under_way)
                # Finished deliveries notify under this lock after they changed their row, so none is missed.
                wait = self._begin_due(free) if free > 0 else None
                self._wake.wait(wait)

    def _begin_due(self, free: int) -> float | None:
        now = time.time()
        rows = self._db.rows(
            "SELECT id, function, headers, body, attempts, due FROM events WHERE dead = 0 ORDER BY due LIMIT ?",
            (free + len(self._under_way) + 1,),
        )
        for id_, function, headers, body, attempts, due in rows:
            if (id_, function) in self._under_way:
                continue
            if due > now:
                return float(due - now)
            if free == 0:
                return None
            free -= 1
            self._under_way.add((id_, function))
            self._pool.submit(self._deliver, id_, function, json.loads(headers), body, attempts)
        return None

    def _deliver(self, id_: str, function: str, event: dict[str, str], body: bytes, attempts: int) -> None:
        try:
            url = self._target.step_url.replace("{name}", function)
            headers = event | {
                "Authorization": f"Bearer {self._mint(identity.run_address(function), self._target.account)}",
                "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
            }
            self._settle(id_, function, attempts, send("POST", url, headers, body, _DEADLINE, self._faults))
        except Exception:
            _log.exception("delivery of %s to %s broke", id_, function)
            self._db.write(
                "UPDATE events SET due = ? WHERE id = ? AND function = ?", (time.time() + 1, id_, function)
            )
        finally:
            with self._wake:
                self._under_way.discard((id_, function))
                self._wake.notify_all()

    def _settle(self, id_: str, function: str, attempts: int, answer: Answer) -> None:
        key = (id_, function)
        if answer.ok:
            self._db.write("DELETE FROM events WHERE id = ? AND function = ?", key)
            return
        if not answer.reached:
            # Nobody listened: the gateway restarts. That is no verdict on the event, so it does not count.
            self._db.write(
                "UPDATE events SET due = ? WHERE id = ? AND function = ?",
                (time.time() + _UNREACHED_WAIT, *key),
            )
            return
        attempts += 1
        reason = f"HTTP status {answer.status}" if answer.status else answer.reason
        dead = attempts >= self._attempts
        if dead:
            _log.warning("dead letter: %s for %s after %d attempts: %s", id_, function, attempts, reason)
        wait = wait_after(attempts, answer.retry_after)
        self._db.write(
            "UPDATE events SET attempts = ?, reason = ?, dead = ?, due = ? WHERE id = ? AND function = ?",
            (attempts, reason, int(dead), time.time() + wait, *key),
        )


def wait_after(failures: int, asked: float | None) -> float:
    """Seconds until the next attempt, after so many failures (1 or more): doubling, and no less than asked for."""
    first, longest = _BACKOFF
    return max(min(longest, first * 2.0 ** (failures - 1)), asked or 0.0)


def _event(headers: Mapping[str, str]) -> dict[str, str]:
    """The event's attributes and content type, in lower case; raises BadEvent."""
    event = {name.lower(): value for name, value in headers.items() if name.lower().startswith("ce-")}
    for name in ("ce-id", "ce-type", "ce-source", "ce-subject", "ce-specversion"):
        if not event.get(name):
            raise BadEvent(f"{name}: required; events come in the binary mode of CloudEvents")
    if event["ce-type"] != FINALIZED:
        raise BadEvent(f"ce-type: only {FINALIZED} is delivered")
    if not event["ce-source"].startswith(_SOURCE) or not event["ce-subject"].startswith(_SUBJECT):
        raise BadEvent(f"ce-source and ce-subject: must start with {_SOURCE} and {_SUBJECT}")
    content = next(
        (value for name, value in headers.items() if name.lower() == "content-type"), "application/json"
    )
    return event | {"content-type": content}
