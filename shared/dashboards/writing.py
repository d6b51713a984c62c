"""A save's two effects: the object, then the row that points at it. Both stay, or neither.

    put object ─► keep row ─┬─► kept
                            ├─ not reachable ─► left: a repetition or the object's event completes the save
                            └─ refused for good ─► undone: the text of the row again, or no object; not where the
                                                   object's event has kept the row meanwhile

Without the last, a new slug would be neither free nor usable, and an old one could never be saved again: its row
would name a generation that is not the current one.
"""

from __future__ import annotations

from shared.dashboards import indexing, store
from shared.dashboards.validation import Verdict
from shared.platform.cloud import objects
from shared.platform.cloud.objects import Stored
from shared.platform.errors import BridgeError, PreconditionFailed
from shared.platform.ids import TeamId, UserId
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry

CONTENT_TYPE = "text/yaml; charset=utf-8"


def write(
    team: TeamId,
    slug: str,
    text: str,
    verdict: Verdict,
    *,
    before: pool.Row | None,
    expected: int | None,
    author: UserId,
    id: str,
) -> None:
    """Write the object and its row for the save `id`; `before` is the row that the save replaces.

    Raises PreconditionFailed when the object's generation is not the expected one (None: there is none).
    """
    name = indexing.object_name(team, slug)
    metadata = {indexing.SAVE_ID: id, indexing.AUTHOR: author}
    try:
        stored = objects.put(
            indexing.BUCKET,
            name,
            text.encode(),
            content_type=CONTENT_TYPE,
            if_generation=objects.ABSENT if expected is None else expected,
            metadata=metadata,
        )
    except PreconditionFailed:
        # Either somebody was faster, or an earlier attempt of this very save died after its object.
        current = objects.head(indexing.BUCKET, name)
        if current is None or current.metadata.get(indexing.SAVE_ID) != id:
            raise
        data, stored = objects.get(indexing.BUCKET, name, generation=current.generation)
        text = data.decode()
    try:
        indexing.keep(team, slug, text, stored, verdict, metadata=metadata)
    except Exception as error:
        if not (isinstance(error, BridgeError) and error.retryable):
            _undo(team, slug, stored, before, id)
        raise


def _undo(team: TeamId, slug: str, stored: Stored, before: pool.Row | None, id: str) -> None:
    """Take back an object that has no row. Where this fails too, its event and the reconciler are left.

    An object that an earlier attempt of this save wrote may have its row by now, from its event: it stays.
    """
    try:
        with pool.transaction(team) as tx:
            if store.find_version(tx, team, id) is not None:
                return
        restored = _put_back(team, slug, stored, before)
        with pool.transaction(team) as tx:
            if before is None:
                store.forget(tx, team, slug, stored.generation)
            elif restored is not None:
                store.follow(tx, team, before["id"], old=before["object_generation"], new=restored.generation)
    except Exception as error:
        telemetry.log_exception("a save that failed could not be undone", error, slug=slug)


def _put_back(team: TeamId, slug: str, stored: Stored, before: pool.Row | None) -> Stored | None:
    """The text of the row as the current object again; without a row no object. Never over a newer one."""
    name = indexing.object_name(team, slug)
    try:
        if before is None:
            objects.delete(indexing.BUCKET, name, if_generation=stored.generation)
            return None
        old = objects.find(indexing.BUCKET, name, generation=before["object_generation"])
        if old is None:
            return None
        return objects.put(
            indexing.BUCKET, name, old[0], content_type=CONTENT_TYPE, if_generation=stored.generation
        )
    except PreconditionFailed:
        return None
