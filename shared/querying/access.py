"""Whose query it is, through which connection, and what it may read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shared.catalog import service as catalog
from shared.connections import service as connections
from shared.connections.model import OpenConnection
from shared.platform.ids import TeamId
from shared.warehouses.dialect import Dialect


@dataclass(frozen=True)
class Access:
    """A team's way into one of its warehouses, as the directory says it now."""

    team: TeamId
    opened: OpenConnection
    allowed: Collection[str]
    """The datasets ("project.dataset") that its queries may read."""
    policy: str = ""
    """Which masks and row filters apply. It is part of a result's key: who sees less never gets who sees more."""

    @property
    def dialect(self) -> Dialect:
        """The warehouse's dialect of SQL."""
        return self.opened.warehouse.dialect

    @property
    def project(self) -> str:
        """The default catalog of unqualified names."""
        return self.opened.warehouse.project


def through(team: TeamId, opened: OpenConnection) -> Access:
    """The access over a connection that is open."""
    return Access(team, opened, frozenset(catalog.allowed_datasets(team, opened.id)))


def to(team: TeamId, connection: str) -> Access:
    """The access over a connection of the team; raises NotFound or ConnectionNotValidated."""
    return through(team, connections.open_warehouse(team, connection))
