"""A warehouse behind a circuit breaker, one for each connection.

A warehouse that does not answer costs every caller the client's own patience (20 seconds and more). After
repeated failures to reach it callers are told at once, and when to come again. A query that the warehouse
refuses, bad credentials or a missing permission are answers of a warehouse that is well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.platform.errors import Unavailable
from shared.platform.leases import breaker
from shared.platform.leases.breaker import Circuit
from shared.warehouses.contract import (
    DatasetInfo,
    DryRun,
    Limits,
    Result,
    TableInfo,
    Warehouse,
)
from shared.warehouses.declared import WarehouseUnavailable
from shared.warehouses.dialect import Dialect
from shared.warehouses.types import Parameter

OPENS_AFTER = 5
PAUSE_SECONDS = 30.0
PROBE_SECONDS = 60.0
TRUST_SECONDS = 5.0


class WarehousePaused(Unavailable):
    """The warehouse did not answer several times; it is left alone for a moment."""


class Shielded:
    """The Warehouse protocol, each call through the connection's circuit."""

    def __init__(self, warehouse: Warehouse, connection: str) -> None:
        self._warehouse = warehouse
        self._circuit = Circuit(
            name=f"warehouse:{connection}",
            words="The warehouse of this connection",
            refusal=WarehousePaused,
            opens_after=OPENS_AFTER,
            pause_seconds=PAUSE_SECONDS,
            probe_seconds=PROBE_SECONDS,
            trust_seconds=TRUST_SECONDS,
        )
        self.dialect: Dialect = warehouse.dialect
        self.project: str = warehouse.project

    def __repr__(self) -> str:
        return f"Shielded({self._warehouse!r})"

    @property
    def unshielded(self) -> Warehouse:
        """The adapter itself."""
        return self._warehouse

    def check(self) -> None:
        """Use every permission that Bridge needs."""
        with self._through():
            self._warehouse.check()

    def datasets(self) -> list[DatasetInfo]:
        """Every dataset that the credentials can see."""
        with self._through():
            return self._warehouse.datasets()

    def tables(self, dataset: DatasetInfo) -> list[TableInfo]:
        """The tables of one dataset with their columns."""
        with self._through():
            return self._warehouse.tables(dataset)

    def dry_run(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> DryRun:
        """What the query would scan."""
        with self._through():
            return self._warehouse.dry_run(sql, parameters)

    def query(self, sql: str, parameters: tuple[Parameter, ...], limits: Limits) -> Result:
        """Run a read-only query within its limits."""
        with self._through():
            return self._warehouse.query(sql, parameters, limits)

    @contextmanager
    def _through(self) -> Iterator[None]:
        permit = breaker.enter(self._circuit)
        try:
            yield
        except WarehouseUnavailable:
            breaker.failed(permit)
            raise
        except Exception:
            breaker.succeeded(permit)
            raise
        breaker.succeeded(permit)
