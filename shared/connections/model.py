"""Connections as they are asked for and answered. Nothing that is answered has room for a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.platform.paging import Page
from shared.platform.text.names import Name
from shared.warehouses.contract import ConnectionType, Warehouse

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Status = Literal["pending_validation", "validated", "failed"]
Encoded = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class Given(BaseModel):
    """Base of bodies: what is not declared is refused, and no value is repeated in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class NewConnection(Given):
    """A connection to be made. `credentials` is the service-account file in base64."""

    team_id: Id
    name: Name
    connection_type: ConnectionType
    credentials: Encoded = Field(repr=False)


class NewCredentials(Given):
    """Credentials that replace the stored ones."""

    credentials: Encoded = Field(repr=False)


class OfTeam(Page):
    """A list of one team's things."""

    team_id: Id


class Connection(BaseModel):
    """A connection as it is listed."""

    id: str
    team_id: str
    name: str
    connection_type: ConnectionType
    status: Status
    validation_error: str | None
    validated_at: str | None
    created_at: str | None


class CatalogCounts(BaseModel):
    """What the last scans found behind a connection."""

    datasets: int
    tables: int


class ConnectionDetails(Connection):
    """A connection with the size of its catalog."""

    catalog_version: int
    catalog: CatalogCounts


class Connections(BaseModel):
    """A page of connections, newest first."""

    connections: list[Connection]
    has_more: bool
    next_cursor: str | None


@dataclass(frozen=True)
class OpenConnection:
    """A connection ready to be queried."""

    id: str
    name: str
    status: Status
    credentials_generation: int
    catalog_version: int
    warehouse: Warehouse
