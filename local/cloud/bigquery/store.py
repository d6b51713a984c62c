"""The directory of datasets, tables and jobs in SQLite: what INFORMATION_SCHEMA and the REST API answer from.

SQLite is the truth about which tables exist; each row names a physical DuckDB table. A table is replaced
by writing a new physical table and then switching its row, so a crash leaves the old table or the new one,
never half of one; `Engine` drops physical tables that no row names.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.cloud.bigquery.errors import duplicate, not_found
from local.cloud.bigquery.fields import Field

_SCHEMA = """
CREATE TABLE IF NOT EXISTS datasets (
    project TEXT, dataset TEXT, location TEXT, created INTEGER, modified INTEGER, resource TEXT,
    PRIMARY KEY (project, dataset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tables (
    project TEXT, dataset TEXT, name TEXT, kind TEXT, physical TEXT, created INTEGER, modified INTEGER,
    version INTEGER, fields TEXT, resource TEXT, stats TEXT,
    PRIMARY KEY (project, dataset, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    project TEXT, location TEXT, job TEXT, created INTEGER, state TEXT, document TEXT,
    PRIMARY KEY (project, job)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS applied_jobs (job TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (project, created DESC);
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Dataset:
    project: str
    name: str
    location: str
    created: int
    modified: int
    resource: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """`stats` is None while a write is under way and after a crash in one: it is then computed again."""

    project: str
    dataset: str
    name: str
    kind: str  # TABLE or VIEW
    physical: str | None
    created: int
    modified: int
    version: int
    fields: list[Field]
    resource: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, Any] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.project, self.dataset, self.name

    @property
    def id(self) -> str:
        """`project:dataset.table`, as error messages write it."""
        return f"{self.project}:{self.dataset}.{self.name}"

    @property
    def reference(self) -> dict[str, str]:
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.name}


class Store:
    """All statements run under one lock; `generation` counts changes to datasets and tables."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self.generation = 0

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside becomes visible and durable together."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _change(self, sql: str, *values: Any) -> int:
        with self._lock:
            self.generation += 1
            return self._db.execute(sql, values).rowcount

    def find_dataset(self, project: str, name: str) -> Dataset | None:
        rows = self._rows("SELECT * FROM datasets WHERE project = ? AND dataset = ?", project, name)
        return _dataset(rows[0]) if rows else None

    def get_dataset(self, project: str, name: str) -> Dataset:
        found = self.find_dataset(project, name)
        if found is None:
            raise not_found("Dataset", f"{project}:{name}")
        return found

    def list_datasets(self, project: str) -> list[Dataset]:
        return [
            _dataset(r)
            for r in self._rows("SELECT * FROM datasets WHERE project = ? ORDER BY dataset", project)
        ]

    def add_dataset(self, project: str, name: str, location: str, resource: dict[str, Any]) -> Dataset:
        with self.transaction():
            if self.find_dataset(project, name):
                raise duplicate("Dataset", f"{project}:{name}")
            at = now_ms()
            self._change(
                "INSERT INTO datasets VALUES (?,?,?,?,?,?)",
                project,
                name,
                location,
                at,
                at,
                json.dumps(resource),
            )
            return Dataset(project, name, location, at, at, resource)

    def remove_dataset(self, dataset: Dataset) -> None:
        with self.transaction():
            self._change(
                "DELETE FROM tables WHERE project = ? AND dataset = ?", dataset.project, dataset.name
            )
            self._change(
                "DELETE FROM datasets WHERE project = ? AND dataset = ?", dataset.project, dataset.name
            )

    def find_table(self, project: str, dataset: str, name: str) -> Table | None:
        rows = self._rows(
            "SELECT * FROM tables WHERE project = ? AND dataset = ? AND name = ?", project, dataset, name
        )
        return _table(rows[0]) if rows else None

    def list_tables(self, project: str, dataset: str | None = None) -> list[Table]:
        if dataset is None:
            rows = self._rows("SELECT * FROM tables WHERE project = ? ORDER BY dataset, name", project)
        else:
            rows = self._rows(
                "SELECT * FROM tables WHERE project = ? AND dataset = ? ORDER BY name", project, dataset
            )
        return [_table(row) for row in rows]

    def put_table(self, table: Table) -> Table:
        """Add the row or put it in place of the old one."""
        self._change(
            "INSERT OR REPLACE INTO tables VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            table.project, table.dataset, table.name, table.kind, table.physical, table.created, table.modified,
            table.version, json.dumps(table.fields), json.dumps(table.resource),
            None if table.stats is None else json.dumps(table.stats),
        )  # fmt: skip
        return table

    def remove_table(self, table: Table) -> None:
        self._change("DELETE FROM tables WHERE project = ? AND dataset = ? AND name = ?", *table.key)

    def physical_tables(self) -> set[str]:
        return {row[0] for row in self._rows("SELECT physical FROM tables WHERE physical IS NOT NULL")}

    def add_job(self, project: str, location: str, job: str, state: str, document: dict[str, Any]) -> None:
        with self._lock:
            try:
                self._db.execute(
                    "INSERT INTO jobs VALUES (?,?,?,?,?,?)",
                    (project, location, job, now_ms(), state, json.dumps(document)),
                )
            except sqlite3.IntegrityError:
                raise duplicate("Job", f"{project}:{location}.{job}") from None

    def update_job(self, project: str, job: str, state: str, document: dict[str, Any]) -> None:
        with self._lock:
            self._db.execute(
                "UPDATE jobs SET state = ?, document = ? WHERE project = ? AND job = ?",
                (state, json.dumps(document), project, job),
            )

    def mark_applied(self, job: str) -> None:
        """Say in the caller's transaction that the job changed the directory, so it isn't applied again."""
        self._rows("INSERT OR IGNORE INTO applied_jobs VALUES (?)", job)

    def was_applied(self, job: str) -> bool:
        return bool(self._rows("SELECT 1 FROM applied_jobs WHERE job = ?", job))

    def find_job(self, project: str, job: str) -> dict[str, Any] | None:
        rows = self._rows("SELECT document FROM jobs WHERE project = ? AND job = ?", project, job)
        return json.loads(rows[0][0]) if rows else None

    def unfinished_jobs(self) -> list[dict[str, Any]]:
        return [json.loads(r[0]) for r in self._rows("SELECT document FROM jobs WHERE state <> 'DONE'")]

    def forget_jobs(self, before_ms: int) -> None:
        """Jobs older than this are no longer answered."""
        self._rows("DELETE FROM jobs WHERE created < ? AND state = 'DONE'", before_ms)


def _dataset(row: Sequence[Any]) -> Dataset:
    return Dataset(row[0], row[1], row[2], row[3], row[4], json.loads(row[5]))


def _table(row: Sequence[Any]) -> Table:
    stats = None if row[10] is None else json.loads(row[10])
    project, dataset, name, kind, physical, created, modified, version = row[:8]
    fields, resource = json.loads(row[8]), json.loads(row[9])
    return Table(project, dataset, name, kind, physical, created, modified, version, fields, resource, stats)
