"""A dashboard ready to be asked: its document compiled against its connection as both are now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.connections.declared import ConnectionNotValidated
from shared.dashboards import indexing, reading
from shared.dashboards.compiling import compiler
from shared.dashboards.compiling.filters import Clock, Values
from shared.dashboards.declared import DashboardInvalid
from shared.dashboards.results import entries
from shared.dashboards.store import Head
from shared.platform.caches import Bounded, recent
from shared.platform.cloud import objects
from shared.platform.errors import Unavailable
from shared.platform.ids import TeamId
from shared.platform.telemetry import context as telemetry
from shared.querying import access
from shared.querying.access import Access

MOST_DOCUMENTS = 64


@dataclass(frozen=True)
class Source:
    """What serving needs of one version of a dashboard."""

    team: TeamId
    id: str
    slug: str
    version: int
    epoch: int
    prepared: compiler.Prepared
    access: Access

    def plan(self, values: Values, clock: Clock) -> compiler.Plan:
        """The plan for these values."""
        return compiler.bind(
            self.prepared,
            values,
            clock,
            connection=self.access.opened.id,
            generation=self.access.opened.credentials_generation,
            policy=self.access.policy,
        )

    def key(self, query_hash: str) -> str:
        """The name of a result among the shared entries."""
        return f"dash:{self.team}:{self.slug}:q:{query_hash}:v:{self.version}.{self.epoch}"

    @property
    def serve_seconds(self) -> float:
        """How long after its ttl a result may still be served."""
        return float(self.prepared.document.refresh.stale_while_revalidate_seconds)

    def rows_of(self, entry: entries.Entry) -> bytes | None:
        """All rows of an entry, where the tile gets fewer."""
        return entries.rows_of(entry)


_sources: Bounded[tuple[Any, ...], Source] = recent(MOST_DOCUMENTS)


def source_of(team: TeamId, head: Head) -> Source:
    """The source for a row of the directory; raises DashboardInvalid or ConnectionNotValidated."""
    if head["status"] != "ready":
        raise DashboardInvalid(details={"errors": head["errors"]})
    if (connection := head["connection_id"]) is None:
        raise ConnectionNotValidated(
            "The dashboard's connection was deleted; name another one in its document.", field="connection"
        )
    key: tuple[Any, ...] = (
        head["id"],
        head["version"],
        head["cache_epoch"],
        head["credentials_generation"],
        head["catalog_version"],
        head["connection_status"],
    )
    known = _sources.get(key)
    if known is not None:
        return known
    with telemetry.span("dashboard.compile", dashboard_slug=head["slug"]):
        made = _make(team, head, connection)
    _sources.put(key, made)
    return made


def _make(team: TeamId, head: Head, connection: str) -> Source:
    found = objects.find(
        indexing.BUCKET, indexing.object_name(team, head["slug"]), generation=head["object_generation"]
    )
    if found is None:
        raise Unavailable("The dashboard was replaced just now; try again.", retry_after=1)
    reach = access.to(team, connection)
    parsed = reading.parse(found[0].decode("utf-8", "replace"), lambda _named: reach.dialect)
    if parsed.document is None:
        raise DashboardInvalid(details={"errors": [problem.model_dump() for problem in parsed.errors]})
    prepared = compiler.prepare(
        parsed.document, dialect=reach.dialect, project=reach.project, allowed=reach.allowed
    )
    return Source(team, head["id"], head["slug"], head["version"], head["cache_epoch"], prepared, reach)
