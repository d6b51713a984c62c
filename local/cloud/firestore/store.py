"""Documents in SQLite: each commit is there before it is acknowledged, and a bounded part of them in memory.

The file gives back what expired documents leave: pages go to the disk's free space with each sweep, and the journal
(the WAL) is cut to a few megabytes whenever it has been copied into the file.
"""

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local.cloud.firestore import ttl, wire

Changes = Mapping[str, Any | None]
"""New documents by name; None for a deleted one."""

MEMORY_BYTES = 32 * 1024 * 1024
_JOURNAL_BYTES = 4 * 1024 * 1024
_PAGES_A_SWEEP = 5_000
_DOCUMENTS = """
CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, document BLOB NOT NULL, expires INTEGER);
CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER);
"""


class _Memory:
    """The documents used last, as far as they fit."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str, Any] = OrderedDict()
        self._bytes = 0

    def get(self, name: str) -> Any | None:
        found = self._documents.get(name)
        if found is not None:
            self._documents.move_to_end(name)
        return found

    def keep(self, name: str, document: Any | None) -> None:
        """Remember a document as it is now, or, with None, that it is gone."""
        old = self._documents.pop(name, None)
        if old is not None:
            self._bytes -= _size(old)
        if document is not None:
            self._documents[name] = document
            self._bytes += _size(document)
        while self._bytes > MEMORY_BYTES:
            _name, oldest = self._documents.popitem(last=False)
            self._bytes -= _size(oldest)


def _size(document: Any) -> int:
    """About what a message takes in memory: a multiple of its bytes, and something for each."""
    return 200 + 3 * int(document.ByteSize())


class Store:
    """All databases of one server. Times are microseconds since 1970 and never repeat."""

    def __init__(self, folder: Path, policies: ttl.Policies) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._policies = policies
        self._db = sqlite3.connect(folder / "firestore.sqlite", isolation_level=None)
        self._prepare()
        self._memory = _Memory()
        self._last = 0
        for (at,) in self._db.execute("SELECT at FROM clock"):
            self._last = at

    def _prepare(self) -> None:
        run = self._db.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")  # a killed process loses nothing; power loss might
        run(f"PRAGMA journal_size_limit={_JOURNAL_BYTES}")
        if run("PRAGMA auto_vacuum").fetchone() != (2,):
            run("PRAGMA auto_vacuum=INCREMENTAL")
            run("VACUUM")  # An older file begins to give back pages only so.
        self._db.executescript(_DOCUMENTS)
        if "expires" not in {row[1] for row in run("PRAGMA table_info(documents)")}:
            run("ALTER TABLE documents ADD COLUMN expires INTEGER")
        run("CREATE INDEX IF NOT EXISTS documents_by_expiry ON documents (expires) WHERE expires IS NOT NULL")
        # A policy may be newer than a document.
        for name, blob in run("SELECT name, document FROM documents WHERE expires IS NULL").fetchall():
            expires = self._policies.expiry(wire.Document.FromString(blob))
            if expires is not None:
                run("UPDATE documents SET expires = ? WHERE name = ?", (expires, name))

    def now(self) -> int:
        """The present. No later commit gets this time or an earlier one."""
        self._last = max(time.time_ns() // 1000, self._last)
        return self._last

    def get(self, name: str) -> Any | None:
        """The document as it is now, or None. Callers must not change it."""
        found = self._memory.get(name)
        if found is None:
            row = self._db.execute("SELECT document FROM documents WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            found = wire.Document.FromString(row[0])
            self._memory.keep(name, found)
        return found

    def collection(self, path: str) -> Iterator[Any]:
        """The documents directly in a collection, in the order of their names."""
        # `0` is the character behind `/`: all names that begin with `path/` lie between the two.
        sql = "SELECT name, document FROM documents WHERE name > ? AND name < ? ORDER BY name"
        for name, blob in self._db.execute(sql, (f"{path}/", f"{path}0")).fetchall():
            if name.count("/") == path.count("/") + 1:
                yield wire.Document.FromString(blob)

    def collection_ids(self, parent: str) -> list[str]:
        """The ids of the collections that hold something, directly below a document or `…/documents`."""
        found: list[str] = []
        place, end = f"{parent}/", f"{parent}0"
        sql = "SELECT name FROM documents WHERE name > ? AND name < ? ORDER BY name LIMIT 1"
        while (row := self._db.execute(sql, (place, end)).fetchone()) is not None:
            found.append(row[0].removeprefix(f"{parent}/").partition("/")[0])
            place = f"{parent}/{found[-1]}0"
        return found

    def commit(self, changes: Changes) -> int:
        """Apply all changes at one new time, durable when this returns; stamps the documents' times."""
        at = self._last = max(self.now(), self._last + 1)
        for document in changes.values():
            if document is not None:
                wire.set_micros(document.update_time, at)
                if not document.HasField("create_time"):
                    wire.set_micros(document.create_time, at)
        if changes:
            self._write(changes, at)
        for name, document in changes.items():
            self._memory.keep(name, document)
        return at

    def _write(self, changes: Changes, at: int) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for name, document in changes.items():
                if document is None:
                    self._db.execute("DELETE FROM documents WHERE name = ?", (name,))
                else:
                    row = (name, document.SerializeToString(), self._policies.expiry(document))
                    self._db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", row)
            self._db.execute("INSERT OR REPLACE INTO clock VALUES (1, ?)", (at,))
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite ends the transaction by itself when, for instance, the disk is full.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def expired(self, at: int, limit: int) -> list[Any]:
        """At most so many documents whose time lies before `at`, the oldest first."""
        sql = "SELECT document FROM documents WHERE expires < ? ORDER BY expires LIMIT ?"
        return [wire.Document.FromString(blob) for (blob,) in self._db.execute(sql, (at, limit)).fetchall()]

    def give_back(self) -> None:
        """Return free pages of the file to the disk, a bounded number at a time."""
        # A script runs to its end; `execute` would take one step, which frees one page.
        self._db.executescript(f"PRAGMA incremental_vacuum({_PAGES_A_SWEEP})")

    def close(self) -> None:
        self._db.close()
