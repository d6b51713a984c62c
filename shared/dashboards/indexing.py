"""From an object of the lake to the rows that point at it.

    save:   put object (if_generation) ─► keep ─┐
    event:  read object ─► examine ─────► keep ─┴─► one transaction: row, version, lineage, warm message

Whoever comes second finds the generation known and changes nothing, so a save that dies between object
and row is completed by the event, and a row never points at what is not there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.dashboards import page, reading, store, validation
from shared.dashboards.compiling import lineage
from shared.dashboards.document import changes, schedules
from shared.dashboards.document.model import Document
from shared.dashboards.document.problems import Problem
from shared.dashboards.flow import WarmDashboard
from shared.dashboards.validation import Verdict, examine
from shared.dashboards.views import Report
from shared.platform import clock
from shared.platform.background import ledger, outbox
from shared.platform.background.messages import Finalized
from shared.platform.cloud import objects
from shared.platform.cloud.objects import Stored
from shared.platform.errors import BridgeError, NotFound, ValidationFailed
from shared.platform.ids import TeamId, derived_id, is_id
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry

BUCKET = "dashboards"
SAVE_ID, AUTHOR = "bridge-save", "bridge-author"


def object_name(team: TeamId, slug: str) -> str:
    """Where a dashboard's text lies."""
    if not is_id(team):
        raise NotFound
    return objects.safe_name(team, f"{slug}.yaml")


def index(team: TeamId, slug: str) -> None:
    """Make the directory say what the bucket says of this dashboard. Steps call it at each finalize."""
    if not is_id(team) or not reading.is_slug(slug):
        raise ValidationFailed(
            "The object is not a dashboard's: it must be named {team}/{slug}.yaml.", field="name"
        )
    with pool.transaction(team) as tx:
        if not store.team_exists(tx, team):
            raise NotFound("There is no such team.")
        row = store.find(tx, team, slug)
    stored = objects.head(BUCKET, object_name(team, slug))
    if stored is None or (row is not None and _is_known(row, stored)):
        telemetry.log("the index has this object already", slug=slug)
        return
    data, stored = objects.get(BUCKET, object_name(team, slug), generation=stored.generation)
    text = data.decode("utf-8", "replace")
    verdict = examine(team, text)
    if verdict.report.valid and verdict.document is not None and verdict.document.slug != slug:
        verdict = _misnamed(verdict, slug)
    keep(team, slug, text, stored, verdict, metadata=_metadata(team, slug, stored))


def index_failed(event: Finalized, error: BridgeError) -> None:
    """No further attempt will be made: say on the row that the object could not be checked."""
    team, slug = TeamId(event.names["team"]), event.names["slug"]
    if not is_id(team) or not reading.is_slug(slug):
        return
    with pool.transaction(team) as tx:
        if not store.team_exists(tx, team):
            return
    stored = objects.head(BUCKET, object_name(team, slug))
    if stored is None or stored.generation != event.generation:
        return
    problem = Problem(
        path="", message=f"It could not be checked: {error.message}", hint="Save it again.", code=error.code
    )
    data, _ = objects.get(BUCKET, stored.name, generation=stored.generation)
    verdict = Verdict(Report(valid=False, errors=[problem], warnings=[]))
    keep(team, slug, data.decode("utf-8", "replace"), stored, verdict, metadata=stored.metadata)


def keep(
    team: TeamId,
    slug: str,
    text: str,
    stored: Stored,
    verdict: Verdict,
    *,
    metadata: Mapping[str, str],
) -> pool.Row | None:
    """Point the directory at an object; the version's row, or None if a newer object is known."""
    found = verdict.document
    with pool.transaction(team) as tx:
        before = store.find(tx, team, slug)
        author = store.find_member(tx, team, user=metadata.get(AUTHOR)) if metadata.get(AUTHOR) else None
        named = store.find_member(tx, team, email=found.owner_email if found else None)
    previous = _previous(team, slug, before)
    summary = changes.summarize(previous, found) if found is not None else ["the text has errors"]
    save_id = metadata.get(SAVE_ID, "")
    if not is_id(save_id):
        save_id = derived_id(stored.name, str(stored.generation))
    content = _content(slug, text, stored, verdict)
    if content.status == "invalid" and before is not None:
        content = replace(content, title=before["title"] if found is None else content.title)
    with ledger.finishing(team) as tx:
        owner = author or named
        row = store.put(tx, team, content, id=dashboard_id(save_id), owner=owner["id"] if owner else None)
        if row is None:
            return store.find_version(tx, team, save_id)
        store.add_version(
            tx,
            team,
            content,
            id=save_id,
            dashboard=row["id"],
            version=row["version"],
            author=author["id"] if author else None,
            summary=summary,
        )
        edges = lineage.edges(verdict.prepared) if verdict.prepared and verdict.report.valid else []
        store.replace_lineage(tx, team, row["id"], edges)
        if content.status == "ready":
            outbox.send(
                tx,
                WarmDashboard(
                    team=team, dashboard=row["id"], slug=slug, version=row["version"], occasion="saved"
                ),
            )
        return store.find_version(tx, team, save_id)


def _is_known(row: pool.Row, stored: Stored) -> bool:
    """Whether the row says what is to say of this object. One that could not be checked may be checked again."""
    if row["object_generation"] == stored.generation:
        return bool(row["status"] == "ready")
    return bool(row["object_generation"] > stored.generation)


def dashboard_id(save_id: str) -> str:
    """The id that this save gives to a new dashboard, as old as the save itself."""
    return derived_id(save_id, "dashboard", at_ms=int(save_id.replace("-", "")[:12], 16))


def next_warm(found: Document, after: datetime) -> datetime:
    """When the cache is to be warmed next: by the schedule, or shortly before the results get old."""
    if found.refresh.schedule is not None:
        return schedules.next_after(found.refresh.schedule, after, found.timezone)
    return after + timedelta(seconds=max(600, found.refresh.ttl_seconds))


def _content(slug: str, text: str, stored: Stored, verdict: Verdict) -> store.Content:
    found, report = verdict.document, verdict.report
    base = store.Content(
        slug=slug,
        generation=stored.generation,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        uri=stored.uri,
        status="ready" if report.valid and found is not None else "invalid",
        title=slug,
        errors=[problem.model_dump() for problem in report.errors],
    )
    if found is None:
        return base
    return replace(
        base,
        title=found.title,
        description=found.description,
        view_type=found.view_type,
        tags=tuple(found.tags),
        connection=verdict.connection.id if verdict.connection else None,
        timezone=found.timezone,
        page=_page(verdict, found),
        ttl_seconds=found.refresh.ttl_seconds,
        schedule=found.refresh.schedule,
        next_warm_at=next_warm(found, clock.now()) if report.valid else None,
    )


def _page(verdict: Verdict, found: Document) -> dict[str, Any]:
    return page.build(found, verdict.schemas) if verdict.report.valid else {}


def _previous(team: TeamId, slug: str, row: pool.Row | None) -> Document | None:
    """The document that the row points at now, for the summary of what changes."""
    if row is None:
        return None
    old = objects.find(BUCKET, object_name(team, slug), generation=row["object_generation"])
    return None if old is None else validation.read(team, old[0].decode("utf-8", "replace")).document


def _misnamed(verdict: Verdict, slug: str) -> Verdict:
    given = verdict.document.slug if verdict.document else ""
    problem = Problem(
        path="slug",
        message=f"The object is named {slug}.yaml and the document {given}.",
        hint=f"Write slug: {slug}, or rename the object.",
    )
    report = verdict.report.model_copy(update={"valid": False, "errors": [problem]})
    return replace(verdict, report=report)


def _metadata(team: TeamId, slug: str, stored: Stored) -> Mapping[str, str]:
    """The save that wrote the object, as the object itself says. A download does not carry it."""
    if stored.metadata:
        return stored.metadata
    head = objects.head(BUCKET, object_name(team, slug))
    return head.metadata if head is not None and head.generation == stored.generation else {}
