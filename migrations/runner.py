"""Apply and undo plain SQL migrations, each in one transaction, under one advisory lock.

    migrations/0001_directory.up.sql  ─► schema_migrations(id, checksum, applied_at, duration)
    migrations/0001_directory.down.sql

The lock makes two runners at once safe: the second waits, then finds nothing to do. The checksum makes
an edit of an applied file visible: what runs in production is what the repository says.
"""

import hashlib
import os
import re
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pg8000.native

FOLDER = Path(__file__).parent
AUTHORITY = "BRIDGE_DATABASE_CA"
"""The PEM of the authority that signs the database's certificate (Cloud SQL: the instance's own)."""
_NAME = re.compile(r"(?P<number>\d{4})_(?P<title>[a-z0-9_]+)\.(?P<way>up|down)\.sql")
_LOCK = 0x6272_6964_6765  # "bridge": one lock per database, whatever the schema.
_OUTSIDE = re.compile(
    r"^\s*(begin|commit|rollback|start\s+transaction|abort|end)\s*;", re.IGNORECASE | re.MULTILINE
)
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DOLLAR_BODY = re.compile(r"(?P<tag>\$[A-Za-z_]*\$).*?(?P=tag)", re.DOTALL)

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    id          text PRIMARY KEY,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now(),
    duration    interval NOT NULL
)
"""


class MigrationError(Exception):
    """A migration is missing, was changed after it was applied, or failed."""


@dataclass(frozen=True)
class Migration:
    """One pair of files; `id` is their common name, such as `0001_directory`."""

    id: str
    up: Path
    down: Path

    @property
    def number(self) -> int:
        return int(self.id[:4])

    @property
    def checksum(self) -> str:
        """Of both files: an undo that was changed is as surprising as a change that was changed."""
        digest = hashlib.sha256()
        for path in (self.up, self.down):
            content = path.read_bytes()
            digest.update(len(content).to_bytes(8, "big") + content)
        return digest.hexdigest()


@dataclass(frozen=True)
class State:
    """One migration as the folder and the database see it."""

    id: str
    state: str  # applied, pending, changed (the files differ from what ran), unknown (no files)
    applied_at: str | None
    seconds: float | None


def load(folder: Path = FOLDER) -> list[Migration]:
    """The pairs in the folder, in order; complains about gaps, doubles and missing halves."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is named 0001_lower_case.up.sql or .down.sql")
        found.setdefault(f"{match['number']}_{match['title']}", {})[match["way"]] = path
    migrations = []
    for number, (name, pair) in enumerate(sorted(found.items()), start=1):
        if int(name[:4]) != number:
            raise MigrationError(
                f"{name}: expected number {number:04}; numbers start at 0001 without gaps or doubles"
            )
        for way in ("up", "down"):
            if way not in pair:
                raise MigrationError(f"{name}: {name}.{way}.sql is missing")
            if _OUTSIDE.search(_bare(pair[way].read_text())):
                raise MigrationError(
                    f"{pair[way].name}: holds BEGIN or COMMIT; the runner opens the transaction"
                )
        migrations.append(Migration(name, pair["up"], pair["down"]))
    return migrations


def _bare(sql: str) -> str:
    """The statements without comments and function bodies, where BEGIN means something else."""
    return _DOLLAR_BODY.sub("", _BLOCK_COMMENT.sub("", sql))


def connect(url: str) -> pg8000.native.Connection:
    """A connection for `postgresql://user:password@host:port/database`; `?host=/cloudsql/…` for a socket.

    `?sslmode=` is `verify-full`, `verify-ca` (against BRIDGE_DATABASE_CA, a PEM, without comparing names) or `disable`.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.username:
        raise MigrationError(
            "MIGRATIONS_DATABASE_URL must look like postgresql://user:password@host:port/database"
        )
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    socket = options.get("host")
    where: dict[str, Any] = (
        {"unix_sock": f"{socket}/.s.PGSQL.5432"}
        if socket
        else {"host": parts.hostname or "127.0.0.1", "port": parts.port or 5432}
    )
    # TLS everywhere but on this machine: the certificate store takes 20 ms to load and loopback needs none.
    near = socket or parts.hostname in ("127.0.0.1", "localhost", "::1")
    mode = options.get("sslmode", "disable" if near else "verify-full")
    return pg8000.native.Connection(
        unquote(parts.username),
        password=unquote(parts.password) if parts.password else None,
        database=parts.path.lstrip("/") or "bridge",
        ssl_context=_tls(mode, os.environ.get(AUTHORITY)),
        application_name="migrations",
        **where,
    )


def _tls(mode: str, authority: str | None) -> ssl.SSLContext | Literal[False]:
    """How a connection is protected, by libpq's name for it."""
    if mode == "disable":
        return False  # None would try TLS, and believe any certificate.
    if mode not in ("verify-ca", "verify-full"):
        raise MigrationError(f"sslmode={mode}: must be disable, verify-ca or verify-full")
    if mode == "verify-ca" and not authority:
        raise MigrationError(
            f"sslmode=verify-ca needs {AUTHORITY}: without it any authority's certificate would do"
        )
    context = ssl.create_default_context(cadata=authority or None)
    context.check_hostname = mode == "verify-full"
    return context


def up(url: str, folder: Path = FOLDER, to: int | None = None) -> list[str]:
    """Apply what is pending, up to number `to`; answers the ids applied."""
    migrations = load(folder)
    with _locked(url) as db:
        applied = _verified(db, migrations)
        done = []
        for migration in migrations:
            if migration.id not in applied and (to is None or migration.number <= to):
                _apply(db, migration)
                done.append(migration.id)
        return done


def down(url: str, folder: Path = FOLDER, to: int | None = None) -> list[str]:
    """Undo what is applied above number `to` (default: the newest only), newest first."""
    migrations = load(folder)
    with _locked(url) as db:
        applied = _verified(db, migrations)
        undoing = [m for m in reversed(migrations) if m.id in applied]
        undoing = undoing[:1] if to is None else [m for m in undoing if m.number > to]
        for migration in undoing:
            _undo(db, migration)
        return [migration.id for migration in undoing]


def status(url: str, folder: Path = FOLDER) -> list[State]:
    """Every migration that the folder or the database knows, in order. Reads only, takes no lock."""
    migrations = {m.id: m for m in load(folder)}
    db = connect(url)
    try:
        applied = {row[0]: row for row in _rows(db)}
    finally:
        db.close()
    states = []
    for name in sorted(migrations.keys() | applied.keys()):
        row = applied.get(name)
        if row is None:
            states.append(State(name, "pending", None, None))
            continue
        known = migrations.get(name)
        word = "unknown" if known is None else "applied" if known.checksum == row[1] else "changed"
        states.append(State(name, word, str(row[2]), float(row[3])))
    return states


def verify(url: str, folder: Path = FOLDER) -> list[str]:
    """The reasons why the database is not exactly what the folder says; empty when it is."""
    reasons = {
        "pending": "is not applied",
        "changed": "was changed after it was applied",
        "unknown": "is applied but has no files here",
    }
    return [f"{s.id} {reasons[s.state]}" for s in status(url, folder) if s.state in reasons]


@contextmanager
def _locked(url: str) -> Iterator[pg8000.native.Connection]:
    """A connection that holds the lock; the lock ends with the connection, however that ends."""
    db = connect(url)
    try:
        db.run("SELECT pg_advisory_lock(:key)", key=_LOCK)
        db.run(_TABLE)
        yield db
    finally:
        db.close()


def _verified(db: pg8000.native.Connection, migrations: Sequence[Migration]) -> set[str]:
    known = {m.id: m for m in migrations}
    applied = {row[0]: row[1] for row in _rows(db)}
    for name, checksum in sorted(applied.items()):
        if name not in known:
            raise MigrationError(f"{name} is applied but has no files here: is this an older checkout?")
        if known[name].checksum != checksum:
            raise MigrationError(
                f"{name} was changed after it was applied: restore it and add a new migration"
            )
    late = [m.id for m in migrations if m.id not in applied and any(m.id < name for name in applied)]
    if late:
        raise MigrationError(
            f"{late[0]} comes before migrations that are already applied: give it the next number"
        )
    return set(applied)


def _rows(db: pg8000.native.Connection) -> list[list[Any]]:
    if db.run("SELECT to_regclass('schema_migrations')")[0][0] is None:
        return []
    rows: list[list[Any]] = db.run(
        "SELECT id, checksum, applied_at, extract(epoch FROM duration) FROM schema_migrations ORDER BY id"
    )
    return rows


def _apply(db: pg8000.native.Connection, migration: Migration) -> None:
    with _transaction(db, migration.up.name):
        begun = time.perf_counter()
        # Without parameters the driver sends the script as it is written, `:name` and all.
        db.run(migration.up.read_text())
        db.run(
            "INSERT INTO schema_migrations (id, checksum, duration) "
            "VALUES (:id, :checksum, make_interval(secs => :seconds))",
            id=migration.id,
            checksum=migration.checksum,
            seconds=time.perf_counter() - begun,
        )


def _undo(db: pg8000.native.Connection, migration: Migration) -> None:
    with _transaction(db, migration.down.name):
        db.run(migration.down.read_text())
        db.run("DELETE FROM schema_migrations WHERE id = :id", id=migration.id)


@contextmanager
def _transaction(db: pg8000.native.Connection, name: str) -> Iterator[None]:
    db.run("BEGIN")
    try:
        yield
    except pg8000.native.DatabaseError as error:
        db.run("ROLLBACK")
        raise MigrationError(f"{name} failed and was rolled back: {_reason(error)}") from error
    db.run("COMMIT")


def _reason(error: pg8000.native.DatabaseError) -> str:
    detail = error.args[0] if error.args else {}
    if not isinstance(detail, dict):
        return str(error)
    place = f" (character {detail['P']})" if "P" in detail else ""
    return f"{detail.get('M', error)}{place}"
