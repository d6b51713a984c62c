"""Object-finalize events: an outbox in the object's own transaction, delivered at least once.

    publish ─► row in `events` (same transaction) ─► POST, CloudEvents binary mode ─► 2xx: row deleted
                                                          └─ anything else: again, after a growing pause

The id of an event stays the same over its deliveries, so a receiver can recognise a repetition. Order isn't
kept, as in the cloud.
"""

import http.client
import json
import logging
import sqlite3
import threading
import time
import uuid
from typing import Any
from urllib.parse import quote, urlsplit

from local.cloud.storage.database import Database
from local.cloud.storage.model import StoredObject

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_WORKERS = 8
_TIMEOUT = 600.0


def record_finalized(tx: sqlite3.Connection, stored: StoredObject, resource: dict[str, Any]) -> None:
    """Promise the event with the object."""
    tx.execute(
        "INSERT INTO events (id, bucket, name, time, body, due) VALUES (?, ?, ?, ?, ?, 0)",
        (uuid.uuid4().hex, stored.bucket, stored.name, stored.created, json.dumps(resource)),
    )


class Outbox:
    """Delivers the events of one database to one URL, a few at a time, one attempt of an event at a time."""

    def __init__(self, database: Database, url: str):
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"--events-url must be an http URL, not {url!r}")
        self._database = database
        self._host = parts.hostname
        self._port = parts.port or 80
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._news = threading.Event()
        self._stopped = threading.Event()
        self._flying: set[str] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin with all that an earlier process left, at once and whatever pause it had reached."""
        with self._database.write() as tx:
            tx.execute("UPDATE events SET due = 0")
        self._thread.start()

    def wake(self) -> None:
        self._news.set()

    def stop(self) -> None:
        """Start no further attempt; undelivered events stay for the next process."""
        self._stopped.set()
        self._news.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._news.clear()
            pause: float | None = _LONGEST_PAUSE
            try:
                pause = self._dispatch()
            except sqlite3.Error:
                # A full disk must not end the deliveries of a process that lives on.
                _LOG.exception(
                    "the outbox could not be read; again in %.0f s or at the next event", _LONGEST_PAUSE
                )
            self._news.wait(pause)

    def _dispatch(self) -> float | None:
        """Hand every due event to a worker; answers the seconds until the next one is due."""
        # Taken before the rows are read: an event whose delivery ends meanwhile may still be among them.
        with self._lock:
            flying = set(self._flying)
        with self._database.read() as db:
            rows = db.execute("SELECT * FROM events ORDER BY due, time LIMIT ?", (4 * _WORKERS,)).fetchall()
        moment = time.time()
        for row in rows:
            if row["id"] in flying:
                continue
            with self._lock:
                if row["due"] > moment:
                    return float(row["due"] - moment)
                if len(self._flying) >= _WORKERS:
                    return None
                self._flying.add(row["id"])
            threading.Thread(target=self._attempt, args=(row,), name="event", daemon=True).start()
        return None

    def _attempt(self, row: sqlite3.Row) -> None:
        try:
            problem = self._post(row)
            with self._database.write() as tx:
                if problem is None:
                    tx.execute("DELETE FROM events WHERE id = ?", (row["id"],))
                else:
                    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(row["attempts"], 16))
                    tx.execute(
                        "UPDATE events SET attempts = attempts + 1, due = ? WHERE id = ?",
                        (time.time() + pause, row["id"]),
                    )
                    _LOG.warning("event %s: %s; again in %.1f s", row["id"], problem, pause)
        finally:
            with self._lock:
                self._flying.discard(row["id"])
            self._news.set()

    def _post(self, row: sqlite3.Row) -> str | None:
        """One delivery; answers what went wrong, if anything."""
        headers = {
            "ce-id": row["id"],
            "ce-specversion": "1.0",
            "ce-type": "google.cloud.storage.object.v1.finalized",
            "ce-source": f"//storage.googleapis.com/projects/_/buckets/{row['bucket']}",
            # Header values are percent-encoded by the CloudEvents HTTP binding outside printable ASCII.
            "ce-subject": quote(f"objects/{row['name']}", safe="!#$&'()*+,/:;=?@[]-._~^`{|}<>\\"),
            "ce-bucket": row["bucket"],
            "ce-time": row["time"],
            "Content-Type": "application/json",
        }
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        try:
            connection.request("POST", self._path, row["body"].encode(), headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"no answer from {self._host}:{self._port}: {error!r}"
        finally:
            connection.close()
        return None if 200 <= status < 300 else f"answered {status}"
