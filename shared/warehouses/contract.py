"""What every warehouse offers, whatever its vendor: the words between adapters and the rest.

Vendor ── reads credentials ── opens ──► Warehouse: check, datasets, tables, dry_run, query
                                            └─ its Dialect: how its SQL is written
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from shared.warehouses.dialect import Dialect
from shared.warehouses.types import Field, Parameter

ConnectionType = Literal["bigquery", "postgres", "snowflake"]
"""The kinds of warehouse that a connection can name; `registry` knows which of them are served."""


@dataclass(frozen=True)
class Limits:
    """What one query may cost. `max_bytes` is enforced by the warehouse itself where it can."""

    max_bytes: int
    timeout_seconds: float
    max_rows: int = 10_000
    labels: Mapping[str, str] = field(default_factory=dict)
    job_id: str | None = None
    """Derived from the step's key, so that a repeated submission finds the first job."""
    begun: Callable[[], None] = lambda: None
    """Called once the warehouse has taken the query up: from then on it may bill it, whatever becomes of the answer."""


@dataclass(frozen=True)
class DryRun:
    """What a query would do, without doing it."""

    bytes_scanned: int
    statement_type: str
    schema: tuple[Field, ...]
    tables: tuple[str, ...]
    """Fully qualified names (project.dataset.table) that the warehouse says it reads, views' bases included."""


@dataclass(frozen=True)
class Result:
    """Rows of a query. `truncated` says that `max_rows` cut them."""

    schema: tuple[Field, ...]
    rows: list[tuple[Any, ...]]
    bytes_scanned: int
    duration_ms: float
    truncated: bool
    total_rows: int


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset (schema) of a connection."""

    name: str
    fully_qualified_name: str
    location: str | None = None
    description: str | None = None
    last_modified: datetime | None = None
    problem: str | None = None
    """Why its details are missing, when its location did not answer; the others are not held up."""


@dataclass(frozen=True)
class ColumnInfo:
    """A column, or with a dotted path a leaf of a nested one."""

    path: str
    data_type: str
    mode: Literal["NULLABLE", "REQUIRED", "REPEATED"]
    position: int
    description: str | None = None


@dataclass(frozen=True)
class TableInfo:
    """A table or view with its shape. Views and external tables have no rows or bytes of their own."""

    name: str
    fully_qualified_name: str
    table_type: str
    row_count: int | None
    size_bytes: int | None
    partitioning: Mapping[str, Any] | None
    """{"column": …, "type": DAY|HOUR|MONTH|YEAR|RANGE, "require_filter": bool}"""
    clustering: tuple[str, ...] | None
    description: str | None
    last_modified: datetime | None
    columns: tuple[ColumnInfo, ...]


class Warehouse(Protocol):
    """One connection to one warehouse. Every method raises an error of `warehouses.declared`."""

    dialect: Dialect
    project: str
    """Default catalog (project, database) of names that have none."""

    def check(self) -> None:
        """Use every permission that Bridge needs; raises with a message that a person can act on."""

    def datasets(self) -> list[DatasetInfo]:
        """Every dataset that the credentials can see."""

    def tables(self, dataset: DatasetInfo) -> list[TableInfo]:
        """The tables of one dataset with their columns, in a constant number of metadata queries."""

    def dry_run(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> DryRun:
        """What the query would scan; raises QueryInvalid with the warehouse's cleaned message."""

    def query(self, sql: str, parameters: tuple[Parameter, ...], limits: Limits) -> Result:
        """Run a read-only query within its limits."""


class Vendor(Protocol):
    """One kind of warehouse, as the registry offers it: declared by the vendor's own folder."""

    @property
    def dialect(self) -> Dialect:
        """How its SQL is written."""

    def credentials(self, given: str) -> dict[str, str]:
        """The fields to keep of what a person sent; raises ValidationFailed with field and reason."""

    def open(self, kept: Mapping[str, Any]) -> Warehouse:
        """The adapter with these fields; nothing is dialled yet."""
