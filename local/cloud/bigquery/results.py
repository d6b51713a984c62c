"""Query results in memory: made once, paged by row number, dropped when there are too many."""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

import contextlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from local.cloud.bigquery.engine import Engine, new_name
from local.cloud.bigquery.errors import BigQueryError, invalid_query
from local.cloud.bigquery.fields import Field, encode_row, quote, repeated, wire_sql
from local.cloud.bigquery.planner import select_sql

_KEPT = 300
_KEPT_ROWS = 5_000_000


@dataclass(slots=True)
class Result:
    """A result table; `table` is a DuckDB name."""

    table: str
    fields: list[Field]
    total: int


class Results:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._by_key: OrderedDict[str, Result] = OrderedDict()

    def make(self, key: str, cursor: Any, sql: str, fields: list[Field]) -> Result:
        """Run the query into a result table under `key`; `cursor` is the one that can be interrupted."""
        name = f"results.{new_name()}"
        cursor.execute(f"CREATE TABLE {name} AS {select_sql(sql, fields)}")
        try:
            check_values(cursor, name, fields)
        except BigQueryError:
            cursor.execute(f"DROP TABLE {name}")
            raise
        row = cursor.execute(f"SELECT count(*) FROM {name}").fetchone()
        made = Result(name, fields, int(row[0]))
        with self._lock:
            replaced = self._by_key.pop(key, None)
            self._by_key[key] = made
            old = self._surplus() + ([replaced] if replaced is not None else [])
        self._drop(old)
        return made

    def find(self, key: str) -> Result | None:
        with self._lock:
            found = self._by_key.get(key)
            if found is not None:
                self._by_key.move_to_end(key)
            return found

    def _surplus(self) -> list[Result]:
        out = []
        rows = sum(r.total for r in self._by_key.values())
        while len(self._by_key) > 1 and (len(self._by_key) > _KEPT or rows > _KEPT_ROWS):
            _, old = self._by_key.popitem(last=False)
            rows -= old.total
            out.append(old)
        return out

    def _drop(self, results: list[Result]) -> None:
        with contextlib.closing(self._engine.cursor()) as cursor:
            for old in results:
                cursor.execute(f"DROP TABLE IF EXISTS {old.table}")

    def page(self, result: Result, start: int, count: int, *, int_timestamps: bool) -> list[dict[str, Any]]:
        return page(self._engine, result.table, result.fields, start, count, int_timestamps=int_timestamps)


# The first and the last moment of each type; DuckDB's own go further.
_RANGES = {
    "DATE": ("DATE '0001-01-01'", "DATE '9999-12-31'"),
    "DATETIME": ("TIMESTAMP '0001-01-01 00:00:00'", "TIMESTAMP '9999-12-31 23:59:59.999999'"),
    "TIMESTAMP": ("TIMESTAMPTZ '0001-01-01 00:00:00+00'", "TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'"),
}


def check_values(cursor: Any, table: str, fields: list[Field]) -> None:
    """Arrays with NULL may exist inside a query, not in its result; moments end with the year 9999."""
    for f in fields:
        name = quote(f["name"])
        if repeated(f):
            if _any(cursor, table, f"len({name}) <> list_count({name})"):
                raise invalid_query(f"Array cannot have a null element; error in writing field {f['name']}")
        elif f["type"] in _RANGES:
            low, high = _RANGES[f["type"]]
            if _any(cursor, table, f"{name} NOT BETWEEN {low} AND {high}"):
                raise invalid_query(f"{f['type']} value out of range in field {f['name']}")


def _any(cursor: Any, table: str, test: str) -> bool:
    return cursor.execute(f"SELECT 1 FROM {table} WHERE {test} LIMIT 1").fetchone() is not None


def page(
    engine: Engine, table: str, fields: list[Field], start: int, count: int, *, int_timestamps: bool
) -> list[dict[str, Any]]:
    """Rows start … start+count of a table as the REST API writes them."""
    columns = ", ".join(wire_sql(quote(f["name"]), f) for f in fields)
    with contextlib.closing(engine.cursor()) as cursor:
        rows = cursor.execute(f"SELECT {columns} FROM {table} LIMIT {count} OFFSET {start}").fetchall()
    return [encode_row(row, fields, int_timestamps=int_timestamps) for row in rows]
