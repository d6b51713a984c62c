"""One Postgres connection and the statements that it has prepared.

    unprepared   parse + describe ─► bind ─► execute      the driver reads the SQL text anew, two waits
    prepared     bind + execute                           one wait, no parsing on either side

Statements come from `queries.sql` files, so their number is known and small. A statement is prepared at
its first use on a connection, which costs what running it unprepared would have cost. Beyond MOST
statements nothing more is prepared: SQL that is made up at run time must not fill the server's memory.

Prepared statements belong to a server session. That is right for direct connections and Cloud SQL's
socket, and wrong behind a pooler that hands out sessions by the transaction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

MOST = 256
# The schema changed under a prepared statement, or the session lost it: prepare again.
OUTDATED = ("0A000", "26000")
_IDS = re.compile(r"[0-9A-Za-z,_-]*\Z")


class Session:
    """A driver's connection. It belongs to one thread at a time."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._prepared: dict[str, Any] = {}

    def begin(self, teams: str, user: str, timeout_ms: int | None = None) -> None:
        """Start a transaction that sees these teams (ids, separated by commas) and this user.

        `timeout_ms` is for each of its statements, where the connection's own limit is too long.

        Both travel inside the statement, because a message with parameters would cost two more waits;
        so they may hold nothing but the characters of ids.
        """
        for value in (teams, user):
            if not _IDS.match(value):
                raise ValueError(f"{value[:80]!r} is not made of ids")
        hurry = "" if timeout_ms is None else f"SET LOCAL statement_timeout = {int(timeout_ms)};"
        self.driver.run(
            f"START TRANSACTION;{hurry}"
            f"SELECT set_config('bridge.teams', '{teams}', true), set_config('bridge.user', '{user}', true)"
        )

    def run(self, statement: str, values: dict[str, Any]) -> tuple[list[Any], Sequence[str], int]:
        """Execute; answers the rows, the names of their columns and how many rows were touched."""
        if not values:
            rows = self.driver.run(statement)
            return rows or [], _names(self.driver.columns), int(self.driver.row_count)
        prepared = self._prepared.get(statement)
        if prepared is None:
            if len(self._prepared) >= MOST:
                rows = self.driver.run(statement, **values)
                return rows or [], _names(self.driver.columns), int(self.driver.row_count)
            prepared = self._prepared[statement] = self.driver.prepare(statement)
        rows = prepared.run(**values)
        return rows or [], _names(prepared.columns), int(prepared._context.row_count)

    def forget(self) -> None:
        """Prepare every statement anew at its next use."""
        self._prepared.clear()

    @property
    def usable(self) -> bool:
        """Whether the connection is idle outside a transaction; pg8000 marks it with `I`."""
        status = getattr(self.driver, "_transaction_status", None)
        return status is not None and bytes(status) == b"I"


def _names(columns: Sequence[dict[str, Any]] | None) -> Sequence[str]:
    return [column["name"] for column in columns or ()]
