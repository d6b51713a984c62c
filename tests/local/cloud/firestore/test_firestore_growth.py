"""What bounds a database that is written without end: memory, the file and its journal."""

import asyncio
import functools
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from local.cloud.firestore import store as stores
from local.cloud.firestore import ttl, wire
from local.cloud.firestore.service import Firestore
from local.cloud.firestore.store import Store
from local.cloud.firestore.transactions import Transactions

PARENT = "projects/p/databases/(default)/documents"
POLICIES = ttl.Policies([("turns", "expires_at")])
LONG_AGO = 1_600_000_000


def _in_a_thread(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a thread of its own: pytest's may have an event loop that runs, a browser's."""

    @functools.wraps(test)
    def run(**given: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(test, **given).result()

    return run


def document(name: str, size: int, expires: int | None = None) -> Any:
    made = wire.Document(name=f"{PARENT}/{name}")
    made.fields["text"].string_value = "x" * size
    if expires is not None:
        made.fields["expires_at"].timestamp_value.seconds = expires
    return made


def put(store: Store, *documents: Any) -> None:
    store.commit({one.name: one for one in documents})


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@_in_a_thread
def test_the_file_shrinks_by_what_expired_documents_leave(tmp_path: Path) -> None:
    """20 MB that expired are gone from the disk after a sweep, the journal included; the rest is there."""
    store = Store(tmp_path, POLICIES)
    kept = document("turns/kept", 10)
    put(store, kept)
    for number in range(200):
        put(store, document(f"turns/{number}", 100_000, LONG_AGO))
    assert size_of(tmp_path) > 20_000_000
    firestore = Firestore(store, Transactions())
    sweeps = 0
    while store.expired(store.now(), 1) or sweeps < 2:
        asyncio.run(firestore.sweep())
        sweeps += 1
    assert sweeps == 2
    store.close()
    assert size_of(tmp_path) < 1_000_000
    assert Store(tmp_path, POLICIES).get(kept.name) == kept


def test_documents_that_are_written_over_leave_nothing(tmp_path: Path) -> None:
    """A thousand states of one document take the place of one, in the file, the journal and memory."""
    store = Store(tmp_path, POLICIES)
    for number in range(1000):
        put(store, document("leases/one", 10_000 + number % 7))
    assert size_of(tmp_path) < 6_000_000
    assert len(store._memory._documents) == 1


def test_memory_holds_a_bounded_part_of_the_documents(tmp_path: Path) -> None:
    """Those used last; the others are read from the file, and none is lost."""
    store = Store(tmp_path, POLICIES)
    names = [f"turns/{number}" for number in range(100)]
    for name in names:
        put(store, document(name, 500_000))
    assert store._memory._bytes <= stores.MEMORY_BYTES
    assert 0 < len(store._memory._documents) < 100
    assert all(store.get(f"{PARENT}/{name}") == document_of(store, name) for name in names)
    assert store._memory._bytes <= stores.MEMORY_BYTES


def document_of(store: Store, name: str) -> Any:
    (blob,) = store._db.execute(
        "SELECT document FROM documents WHERE name = ?", (f"{PARENT}/{name}",)
    ).fetchone()
    return wire.Document.FromString(blob)


@_in_a_thread
def test_a_file_of_an_earlier_release_is_read_and_bounded_too(tmp_path: Path) -> None:
    """Its documents had no expiry of their own, and its pages were never given back."""
    old, kept = document("turns/old", 10, LONG_AGO), document("turns/kept", 10)
    with closing(sqlite3.connect(tmp_path / "firestore.sqlite")) as database, database:
        database.execute("CREATE TABLE documents (name TEXT PRIMARY KEY, document BLOB NOT NULL)")
        database.execute("CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER)")
        rows = [(one.name, one.SerializeToString()) for one in (old, kept)]
        database.executemany("INSERT INTO documents VALUES (?, ?)", rows)
    store = Store(tmp_path, POLICIES)
    assert store._db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    asyncio.run(Firestore(store, Transactions()).sweep())
    assert store.get(old.name) is None
    assert store.get(kept.name) == kept
