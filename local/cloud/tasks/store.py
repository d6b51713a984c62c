"""Queues, tasks and tombstones on disk, as the protocol's own messages."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.cloud import tasks_v2

from local.cloud.serving.database import Database

# "It can take up to 24 hours for the task ID to be released" (reference of CreateTaskRequest.task, v2): the
# longest is the strictest for who would use a name again.
TOMBSTONE_SECONDS = 24 * 3600.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (
    name TEXT PRIMARY KEY,
    queue TEXT NOT NULL,
    due REAL NOT NULL,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    executions INTEGER NOT NULL DEFAULT 0,
    first_attempt REAL,
    previous_status INTEGER,
    reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS tasks_by_due ON tasks (queue, due);
CREATE TABLE IF NOT EXISTS tombstones (name TEXT PRIMARY KEY, until REAL NOT NULL);
"""
_SELECT = (
    "SELECT name, queue, due, body, attempts, executions, first_attempt, previous_status, reason FROM tasks"
)
_INSERT = "INSERT INTO tasks (name, queue, due, body, attempts, executions, first_attempt, previous_status, reason) VALUES (?,?,?,?,?,?,?,?,?)"


@dataclass(frozen=True)
class StoredTask:
    """A task and what has happened to it."""

    name: str
    queue: str
    due: float
    task: tasks_v2.Task
    attempts: int = 0
    executions: int = 0
    first_attempt: float | None = None
    previous_status: int | None = None
    reason: str = ""

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rsplit("/", 1)[-1]


class NameTaken(Exception):
    """A task of this name exists, or existed within the last day."""


class Store:
    """What the queues hold. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._db.create(_SCHEMA)

    def put_queue(self, queue: tasks_v2.Queue) -> None:
        self._db.write(
            "INSERT INTO queues VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
            (queue.name, tasks_v2.Queue.serialize(queue)),
        )

    def queue(self, name: str) -> tasks_v2.Queue | None:
        row = self._db.row("SELECT body FROM queues WHERE name = ?", (name,))
        return tasks_v2.Queue.deserialize(row[0]) if row else None

    def queues(self) -> list[tasks_v2.Queue]:
        """All queues, by name."""
        rows = self._db.rows("SELECT body FROM queues ORDER BY name")
        return [tasks_v2.Queue.deserialize(body) for (body,) in rows]

    def add(self, task: StoredTask) -> None:
        """Keep a new task. Raises NameTaken: also when that task is already done."""
        with self._db.transaction():
            now = time.time()
            self._db.write("DELETE FROM tombstones WHERE until <= ?", (now,))
            if self._db.row("SELECT 1 FROM tombstones WHERE name = ?", (task.name,)) or self.task(task.name):
                raise NameTaken(task.name)
            self._db.write(_INSERT, _values(task))

    def task(self, name: str) -> StoredTask | None:
        row = self._db.row(_SELECT + " WHERE name = ?", (name,))
        return _task(row) if row else None

    def page(self, queue: str, after: str, limit: int) -> list[StoredTask]:
        """Tasks of a queue by name, after the name `after`."""
        sql = _SELECT + " WHERE queue = ? AND name > ? ORDER BY name LIMIT ?"
        return [_task(row) for row in self._db.rows(sql, (queue, after, limit))]

    def due(self, queue: str, now: float, limit: int, without: frozenset[str]) -> Iterator[StoredTask]:
        """Tasks to deliver now, the longest due first, except those already under way."""
        sql = _SELECT + " WHERE queue = ? AND due <= ? ORDER BY due LIMIT ?"
        found = 0
        for row in self._db.rows(sql, (queue, now, limit + len(without))):
            if row[0] not in without and found < limit:
                found += 1
                yield _task(row)

    def next_due(self, queue: str, after: float) -> float | None:
        """When the next task that is not due yet becomes due."""
        row = self._db.row("SELECT min(due) FROM tasks WHERE queue = ? AND due > ?", (queue, after))
        return row[0] if row else None

    def update(self, task: StoredTask) -> bool:
        """Keep what an attempt changed; False when the task was deleted meanwhile."""
        sql = (
            "UPDATE tasks SET due = ?, body = ?, attempts = ?, executions = ?, first_attempt = ?,"
            " previous_status = ?, reason = ? WHERE name = ?"
        )
        return self._db.write(sql, (*_values(task)[2:], task.name)) == 1

    def remove(self, name: str) -> bool:
        """Delete a task and remember its name for a day."""
        with self._db.transaction():
            if self._db.write("DELETE FROM tasks WHERE name = ?", (name,)) == 0:
                return False
            self._db.write(
                "INSERT OR REPLACE INTO tombstones VALUES (?, ?)", (name, time.time() + TOMBSTONE_SECONDS)
            )
            return True

    def counts(self) -> dict[str, int]:
        """How many tasks each queue holds."""
        sql = (
            "SELECT q.name, count(t.name) FROM queues q LEFT JOIN tasks t ON t.queue = q.name GROUP BY q.name"
        )
        return dict(self._db.rows(sql))


def _values(task: StoredTask) -> tuple[object, ...]:
    return (
        task.name,
        task.queue,
        task.due,
        tasks_v2.Task.serialize(task.task),
        task.attempts,
        task.executions,
        task.first_attempt,
        task.previous_status,
        task.reason,
    )


def _task(row: tuple[Any, ...]) -> StoredTask:
    name, queue, due, body, attempts, executions, first, previous, reason = row
    task = tasks_v2.Task.deserialize(body)
    return StoredTask(name, queue, due, task, attempts, executions, first, previous, reason)
