"""Every change of an object goes through `publish` or `retire`, inside one write transaction.

    check the precondition ─► new generation ─► old one becomes noncurrent or goes ─► event in the outbox

so a compare-and-swap is exact under races, and an object and the news of it appear together or not at all.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, BinaryIO

from local.cloud.storage import events
from local.cloud.storage.database import Database, next_generation
from local.cloud.storage.errors import no_bucket, no_object
from local.cloud.storage.files import Content, Files
from local.cloud.storage.model import Bucket, StoredObject, bucket_of, now, object_of
from local.cloud.storage.preconditions import check


@dataclass(frozen=True, slots=True)
class Storage:
    """What handlers work with: the rows, the bytes, and where events go."""

    database: Database
    files: Files
    outbox: events.Outbox | None
    origin: str


@dataclass(frozen=True, slots=True)
class Draft:
    """An object about to be: where, with which settings, in the place of which generation."""

    bucket: str
    name: str
    config: dict[str, Any]
    expected: int | None
    component_count: int | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """A new object, and the blobs that nothing refers to once the transaction has committed."""

    stored: StoredObject
    garbage: list[str]


def get_bucket(db: sqlite3.Connection, name: str) -> Bucket:
    """The bucket, or 404."""
    row = db.execute("SELECT * FROM buckets WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise no_bucket()
    return bucket_of(row)


def find_object(
    db: sqlite3.Connection, bucket: str, name: str, generation: int | None = None
) -> StoredObject | None:
    """The live object, or the given generation of it, live or not."""
    if generation is None:
        sql = "SELECT * FROM objects WHERE bucket = :bucket AND name = :name AND live = 1"
    else:
        sql = "SELECT * FROM objects WHERE bucket = :bucket AND name = :name AND generation = :generation"
    row = db.execute(sql, {"bucket": bucket, "name": name, "generation": generation}).fetchone()
    return None if row is None else object_of(row)


def get_object(db: sqlite3.Connection, bucket: str, name: str, generation: int | None = None) -> StoredObject:
    """As `find_object`, but 404 when there is none."""
    found = find_object(db, bucket, name, generation)
    if found is None:
        get_bucket(db, bucket)
        raise no_object(bucket, name)
    return found


def check_draft(db: sqlite3.Connection, draft: Draft) -> Bucket:
    """The bucket if `draft` could be published now. `publish` asks again: this only spares a useless upload."""
    bucket = get_bucket(db, draft.bucket)
    check(draft.expected, find_object(db, draft.bucket, draft.name))
    return bucket


def publish(storage: Storage, tx: sqlite3.Connection, draft: Draft, content: Content) -> Publication:
    """Make `content` the live generation, or raise and leave everything as it was."""
    bucket = get_bucket(tx, draft.bucket)
    old = find_object(tx, draft.bucket, draft.name)
    check(draft.expected, old)
    garbage = retire(tx, bucket, old) if old else []
    created = now()
    config = {"storageClass": bucket.config["storageClass"], **draft.config}
    stored = StoredObject(
        bucket=draft.bucket,
        name=draft.name,
        generation=next_generation(tx),
        metageneration=1,
        live=True,
        content=content,
        component_count=draft.component_count,
        created=created,
        updated=created,
        deleted=None,
        config=config,
    )
    tx.execute(
        "INSERT INTO objects VALUES (?, ?, ?, 1, 1, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
        (
            stored.bucket, stored.name, stored.generation, content.blob, content.size, content.md5,
            content.crc32c, stored.component_count, created, created, json.dumps(config),
        ),
    )  # fmt: skip
    if storage.outbox is not None:
        events.record_finalized(tx, stored, stored.resource(storage.origin))
    return Publication(stored, garbage)


def publish_content(storage: Storage, draft: Draft, content: Content) -> StoredObject:
    """Publish in a transaction of its own; the blob of a refused draft is removed."""
    try:
        with storage.database.write() as tx:
            publication = publish(storage, tx, draft, content)
    except BaseException:
        storage.files.remove([content.blob])
        raise
    settle(storage, publication.garbage)
    return publication.stored


def settle(storage: Storage, garbage: list[str]) -> None:
    """After a commit: drop unreferenced bytes and tell the deliverer that there may be news."""
    storage.files.remove(garbage)
    if storage.outbox is not None:
        storage.outbox.wake()


def open_object(
    storage: Storage, bucket: str, name: str, generation: int | None
) -> tuple[StoredObject, BinaryIO]:
    """An object and its bytes; once open, an overwrite or a delete doesn't disturb the reader."""
    while True:
        with storage.database.read() as db:
            found = get_object(db, bucket, name, generation)
        try:
            return found, storage.files.open(found.content.blob)
        except FileNotFoundError:
            # Replaced between the two lines above: look again, unless the row still claims these bytes.
            with storage.database.read() as db:
                again = find_object(db, bucket, name, generation)
            if again is not None and again.content.blob == found.content.blob:
                raise


def delete_object(
    storage: Storage, bucket_name: str, name: str, generation: int | None, expected: int | None
) -> None:
    """Without a generation the live object goes (noncurrent when versioned); with one, that one goes for good."""
    with storage.database.write() as tx:
        found = get_object(tx, bucket_name, name, generation)
        check(expected, found)
        garbage = retire(tx, get_bucket(tx, bucket_name), found, for_good=generation is not None)
    settle(storage, garbage)


def retire(tx: sqlite3.Connection, bucket: Bucket, old: StoredObject, *, for_good: bool = False) -> list[str]:
    """Make `old` noncurrent, or remove it; answers the blobs to remove after the commit."""
    if bucket.versioned and not for_good:
        tx.execute(
            "UPDATE objects SET live = 0, deleted = ? WHERE bucket = ? AND name = ? AND generation = ?",
            (now(), old.bucket, old.name, old.generation),
        )
        return []
    tx.execute(
        "DELETE FROM objects WHERE bucket = ? AND name = ? AND generation = ?",
        (old.bucket, old.name, old.generation),
    )
    return [old.content.blob]
