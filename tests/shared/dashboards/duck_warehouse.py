"""A warehouse on DuckDB for tests of what stands above warehouses: it counts, and can be slow or broken.

It runs the statements that it gets (rewritten for DuckDB) on real rows; the adapters of the vendors have
their own tests over their own protocols.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.contract import (
    DatasetInfo,
    DryRun,
    Limits,
    Result,
    TableInfo,
)
from shared.warehouses.declared import QueryInvalid, WarehouseUnavailable
from shared.warehouses.dialect import Dialect
from shared.warehouses.types import Field, Kind, Parameter

TYPES = {"BIGINT": "INT64", "INTEGER": "INT64", "HUGEINT": "INT64", "VARCHAR": "STRING", "DOUBLE": "FLOAT64"}
TYPES |= {"BOOLEAN": "BOOL", "DATE": "DATE", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "TIMESTAMP": "DATETIME"}


class DuckWarehouse:
    """Flights of two carriers over the months of 2013."""

    dialect: Dialect = BIGQUERY
    project = "demo"

    def __init__(self) -> None:
        self._database = duckdb.connect(":memory:")
        self._database.execute("ATTACH ':memory:' AS demo")
        self._database.execute("CREATE SCHEMA demo.flights")
        self._database.execute("CREATE SCHEMA demo.secret")
        self._database.execute(
            "CREATE TABLE demo.flights.flights AS SELECT DATE '2013-01-01' + INTERVAL (i % 365) DAY AS day,"
            " CASE i % 3 WHEN 0 THEN 'AA' WHEN 1 THEN 'DL' ELSE 'UA' END AS carrier,"
            " (i % 60)::DOUBLE AS delay FROM range(3650) t(i)"
        )
        self._database.execute("ALTER TABLE demo.flights.flights ALTER day TYPE DATE")
        self._database.execute("CREATE TABLE demo.secret.people AS SELECT 'x' AS name")
        self.executions: list[str] = []
        self.dry_runs = 0
        self.delay = 0.0
        self.bytes_scanned = 1000
        self.broken: Exception | None = None
        self.during: Callable[[], object] = lambda: None
        """Called while a query runs."""
        self.also_reads: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def check(self) -> None:
        """Nothing to check."""

    def datasets(self) -> list[DatasetInfo]:
        return [DatasetInfo("flights", "demo.flights")]

    def tables(self, dataset: DatasetInfo) -> list[TableInfo]:
        return []

    def dry_run(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> DryRun:
        with self._lock:
            self.dry_runs += 1
        if self.broken is not None:
            raise self.broken
        tree = sqlglot.parse_one(sql, read="bigquery")
        names = {cte.alias for cte in tree.find_all(exp.CTE)}
        tables = sorted(
            {
                ".".join(part.name for part in table.parts)
                for table in tree.find_all(exp.Table)
                if table.name not in names
            }
        )
        described = self._execute(f"SELECT * FROM ({self._translated(sql)}) LIMIT 0", parameters)
        full = tuple(name if name.count(".") == 2 else f"{self.project}.{name}" for name in tables)
        return DryRun(self.bytes_scanned, "SELECT", _schema(described), full + self.also_reads)

    def query(self, sql: str, parameters: tuple[Parameter, ...], limits: Limits) -> Result:
        with self._lock:
            self.executions.append(sql)
        limits.begun()
        self.during()
        if self.delay:
            time.sleep(self.delay)
        if self.broken is not None:
            raise self.broken
        cursor = self._execute(self._translated(sql), parameters)
        rows = cursor.fetchall()
        return Result(_schema(cursor), rows[: limits.max_rows], self.bytes_scanned, 1.0, False, len(rows))

    def fall_over(self) -> None:
        """Be unreachable until told otherwise."""
        self.broken = WarehouseUnavailable()

    def _translated(self, sql: str) -> str:
        tree = sqlglot.parse_one(sql, read="bigquery")
        names = {cte.alias for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if table.name not in names and len(table.parts) == 2:
                table.set("catalog", exp.to_identifier(self.project))
        return str(tree.transform(_truncated_to_a_date).sql("duckdb"))

    def _execute(self, sql: str, parameters: tuple[Parameter, ...]) -> Any:
        values = {parameter.name: _value(parameter) for parameter in parameters}
        used = {name: value for name, value in values.items() if f"${name}" in sql}
        try:
            return self._database.cursor().execute(sql, used)
        except duckdb.Error as error:
            raise QueryInvalid(str(error).splitlines()[0], field="sql") from error


def _truncated_to_a_date(node: Any) -> Any:
    """BigQuery's DATE_TRUNC of a date is a date."""
    if isinstance(node, exp.DateTrunc) and not isinstance(node.parent, exp.Cast):
        return exp.cast(node, "date")
    return node


def _schema(cursor: Any) -> tuple[Field, ...]:
    return tuple(
        BIGQUERY.field(column[0], TYPES.get(str(column[1]).upper(), str(column[1]).upper()))
        for column in cursor.description
    )


def _value(parameter: Parameter) -> Any:
    if parameter.array:
        return list(parameter.value) if isinstance(parameter.value, tuple) else []
    if parameter.value is None:
        return None
    if parameter.kind == Kind.DATE:
        return date.fromisoformat(str(parameter.value))
    if parameter.kind in (Kind.TIMESTAMP, Kind.DATETIME):
        return datetime.fromisoformat(str(parameter.value).replace("Z", "+00:00"))
    return parameter.value
