"""Documents with their recent past in memory, and each commit in SQLite before it is acknowledged.

Reads never touch the disk. Every document keeps the versions of the last minutes, so that a read at a past
time, a read-only transaction and a resumed listener see one moment of the whole database. The history is
not kept across a restart; the documents and their times are.
"""

import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local.cloud.firestore import wire
from local.cloud.firestore.paths import collection_of

RETENTION = 300 * 1_000_000  # microseconds; longer than any transaction lives (270 s)


class Version(NamedTuple):
    """What a document was from this commit on; None after a delete."""

    at: int
    document: Any | None


Changes = Mapping[str, Any | None]


class Store:
    """All databases of one server. Times are microseconds since 1970 and never repeat."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "firestore.sqlite", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing; power loss might
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, document BLOB NOT NULL)"
        )
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER)"
        )
        self._versions: dict[str, list[Version]] = {}
        self._collections: dict[str, dict[str, None]] = {}
        self._groups: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._last = 0
        for (blob,) in self._db.execute("SELECT document FROM documents"):
            document = wire.Document.FromString(blob)
            self._add(document.name, Version(wire.micros(document.update_time), document))
        for (at,) in self._db.execute("SELECT at FROM clock"):
            self._last = max(self._last, at)
        self.started = self.now()

    def now(self) -> int:
        """The present. No later commit gets this time or an earlier one."""
        self._last = max(time.time_ns() // 1000, self._last)
        return self._last

    def get(self, name: str, at: int | None = None) -> Any | None:
        """The document, now or as it was at a time. Callers must not change it."""
        versions = self._versions.get(name)
        return None if versions is None else _at(versions, at)

    def collection(self, path: str, at: int | None = None) -> Iterator[Any]:
        """The documents directly in a collection, in no order."""
        for name in self._collections.get(path, ()):
            document = _at(self._versions[name], at)
            if document is not None:
                yield document

    def group(self, database: str, collection_id: str) -> list[str]:
        """Paths of all collections with this id, anywhere in the database."""
        return list(self._groups.get((database, collection_id), ()))

    def group_everywhere(self, collection_id: str) -> list[str]:
        """Paths of all collections with this id in all databases."""
        return [
            path for (_db, found), paths in self._groups.items() if found == collection_id for path in paths
        ]

    def collections_under(self, parent: str) -> Iterator[str]:
        """Paths of the collections at any depth below a document, or below `…/documents`."""
        prefix = parent + "/"
        return (path for path in list(self._collections) if path.startswith(prefix))

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
            self._add(name, Version(at, document))
        return at

    def _write(self, changes: Changes, at: int) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for name, document in changes.items():
                if document is None:
                    self._db.execute("DELETE FROM documents WHERE name = ?", (name,))
                else:
                    row = (name, document.SerializeToString())
                    self._db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", row)
            self._db.execute("INSERT OR REPLACE INTO clock VALUES (1, ?)", (at,))
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite ends the transaction by itself when, for instance, the disk is full.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _add(self, name: str, version: Version) -> None:
        versions = self._versions.get(name)
        if versions is None:
            path = collection_of(name)
            self._versions[name] = [version]
            members = self._collections.get(path)
            if members is None:
                members = self._collections[path] = {}
                self._groups[path.partition("/documents")[0], path.rpartition("/")[2]].add(path)
            members[name] = None
            return
        versions.append(version)
        _forget(versions, version.at - RETENTION)

    def forget_old(self) -> None:
        """Drop versions that no reader may ask for any more, and the memory of deleted documents."""
        horizon = self.now() - RETENTION
        for name, versions in list(self._versions.items()):
            _forget(versions, horizon)
            if len(versions) == 1 and versions[0].document is None and versions[0].at < horizon:
                del self._versions[name]
                path = collection_of(name)
                del self._collections[path][name]
                if not self._collections[path]:
                    del self._collections[path]
                    self._groups[path.partition("/documents")[0], path.rpartition("/")[2]].discard(path)

    def close(self) -> None:
        self._db.close()


def _at(versions: list[Version], at: int | None) -> Any | None:
    if at is None:
        return versions[-1].document
    for version in reversed(versions):
        if version.at <= at:
            return version.document
    return None


def _forget(versions: list[Version], horizon: int) -> None:
    """Keep the newest version at or before the horizon, and all later ones."""
    drop = 0
    while drop + 1 < len(versions) and versions[drop + 1].at <= horizon:
        drop += 1
    if drop:
        del versions[:drop]
