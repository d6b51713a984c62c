"""One SQLite file for everything that was accepted and is not delivered yet.

WAL with synchronous=NORMAL: a commit is in the operating system's hands before it is acknowledged, so
SIGKILL loses nothing. One connection behind one lock: writes are short, and SQLite has one writer anyway.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]


class Database:
    """A shared connection; `transaction` holds the lock, so what happens inside is atomic."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")

    def create(self, script: str) -> None:
        """Run `CREATE … IF NOT EXISTS` statements."""
        with self._lock:
            self._connection.executescript(script)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, one thread at a time; may be nested, the outermost commits."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite ends the transaction by itself when, for instance, the disk is full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: Iterable[Any] = ()) -> list[Row]:
        """Every row of a query."""
        with self._lock:
            return self._connection.execute(sql, tuple(parameters)).fetchall()

    def row(self, sql: str, parameters: Iterable[Any] = ()) -> Row | None:
        """The first row, or None."""
        with self._lock:
            found: Row | None = self._connection.execute(sql, tuple(parameters)).fetchone()
            return found

    def write(self, sql: str, parameters: Iterable[Any] = ()) -> int:
        """Run one statement; answers how many rows it changed."""
        with self._lock:
            return self._connection.execute(sql, tuple(parameters)).rowcount

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
