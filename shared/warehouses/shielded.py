"""A warehouse behind a circuit breaker, one for each connection.

A warehouse that does not answer costs every caller the client's own patience (20 seconds and more). After
repeated failures to reach it callers are told at once, and when to come again. A query that the warehouse
refuses, bad credentials, a missing permission or an exceeded rate are answers of a warehouse that is well. So may be
the silence on one query: before the circuit opens for all, and when it is tried again, the warehouse is asked something
that it can always answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.platform import deadline
from shared.platform.errors import Unavailable
from shared.platform.leases import breaker
from shared.platform.leases.breaker import Circuit, Permit
from shared.platform.leases.single_flight import Done, Flight, NotInTime
from shared.platform.telemetry import context as telemetry
from shared.warehouses.contract import (
    DatasetInfo,
    DryRun,
    Limits,
    Result,
    TableInfo,
    Warehouse,
)
from shared.warehouses.declared import OverRate, WarehouseUnavailable
from shared.warehouses.dialect import Dialect
from shared.warehouses.types import Parameter

OPENS_AFTER = 5
FIRST_PAUSE_SECONDS, PAUSE_SECONDS = 5.0, 30.0
PROBE_SECONDS = 60.0
TRUST_SECONDS = 5.0
ASK_SECONDS = 10.0
"""How long the warehouse may take to show that it is well."""


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
            first_pause_seconds=FIRST_PAUSE_SECONDS,
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
        permit = self._enter()
        try:
            yield
        except OverRate:
            breaker.succeeded(permit)
            raise
        except WarehouseUnavailable:
            # What this caller's own deadline cut off says nothing about the warehouse.
            if not deadline.is_over():
                breaker.failed(permit, confirm=lambda: not self._answers())
            raise
        except Exception:
            breaker.succeeded(permit)
            raise
        breaker.succeeded(permit)

    def _enter(self) -> Permit:
        """Leave to call; whose turn it is to probe asks first, and goes on with its own query if there is an answer."""
        permit = breaker.enter(self._circuit)
        if permit.probe is None:
            return permit
        if not self._answers():
            breaker.failed(permit)
            raise WarehousePaused(f"{self._circuit.words} still does not answer.", retry_after=PAUSE_SECONDS)
        breaker.succeeded(permit)
        return Permit(self._circuit)

    def _answers(self) -> bool:
        """Whether the warehouse answers what costs nothing and depends on no table. Threads ask together."""
        try:
            return _asking.run(self._circuit.name, self._ask, remaining=lambda: ASK_SECONDS).value
        except NotInTime:
            return False

    def _ask(self) -> Done[bool]:
        try:
            with deadline.operation(ASK_SECONDS):
                self._warehouse.dry_run("SELECT 1")
        except WarehouseUnavailable as error:
            return Done(isinstance(error, OverRate))
        except Exception as error:
            telemetry.log_exception("a warehouse answered with an error", error, circuit=self._circuit.name)
        return Done(True)


_asking: Flight[bool] = Flight()
