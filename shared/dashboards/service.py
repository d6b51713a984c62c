"""What can be done with dashboards: check, save, list, show, delete.

The text in the bucket is the truth and the row points at it. Saving puts the object first, with the
generation that it must replace, and then the row: of eight writers with the same If-Match one wins.
"""

from __future__ import annotations

from typing import Any, Literal

from shared.dashboards import indexing, page, reading, store, validation, writing
from shared.dashboards.charts import theme
from shared.dashboards.declared import AmbiguousSlug, DashboardInvalid
from shared.dashboards.document.problems import Problem
from shared.dashboards.store import Head
from shared.dashboards.views import (
    ConnectionName,
    DashboardLine,
    DashboardPage,
    Dashboards,
    Draft,
    ListFilter,
    Report,
    SavedVersion,
    VersionLine,
    Versions,
)
from shared.platform import audit, clock
from shared.platform.clock import iso
from shared.platform.cloud import objects
from shared.platform.edge import Call, Found
from shared.platform.errors import (
    BridgeError,
    Forbidden,
    NotFound,
    PreconditionFailed,
    SlugTaken,
    ValidationFailed,
)
from shared.platform.ids import TeamId, UserId, is_id, new_id
from shared.platform.paging import MOST_NUMBER, Page, cursor, cut
from shared.platform.postgres import pool
from shared.platform.text import numerals

# Which dashboard is meant ----------------------------------------------------------------------


def by_slug(call: Call) -> Found[Head]:
    """The dashboard in the path, among those of the caller's teams; raises NotFound or AmbiguousSlug."""
    wanted = _wanted_team(call)
    with pool.transaction(call.teams) as tx:
        found = store.heads(tx, call.path["slug"], wanted)
    if len(found) > 1:
        raise AmbiguousSlug(field="team_id", reason="several of your teams have it")
    if not found:
        raise NotFound
    return Found(TeamId(found[0]["team_id"]), found[0])


def by_slug_deleted_too(call: Call) -> Found[Head | None]:
    """Like by_slug, also for a dashboard that was deleted, of which nothing is left: a repeated DELETE is no error."""
    try:
        found = by_slug(call)
    except NotFound:
        with pool.transaction(call.teams) as tx:
            gone = store.tombstones(tx, call.path["slug"], _wanted_team(call))
        if len(gone) != 1:
            raise
        return Found(TeamId(gone[0]["team_id"]), None)
    return Found(found.team, found.thing)


def free_slug(team: TeamId, wanted: str) -> str:
    """The wanted slug, or the first free one that continues it: sales, sales-2, sales-3 …"""
    base = wanted[:70].strip("-") or "dashboard"
    with pool.transaction(team) as tx:
        taken = store.slugs_like(tx, team, base)
    if base not in taken:
        return base
    return next(f"{base}-{n}" for n in range(2, len(taken) + 3) if f"{base}-{n}" not in taken)


# Check and save --------------------------------------------------------------------------------


def validate(team: TeamId, yaml_text: str) -> Report:
    """Everything that is wrong with a text, and what its queries would scan. Nothing is kept."""
    return validation.examine(team, yaml_text).report


def save(
    team: TeamId, draft: Draft, *, author: UserId, id: str | None = None, admin: bool = False
) -> SavedVersion:
    """Keep a version. The same `id` again is the same save and answers the same.

    Raises DashboardInvalid with every problem, SlugTaken for a new document whose name is in use,
    PreconditionFailed when `expected_generation` is not the current one, and Forbidden for a dashboard
    that is neither the author's nor an admin's to replace.
    """
    id = id or new_id()
    if (done := _saved(team, id)) is not None:
        return done
    try:
        _make(team, draft, author=author, id=id, admin=admin)
    except BridgeError:
        # Examining takes seconds. Meanwhile the event of the object that an earlier attempt of this save wrote, or
        # the commit whose answer was lost, may have made the very version that would be refused here.
        if (done := _saved(team, id)) is None:
            raise
        return done
    saved = _saved(team, id)
    if saved is None:
        raise PreconditionFailed(field="If-Match", reason="it was replaced or deleted meanwhile")
    return saved


def _make(team: TeamId, draft: Draft, *, author: UserId, id: str, admin: bool) -> None:
    """Examine a draft, and write its object and its row; raises what `save` says."""
    verdict = validation.examine(team, draft.yaml_content)
    found = verdict.document
    if not verdict.report.valid or found is None:
        raise invalid(verdict.report)
    with pool.transaction(team) as tx:
        row = store.find(tx, team, found.slug)
        writer = store.find_member(tx, team, user=author)
    _check_expectation(row, found.slug, draft.expected_generation)
    if row is not None:
        require_owner(row, author, admin)
    now = iso(clock.now()) or ""
    stamps = {
        "owner_email": (row and row["owner_email"]) or (writer and writer["email"]) or "",
        "created_at": iso(row["created_at"]) if row else now,
        "updated_at": now,
    }
    text = reading.stamp(draft.yaml_content, found, {k: str(v) for k, v in stamps.items() if v})
    expected = draft.expected_generation
    try:
        writing.write(team, found.slug, text, verdict, before=row, expected=expected, author=author, id=id)
    except PreconditionFailed:
        if expected is None:
            raise _taken(found.slug) from None
        raise PreconditionFailed(field="If-Match", reason="it has a newer generation") from None


def replace(
    team: TeamId,
    slug: str,
    text: str,
    *,
    expected: int,
    author: UserId,
    admin: bool,
    id: str | None = None,
) -> SavedVersion:
    """Keep a new version of an existing dashboard under its own slug."""
    parsed = validation.read(team, text)
    if parsed.document is not None and parsed.document.slug != slug:
        raise ValidationFailed(
            f"The document's slug is {parsed.document.slug}; a dashboard keeps its slug.",
            field="slug",
            reason=f"it must be {slug}",
        )
    draft = Draft(team_id=team, yaml_content=text, expected_generation=expected)
    return save(team, draft, author=author, id=id, admin=admin)


def expected_generation(if_match: str | None, given: int | None) -> int:
    """The generation that a replacement names; raises ValidationFailed when it names none."""
    text = (if_match or "").strip().removeprefix("W/").strip('"')
    generation = numerals.whole(text)
    if generation is not None:
        return generation
    if if_match is None and given is not None:
        return given
    raise ValidationFailed(
        "Send If-Match with the ETag of the text that you replace.",
        field="If-Match",
        reason="missing or malformed",
    )


def invalid(report: Report) -> DashboardInvalid:
    """The refusal that carries every problem of a report."""
    first = report.errors[0]
    return DashboardInvalid(
        f"The dashboard has {len(report.errors)} error{'s' if len(report.errors) > 1 else ''}. {first.message}",
        field=first.path or "yaml_content",
        reason=first.message,
        details={"errors": [problem.model_dump() for problem in report.errors[:50]]},
    )


def require_owner(row: pool.Row, user: UserId, admin: bool) -> None:
    """Raise Forbidden unless the caller owns the dashboard or is an admin."""
    if not admin and row["owner_id"] != user:
        raise Forbidden("Only the dashboard's owner or an admin may do this.", reason="role")


# Read ------------------------------------------------------------------------------------------


def get(call: Call) -> DashboardPage:
    """A dashboard as the page draws it."""
    with pool.transaction(call.team) as tx:
        row = store.find(tx, call.team, call.path["slug"])
    if row is None:
        raise NotFound
    drawn: dict[str, Any] = row["page"]
    return DashboardPage(
        **{
            name: row[name] for name in ("id", "team_id", "slug", "title", "description", "view_type", "tags")
        },
        theme=drawn.get("theme", "monotone"),
        status=row["status"],
        errors=[Problem(**problem) for problem in row["errors"]],
        owner_email=row["owner_email"],
        can_edit=call.role == "admin" or row["owner_id"] == call.user,
        connection=ConnectionName(
            id=row["connection_id"], name=row["connection_name"] or drawn.get("connection", "")
        ),
        version=row["version"],
        generation=str(row["object_generation"]),
        gcs_path=row["object_uri"],
        url=f"/dash/{row['slug']}",
        timezone=row["timezone"],
        currency=drawn.get("currency", "USD"),
        locale=drawn.get("locale", "en-US"),
        refresh=drawn.get("refresh", {}),
        created_at=iso(row["created_at"]),
        updated_at=iso(row["updated_at"]),
        last_viewed_at=iso(row["last_viewed_at"]),
        access_count=row["access_count"],
        grid={"columns": 12, "row_height": page.ROW_HEIGHT},
        chart_config={name: theme.config(name) for name in _THEMES},
        filters=drawn.get("filters", []),
        tiles=drawn.get("tiles", []),
    )


_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def list_dashboards(team: TeamId, only: ListFilter) -> Dashboards:
    """A page of a team's dashboards, newest change first."""
    with pool.transaction(team) as tx:
        rows = store.page(
            tx,
            team,
            after=only.after("instant", "id"),
            limit=only.limit,
            offset=only.offset,
            view_type=only.view_type,
            owner=only.owner,
            q=only.q,
            tag=only.tag,
        )
    kept, paging = cut(rows, only.limit, "updated_at", "id")
    return Dashboards(dashboards=[_line(row) for row in kept], **paging)


def text_of(team: TeamId, slug: str) -> tuple[str, str]:
    """The YAML and its generation; raises NotFound."""
    data, stored = objects.get(indexing.BUCKET, indexing.object_name(team, slug))
    return data.decode("utf-8", "replace"), str(stored.generation)


def list_versions(team: TeamId, dashboard: str, page_: Page) -> Versions:
    """The history of a dashboard, newest first."""
    (before,) = page_.after("number")
    with pool.transaction(team) as tx:
        rows = store.versions(tx, team, dashboard, before=before, limit=page_.limit)
    kept = rows[: page_.limit]
    more = len(rows) > page_.limit
    return Versions(
        versions=[
            VersionLine(
                version=row["version"],
                author_email=row["author_email"],
                summary=row["summary"],
                content_sha256=row["content_sha256"],
                generation=str(row["object_generation"]),
                created_at=iso(row["created_at"]),
            )
            for row in kept
        ],
        has_more=more,
        next_cursor=cursor(kept[-1]["version"]) if more else None,
    )


def text_of_version(team: TeamId, slug: str, dashboard: str, number: str) -> str:
    """The YAML of an earlier version; raises NotFound."""
    version = numerals.whole(number, MOST_NUMBER)
    if version is None:
        raise NotFound
    with pool.transaction(team) as tx:
        row = store.get_version(tx, team, dashboard, version)
    name = indexing.object_name(team, slug)
    data, _ = objects.get(indexing.BUCKET, name, generation=row["object_generation"])
    return data.decode("utf-8", "replace")


# Delete ----------------------------------------------------------------------------------------


def delete(team: TeamId, slug: str, *, user: UserId, admin: bool) -> None:
    """Remove object, row, versions and lineage; what was cached can't be reached without the row.

    The object goes first: a delete that dies in between is finished by its repetition, and the
    tombstone keeps a late event of the object from bringing the row back.
    """
    with pool.transaction(team) as tx:
        row = store.find(tx, team, slug)
    if row is None:
        return
    require_owner(row, user, admin)
    name = indexing.object_name(team, slug)
    current = objects.head(indexing.BUCKET, name)
    if current is not None:
        objects.delete(indexing.BUCKET, name, if_generation=current.generation)
    newest = max(row["object_generation"], current.generation if current else 0)
    with pool.transaction(team) as tx:
        if store.remove(tx, team, slug, newest):
            audit.write(tx, team=team, actor=user, action="dashboard.deleted", target=row["id"])


# Parts -----------------------------------------------------------------------------------------


def _check_expectation(row: pool.Row | None, slug: str, expected: int | None) -> None:
    if expected is None:
        if row is not None:
            raise _taken(slug)
        return
    if row is None:
        raise NotFound(f"The team has no dashboard {slug}.")
    if row["object_generation"] != expected:
        raise PreconditionFailed(field="If-Match", reason="it has a newer generation")


def _taken(slug: str) -> SlugTaken:
    return SlugTaken(
        f"The team has a dashboard {slug}; choose another slug, or save with its generation.",
        field="slug",
        reason="taken",
    )


def _saved(team: TeamId, id: str) -> SavedVersion | None:
    with pool.transaction(team) as tx:
        row = store.find_version(tx, team, id)
    if row is None:
        return None
    return SavedVersion(
        id=row["dashboard_id"],
        slug=row["slug"],
        title=row["title"],
        version=row["version"],
        gcs_path=row["object_uri"],
        generation=row["object_generation"],
        url=f"/dash/{row['slug']}",
    )


def _wanted_team(call: Call) -> str | None:
    wanted = getattr(call.query, "team_id", None)
    if wanted is not None and not is_id(wanted):
        raise NotFound
    return wanted


def _line(row: pool.Row) -> DashboardLine:
    times = {name: iso(row[name]) for name in ("created_at", "updated_at", "last_viewed_at")}
    return DashboardLine.model_validate(row | times | {"url": f"/dash/{row['slug']}"})
