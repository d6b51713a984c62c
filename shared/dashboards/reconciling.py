"""Compare the bucket of documents with the directory, because a queue may forget an event for good.

    object, no row, or an older one ─► its event is told again ─► dashboards/index_dashboard
    row, no object ──────────────────► marked as missing; it stays, and so do its versions
    deleted on purpose ──────────────► a tombstone says so

Nothing is written here but the mark: what a lost event should have led to is the work of its step, which
is safe beside a save of the same dashboard (the generation decides who wins).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from shared.dashboards import store
from shared.dashboards.indexing import BUCKET
from shared.platform.background import ledger
from shared.platform.cloud import objects as object_store
from shared.platform.cloud.objects import Stored
from shared.platform.ids import TeamId
from shared.platform.ops.sweep import Stretch, is_settled, sweep, tell_again
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry

STEP = "dashboards-index-dashboard"
MISSING = {
    "path": "",
    "message": "The document is gone from the bucket.",
    "hint": "Save the dashboard again, or delete it.",
    "code": "DOCUMENT_MISSING",
}
_NAME = re.compile(r"(?P<team>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?P<slug>[a-z0-9-]{1,80})\.yaml\Z")
_ROWS = 1_000


def reconcile() -> Counter[str]:
    """Visit the next stretch of documents and rows; answers what was found."""
    with ledger.apart():
        return sweep("dashboards", BUCKET, _visit)


def _visit(stretch: Stretch) -> Counter[str]:
    rows = _rows(stretch)
    objects = {stored.name: stored for stored in stretch.objects}
    counts = tell_again(STEP, _behind(objects, rows), although_done=True)
    for name, row in rows.items():
        if name not in objects and not row["missing"]:
            counts["changed"] += _mark(row, name)
    return counts


def _rows(stretch: Stretch) -> dict[str, pool.Row]:
    """Every row whose object's name lies in the stretch."""
    found: dict[str, pool.Row] = {}
    after = stretch.after
    while True:
        with pool.transaction() as tx:
            batch = store.between(tx, after, stretch.upto, _ROWS)
        found |= {row["name"]: row for row in batch}
        if len(batch) < _ROWS:
            return found
        after = batch[-1]["name"]


def _behind(objects: dict[str, Stored], rows: dict[str, pool.Row]) -> list[Stored]:
    """The objects that the directory does not know, does not know in this generation, or held for missing."""
    found: list[Stored] = []
    rowless: dict[TeamId, dict[str, Stored]] = defaultdict(dict)
    for name, stored in objects.items():
        match, row = _NAME.match(name), rows.get(name)
        if match is None or not is_settled(stored):
            continue
        if row is None:
            rowless[TeamId(match["team"])][match["slug"]] = stored
        elif row["object_generation"] < stored.generation or row["missing"]:
            found.append(stored)
    for team, documents in rowless.items():
        with pool.transaction(team) as tx:
            if not store.team_exists(tx, team):
                continue
            deleted = store.tombstone_generations(tx, team, list(documents))
        found += [stored for slug, stored in documents.items() if deleted.get(slug, 0) < stored.generation]
    return found


def _mark(row: pool.Row, name: str) -> bool:
    """Mark a row whose object is really gone: the listing may be older than the row."""
    if object_store.head(BUCKET, name) is not None:
        return False
    team = TeamId(row["team_id"])
    with pool.transaction(team) as tx:
        marked = store.mark_missing(
            tx, team, row["slug"], generation=row["object_generation"], problem=MISSING
        )
    if marked:
        telemetry.log("a dashboard's document is gone", "ERROR", slug=row["slug"])
    return marked
