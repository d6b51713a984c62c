"""SQLite as the server's memory of what is stored: one writer at a time, readers never wait.

WAL with synchronous=NORMAL keeps every committed transaction through SIGKILL (only a power cut could lose the
last ones), which is what the laptop's cloud promises.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, generation INTEGER NOT NULL, metageneration INTEGER NOT NULL,
    created TEXT NOT NULL, updated TEXT NOT NULL, config TEXT NOT NULL
) WITHOUT ROWID;

-- Every generation is a row; at most one of a name is live. SQLite's BINARY collation compares UTF-8 bytes,
-- which is the order in which Cloud Storage lists.
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL REFERENCES buckets (name), name TEXT NOT NULL, generation INTEGER NOT NULL,
    metageneration INTEGER NOT NULL, live INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    md5 TEXT, crc32c TEXT NOT NULL, component_count INTEGER,
    created TEXT NOT NULL, updated TEXT NOT NULL, deleted TEXT, config TEXT NOT NULL,
    PRIMARY KEY (bucket, name, generation)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS objects_live ON objects (bucket, name) WHERE live = 1;

-- A resumable session; `finished` holds the resource once the object exists, for a client that lost the answer.
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, name TEXT NOT NULL, config TEXT NOT NULL,
    conditions TEXT NOT NULL, hashes TEXT NOT NULL, total INTEGER,
    created REAL NOT NULL, finished TEXT
) WITHOUT ROWID;

-- Outbox: written in the transaction that makes the object, deleted when the receiver has answered 2xx.
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, name TEXT NOT NULL, time TEXT NOT NULL, body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_due ON events (due);
"""


class Database:
    """One write connection behind a lock and a pool of read connections."""

    def __init__(self, path: Path):
        self._path = path
        self._write_lock = threading.Lock()
        self._writer = self._connect()
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.executescript(_SCHEMA)
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer overlaps; an exception rolls it back."""
        with self._write_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # SQLite ends the transaction by itself when, for instance, the disk is full.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent view of the last commit."""
        try:
            connection = self._readers.get_nowait()
        except Empty:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.execute("ROLLBACK")
            self._readers.put(connection)

    def close(self) -> None:
        """Wait for the running write, then refuse others."""
        with self._write_lock:
            self._writer.close()


def next_generation(tx: sqlite3.Connection) -> int:
    """Microseconds since the epoch, but always more than any generation before, whatever the clock does."""
    row = tx.execute(
        "INSERT INTO counters VALUES ('generation', :now)"
        " ON CONFLICT (name) DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value",
        {"now": time.time_ns() // 1000},
    ).fetchone()
    return int(row["value"])
