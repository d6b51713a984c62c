"""Rows of dashboards. Only this module runs the statements of queries.sql."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict, cast

from shared.platform.ids import TeamId
from shared.platform.postgres import pool, sql

Q = sql.load(__file__)


@dataclass(frozen=True)
class Content:
    """What a row keeps of one object of the lake."""

    slug: str
    generation: int
    sha256: str
    uri: str
    status: str
    title: str
    description: str = ""
    view_type: str = "analytical"
    tags: tuple[str, ...] = ()
    connection: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    timezone: str = "UTC"
    page: dict[str, Any] = field(default_factory=dict)
    ttl_seconds: int = 86_400
    schedule: str | None = None
    next_warm_at: datetime | None = None


class Head(TypedDict):
    """All that a request for a dashboard's data needs: what its row says, and its connection's state."""

    id: str
    team_id: str
    slug: str
    title: str
    status: str
    errors: list[Any]
    version: int
    cache_epoch: int
    timezone: str
    connection_id: str | None
    owner_id: str
    object_generation: int
    refresh_ttl_seconds: int
    credentials_generation: int | None
    catalog_version: int | None
    connection_status: str | None


def heads(tx: pool.Tx, slug: str, team: str | None) -> list[Head]:
    """At most two dashboards of this slug among the transaction's teams, with their connection's state."""
    return cast(list[Head], tx.all(Q.heads_by_slug, slug=slug, team=team))


def tombstones(tx: pool.Tx, slug: str, team: str | None) -> list[pool.Row]:
    """At most two teams that deleted a dashboard of this slug."""
    return tx.all(Q.tombstones_by_slug, slug=slug, team=team)


def find(tx: pool.Tx, team: TeamId, slug: str) -> pool.Row | None:
    """The whole row, or None."""
    return tx.find(Q.find_dashboard, team=team, slug=slug)


def page(
    tx: pool.Tx, team: TeamId, *, after: list[Any], limit: int, offset: int, **only: str | None
) -> list[pool.Row]:
    """Rows of a list, newest change first, one more than asked for."""
    time, id = after
    return tx.all(
        Q.list_dashboards, team=team, after_time=time, after_id=id, limit=limit + 1, offset=offset, **only
    )


def slugs_like(tx: pool.Tx, team: TeamId, slug: str) -> set[str]:
    """The slugs that are this one or continue it."""
    return {row["slug"] for row in tx.all(Q.slugs_like, team=team, slug=slug)}


def team_exists(tx: pool.Tx, team: TeamId) -> bool:
    """Whether there is such a team."""
    return tx.find(Q.team_exists, team=team) is not None


def find_member(
    tx: pool.Tx, team: TeamId, *, user: str | None = None, email: str | None = None
) -> pool.Row | None:
    """A member by id or address, or None."""
    if user is not None:
        return tx.find(Q.find_member, team=team, user=user)
    return tx.find(Q.find_member_by_email, team=team, email=email) if email else None


def find_version(tx: pool.Tx, team: TeamId, id: str) -> pool.Row | None:
    """The version that this save made, or None."""
    return tx.find(Q.find_version, team=team, id=id)


def put(tx: pool.Tx, team: TeamId, content: Content, *, id: str, owner: str | None) -> pool.Row | None:
    """Make the row say what the object says; None when it knows this object or a newer one."""
    return tx.find(
        Q.put_dashboard,
        id=id,
        team=team,
        slug=content.slug,
        title=content.title,
        description=content.description,
        view_type=content.view_type,
        tags=list(content.tags),
        owner=owner,
        connection=content.connection,
        status=content.status,
        errors=_json(content.errors),
        sha=content.sha256,
        uri=content.uri,
        generation=content.generation,
        timezone=content.timezone,
        page=content.page,
        ttl=content.ttl_seconds,
        schedule=content.schedule,
        next_warm_at=content.next_warm_at,
    )


def add_version(
    tx: pool.Tx,
    team: TeamId,
    content: Content,
    *,
    id: str,
    dashboard: str,
    version: int,
    author: str | None,
    summary: list[str],
) -> None:
    """Record a version; a repetition changes nothing."""
    tx.run(
        Q.add_version,
        id=id,
        team=team,
        dashboard=dashboard,
        version=version,
        sha=content.sha256,
        generation=content.generation,
        author=author,
        summary=_json(summary),
    )


def versions(tx: pool.Tx, team: TeamId, dashboard: str, *, before: int | None, limit: int) -> list[pool.Row]:
    """Versions, newest first, one more than asked for."""
    return tx.all(Q.list_versions, team=team, dashboard=dashboard, before=before, limit=limit + 1)


def get_version(tx: pool.Tx, team: TeamId, dashboard: str, version: int) -> pool.Row:
    """One version's row; raises NotFound."""
    return tx.one(Q.find_version_number, team=team, dashboard=dashboard, version=version)


def replace_lineage(tx: pool.Tx, team: TeamId, dashboard: str, edges: list[dict[str, Any]]) -> None:
    """Make the edges of a dashboard these."""
    tx.run(Q.forget_lineage, team=team, dashboard=dashboard)
    if edges:
        tx.run(Q.add_lineage, team=team, dashboard=dashboard, rows=edges)


def remove(tx: pool.Tx, team: TeamId, slug: str, generation: int) -> bool:
    """Delete the row and remember that it is gone; False when there was none."""
    tx.run(Q.bury_dashboard, team=team, slug=slug, generation=generation)
    return tx.find(Q.remove_dashboard, team=team, slug=slug) is not None


def forget(tx: pool.Tx, team: TeamId, slug: str, generation: int) -> None:
    """Make an object that is taken back leave no row, also when its event comes late."""
    tx.run(Q.bury_dashboard, team=team, slug=slug, generation=generation)
    tx.run(Q.remove_generation, team=team, slug=slug, generation=generation)


def follow(tx: pool.Tx, team: TeamId, id: str, *, old: int, new: int) -> None:
    """Point the row and its version from one generation to another that holds the same text."""
    if tx.run(Q.follow_object, team=team, id=id, old=old, new=new):
        tx.run(Q.follow_version, team=team, id=id, old=old, new=new)


def next_epoch(tx: pool.Tx, team: TeamId, id: str) -> int:
    """Make every cached result of the dashboard unreachable."""
    return int(tx.one(Q.next_epoch, team=team, id=id)["cache_epoch"])


def count_views(tx: pool.Tx, team: TeamId, id: str, views: int) -> None:
    """Add views that an instance has gathered."""
    tx.run(Q.count_views, team=team, id=id, views=views)


def claim_due(tx: pool.Tx, most: int) -> list[pool.Row]:
    """Dashboards of any team whose warming is due; each is given once."""
    return tx.all(Q.claim_due, most=most)


def set_warmed(tx: pool.Tx, team: TeamId, id: str, next_warm_at: datetime | None) -> None:
    """Record a warming and when the next one is due."""
    tx.run(Q.set_warmed, team=team, id=id, next_warm_at=next_warm_at)


def between(tx: pool.Tx, after: str, upto: str | None, most: int) -> list[pool.Row]:
    """Rows of any team whose objects' names come after one and up to another, in the order of names."""
    return tx.all(Q.dashboards_between, after=after, upto=upto, most=most)


def tombstone_generations(tx: pool.Tx, team: TeamId, slugs: list[str]) -> dict[str, int]:
    """Up to which generation these dashboards were deleted."""
    rows = tx.all(Q.tombstones_of, team=team, slugs=slugs)
    return {str(row["slug"]): int(row["object_generation"]) for row in rows}


def mark_missing(tx: pool.Tx, team: TeamId, slug: str, *, generation: int, problem: dict[str, Any]) -> bool:
    """Say on the row that its object is gone; False when it points at another one by now."""
    row = tx.find(Q.mark_missing, team=team, slug=slug, generation=generation, errors=_json([problem]))
    return row is not None


def _json(value: list[Any]) -> str:
    from shared.platform.text import strict_json

    return strict_json.dumps(value).decode()
