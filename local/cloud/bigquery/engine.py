"""The DuckDB database: physical tables, results in memory, and no way out to files or network.

User statements run on a cursor of their own, so a heavy one doesn't block others; writes to stored tables
take turns. Results live in an attached in-memory database and are lost with the process: the job that
made them can run again.
"""

import contextlib
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from local.cloud.bigquery import exact
from local.cloud.bigquery.fields import Field, duckdb_type, quote

_MACROS = Path(__file__).with_name("macros.sql")


class Engine:
    def __init__(self, data: Path, *, threads: int = 2, memory_limit: str = "2GB") -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.uploads = data / "uploads"
        self.uploads.mkdir(exist_ok=True)
        config = {
            "threads": str(threads),
            "memory_limit": memory_limit,
            "temp_directory": str(data / "spill"),
        }
        self._db = duckdb.connect(str(data / "tables.duckdb"), config=config)
        self.write_lock = threading.RLock()
        self._db.execute("CREATE TABLE IF NOT EXISTS applied_jobs (job VARCHAR PRIMARY KEY, rows BIGINT)")
        exact.register(self._db)
        # Division by zero and arguments outside a function's domain are errors, as they are in BigQuery.
        self._db.execute("SET GLOBAL ieee_floating_point_ops = false")
        macros = _MACROS.read_text()
        self._db.execute(macros)
        self._db.execute(
            "CREATE OR REPLACE MACRO bqs_nothing(message) AS NULL;"
            + macros.replace("bq_", "bqs_").replace("error(", "bqs_nothing(")
        )
        self._db.execute("ATTACH ':memory:' AS results")
        # Only load jobs read files, and only from this folder; user SQL has no function that names a file.
        self._db.execute(f"SET allowed_directories = ['{self.uploads}/']")
        self._db.execute("SET enable_external_access = false")
        self._db.execute("SET TimeZone = 'UTC'")
        self._db.execute("SET lock_configuration = true")

    def close(self) -> None:
        self._db.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._db.cursor()

    @contextlib.contextmanager
    def writing(self, job: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction on stored tables; with a job id it also leaves the mark that the job was applied."""
        with self.write_lock:
            cursor = self.cursor()
            try:
                cursor.execute("BEGIN")
                yield cursor
                if job is not None:
                    cursor.execute("INSERT INTO applied_jobs VALUES (?, 0)", [job])
                cursor.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()

    def was_applied(self, job: str) -> bool:
        with contextlib.closing(self.cursor()) as cursor:
            return cursor.execute("SELECT 1 FROM applied_jobs WHERE job = ?", [job]).fetchone() is not None

    def create(self, cursor: duckdb.DuckDBPyConnection, fields: Sequence[Field]) -> str:
        """A new empty physical table with these columns."""
        name = new_name()
        cursor.execute(f"CREATE TABLE {name} ({columns_sql(fields)})")
        return name

    def sweep(self, keep: set[str]) -> None:
        """Drop physical tables that no directory row names: left by a crash between two steps of a write."""
        with self.writing() as cursor:
            found = cursor.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name <> 'results' AND table_name LIKE 't\\_%' ESCAPE '\\'"
            ).fetchall()
            for (name,) in found:
                if name not in keep:
                    cursor.execute(f"DROP TABLE IF EXISTS {quote(name)}")

    def drop(self, physical: str | None) -> None:
        if physical is not None:
            with self.writing() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {quote(physical)}")


def new_name() -> str:
    return f"t_{uuid.uuid4().hex}"


def columns_sql(fields: Sequence[Field]) -> str:
    return ", ".join(
        f"{quote(f['name'])} {duckdb_type(f)}{' NOT NULL' if f.get('mode') == 'REQUIRED' else ''}"
        for f in fields
    )
