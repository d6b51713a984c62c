"""Which vendor serves which type of connection: the one place that knows all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from shared.platform.errors import ValidationFailed
from shared.warehouses.contract import ConnectionType, Vendor, Warehouse
from shared.warehouses.dialect import Dialect

SERVED: tuple[ConnectionType, ...] = ("bigquery",)
"""The types that have an adapter."""


def vendor(connection_type: str) -> Vendor:
    """The vendor of a type of connection; raises ValidationFailed for one that has no adapter yet."""
    if connection_type == "bigquery":
        from shared.warehouses.bigquery.vendor import VENDOR

        return VENDOR
    raise ValidationFailed(
        f"Connections of the type {connection_type} can't be made yet; use {' or '.join(SERVED)}.",
        field="connection_type",
        reason="not supported yet",
    )


def open_warehouse(connection_type: str, kept: Mapping[str, Any], *, connection: str) -> Warehouse:
    """The adapter of a connection behind its circuit breaker; nothing is dialled yet."""
    from shared.warehouses.shielded import Shielded

    return Shielded(vendor(connection_type).open(kept), connection)


def dialect(name: str) -> Dialect:
    """The dialect of this name, as warehouses and tools tell it; raises ValueError for one that nobody speaks."""
    if name == "bigquery":
        from shared.warehouses.bigquery.dialect import BIGQUERY

        return BIGQUERY
    if name == "postgres":
        from shared.warehouses.postgres.dialect import POSTGRES

        return POSTGRES
    raise ValueError(f"{name[:40]!r} is no dialect; the types of connections are {get_args(ConnectionType)}")


def usual() -> Dialect:
    """The dialect in which a text is read while nobody knows yet which connection it is for."""
    return dialect(SERVED[0])
