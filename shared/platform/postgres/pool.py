"""Postgres: a small pool, transactions that carry the tenant, plain parametrised SQL.

A connection belongs to one thread at a time: pg8000 returns wrong rows when two share it. The teams
that a transaction may see are a transaction-local setting which the row-level policies of every
tenant table compare with (migrations/0001), so a statement that forgets its `team_id` predicate finds
nothing instead of a stranger's rows.

    with transaction(team) as tx:
        row = tx.find(Q.connection_by_id, team=team, id=connection_id)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from shared.platform import deadline
from shared.platform.errors import BridgeError, NotFound, Unavailable
from shared.platform.postgres import connect as pg_connect
from shared.platform.postgres.session import OUTDATED, Session
from shared.platform.postgres.values import bound
from shared.platform.settings import settings
from shared.platform.telemetry import context as telemetry

Row = dict[str, Any]

STATEMENT_TIMEOUT_MS = 15_000
IDLE_TIMEOUT_MS = 60_000
"""What a transaction of a process that froze, or that the network lost, may go on locking."""
BUSY_SECONDS = 10.0
"""How long a request waits for a connection of its instance."""
_UUID, _UUID_ARRAY, _INT8 = 2950, 2951, 20
_RETRYABLE = {"40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "53300", "53200", "25P03"}
_ROLLED_BACK = {"40001", "40P01", "55P03", "57014", "25P03"}
T = TypeVar("T")


class OutcomeUnknown(Unavailable):
    """The directory database broke off while it kept this; try again shortly."""


class UniqueViolation(Exception):
    """A row with the same key exists; `constraint` says which key.

    Not an answer for a caller: only the code that knows the constraint knows what it means (`meaning`). One
    that nobody expected is a fault of ours, and is answered as such.
    """

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


@contextmanager
def meaning(**errors: BridgeError) -> Iterator[None]:
    """Raise the error that stands for the constraint that the block violates; others stay what they are."""
    try:
        yield
    except UniqueViolation as violation:
        if (error := errors.get(violation.constraint)) is None:
            raise
        raise error from violation


class Tx:
    """One open transaction. Statements come from `queries.sql`; values are always bound."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._after_commit: list[Callable[[], None]] = []

    def all(self, statement: str, /, **values: Any) -> list[Row]:
        """Every row, as dictionaries."""
        return self._execute(statement, values)[0]

    def find(self, statement: str, /, **values: Any) -> Row | None:
        """The first row, or None."""
        rows = self.all(statement, **values)
        return rows[0] if rows else None

    def one(self, statement: str, /, **values: Any) -> Row:
        """The first row; raises NotFound where there is none."""
        row = self.find(statement, **values)
        if row is None:
            raise NotFound
        return row

    def run(self, statement: str, /, **values: Any) -> int:
        """Execute; answers how many rows were touched."""
        return self._execute(statement, values)[1]

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run the action once the transaction is durable; it must tolerate never running at all."""
        self._after_commit.append(action)

    def _execute(self, statement: str, values: dict[str, Any]) -> tuple[list[Row], int]:
        try:
            rows, names, count = self._session.run(statement, bound(statement, values))
        except Exception as error:
            raise _translated(error, self._session) from error
        return [dict(zip(names, row, strict=True)) for row in rows], count


@contextmanager
def transaction(team: str | Iterable[str] | None = None, *, user: str | None = None) -> Iterator[Tx]:
    """A transaction that sees these teams' rows (and this user's own memberships) and no others.

    Commits at the end of the block, rolls back on any error. Raises Unavailable when Postgres can't
    be reached or aborts the transaction for a reason that a repetition cures, and OutcomeUnknown when the
    connection broke before the answer of the commit: everything was kept, or nothing.
    """
    teams = "" if team is None else team if isinstance(team, str) else ",".join(team)
    with _pool().borrow(teams, user or "") as session:
        tx = Tx(session)
        try:
            yield tx
            try:
                session.driver.run("COMMIT")
            except Exception as error:
                raise _unkept(error, session) from error
        except BaseException:
            _rollback(session)
            raise
    for action in tx._after_commit:
        try:
            action()
        except Exception as error:
            telemetry.log_exception("an action after commit failed; it is repeated by schedule", error)


def surely(work: Callable[[], T]) -> T:
    """Run what makes a transaction; once more where nobody knows whether it was kept.

    For work that may run twice: its ids are made outside of it, and where its rows are there already it
    answers what they say.
    """
    try:
        return work()
    except OutcomeUnknown:
        return work()


class _Pool:
    """A LIFO pool: the connection used last is the warmest. Broken ones are dropped."""

    def __init__(self, size: int) -> None:
        self._idle: list[Session] = []
        self._slots = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self, teams: str, user: str) -> Iterator[Session]:
        if not self._slots.acquire(timeout=deadline.within(BUSY_SECONDS)):
            raise Unavailable("All database connections of this instance are busy.", retry_after=1)
        try:
            session = self._begun(teams, user)
            try:
                yield session
            finally:
                if session.usable:
                    with self._lock:
                        self._idle.append(session)
                else:
                    _close(session)
        finally:
            self._slots.release()

    def _begun(self, teams: str, user: str) -> Session:
        """A connection with an open transaction.

        One whose server went away while it was idle fails at its first statement, and so will the others
        that idle: all are dropped, and as nothing was done on them, a new one begins in their place.
        """
        left_ms = int(deadline.within(STATEMENT_TIMEOUT_MS / 1000) * 1000)
        who = (teams, user, left_ms if left_ms < STATEMENT_TIMEOUT_MS else None)
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is not None:
            try:
                session.begin(*who)
                return session
            except Exception as error:
                _close(session)
                if not isinstance(_translated(error, session), Unavailable):
                    raise
                with self._lock:
                    broken, self._idle = self._idle, []
                for other in broken:
                    _close(other)
        session = _connect()
        try:
            session.begin(*who)
        except Exception as error:
            _close(session)
            raise _translated(error, session) from error
        return session


@lru_cache(maxsize=1)
def _pool() -> _Pool:
    return _Pool(settings().pool_size)


def _connect() -> Session:
    session = Session(pg_connect.connect())
    try:
        session.driver.register_in_adapter(_UUID, str)
        session.driver.run(
            f"SET statement_timeout = {STATEMENT_TIMEOUT_MS};"
            f"SET idle_in_transaction_session_timeout = {IDLE_TIMEOUT_MS};"
            "SET timezone = 'UTC'"
        )
    except Exception as error:
        _close(session)
        raise Unavailable("The directory database is not reachable.", retry_after=1) from error
    return session


def _rollback(session: Session) -> None:
    try:
        session.driver.run("ROLLBACK")
    except Exception:
        _close(session)


def _close(session: Session) -> None:
    try:
        session.driver.close()
    except Exception as error:
        telemetry.log("a broken database connection did not close", "DEBUG", error_type=type(error).__name__)


def _unkept(error: Exception, session: Session) -> Exception:
    """What a failed commit means. Only the server's own refusal says for sure that nothing was kept."""
    found = _translated(error, session)
    if not isinstance(found, Unavailable) or _state(error) in _ROLLED_BACK:
        return found
    return OutcomeUnknown(retry_after=1)


def _state(error: Exception) -> str | None:
    """The SQLSTATE of a refusal by the server."""
    detail = error.args[0] if error.args else None
    return str(detail.get("C", "")) if isinstance(detail, dict) else None


def _translated(error: Exception, session: Session) -> Exception:
    """Our noun for a driver's error; its text stays in the log."""
    from pg8000.exceptions import DatabaseError, InterfaceError

    if isinstance(error, DatabaseError) and error.args and isinstance(error.args[0], dict):
        detail = error.args[0]
        state = detail.get("C", "")
        if state == "23505":
            return UniqueViolation(detail.get("n", ""))
        if state in OUTDATED:
            session.forget()
            return Unavailable("The directory's schema has just changed.", retry_after=1)
        if state in _RETRYABLE or state.startswith("08"):
            return Unavailable("The directory database is busy.", retry_after=1)
        return RuntimeError(f"Postgres refused the statement: {state} {detail.get('M', '')}")
    if isinstance(error, InterfaceError | OSError | EOFError):
        return Unavailable("The directory database is not reachable.", retry_after=1)
    return error
