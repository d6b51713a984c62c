"""Buckets and their notification configurations: create, get, list, patch, update, delete."""

import json
import sqlite3
from typing import Any

from local.cloud.storage.database import next_generation
from local.cloud.storage.errors import conflict, invalid, not_found
from local.cloud.storage.listing import after_token, page_size, token_for
from local.cloud.storage.model import BUCKET_FIELDS, Bucket, bucket_of, merged, now, writable
from local.cloud.storage.names import check_bucket_name
from local.cloud.storage.preconditions import from_query
from local.cloud.storage.service import Storage, get_bucket
from local.cloud.storage.wire import Request, Response, json_response


def insert(storage: Storage, request: Request) -> Response:
    document = request.json()
    name = check_bucket_name(document.get("name"))
    created = now()
    config = {"location": "US-CENTRAL1", "storageClass": "STANDARD", **_settings(document)}
    config["location"] = str(config["location"]).upper()
    with storage.database.write() as tx:
        if tx.execute("SELECT 1 FROM buckets WHERE name = ?", (name,)).fetchone():
            raise conflict(
                "Your previous request to create the named bucket succeeded and you already own it."
            )
        bucket = Bucket(name, next_generation(tx), 1, created, created, config)
        tx.execute(
            "INSERT INTO buckets VALUES (?, ?, 1, ?, ?, ?)",
            (name, bucket.generation, created, created, json.dumps(config)),
        )
    return _answer(request, bucket)


def get(storage: Storage, request: Request, bucket: str) -> Response:
    with storage.database.read() as db:
        found = get_bucket(db, bucket)
    from_query(request).check_read(found)
    return _answer(request, found)


def list_all(storage: Storage, request: Request) -> Response:
    prefix, limit = request.query.get("prefix", ""), page_size(request)
    after = after_token(request)
    with storage.database.read() as db:
        rows = db.execute(
            "SELECT * FROM buckets WHERE name > ? AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?",
            (after[0] if after else "", len(prefix), prefix, limit + 1),
        ).fetchall()
    found = [bucket_of(row) for row in rows]
    document: dict[str, Any] = {"kind": "storage#buckets"}
    if found:
        document["items"] = [bucket.resource(request.origin) for bucket in found[:limit]]
    if len(found) > limit:
        document["nextPageToken"] = token_for(found[limit - 1].name)
    return json_response(document)


def patch(storage: Storage, request: Request, bucket: str) -> Response:
    return _change(storage, request, bucket, replace=False)


def update(storage: Storage, request: Request, bucket: str) -> Response:
    return _change(storage, request, bucket, replace=True)


def delete(storage: Storage, request: Request, bucket: str) -> Response:
    with storage.database.write() as tx:
        from_query(request).check_write(get_bucket(tx, bucket))
        if tx.execute("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", (bucket,)).fetchone():
            raise conflict("The bucket you tried to delete is not empty.")
        tx.execute("DELETE FROM buckets WHERE name = ?", (bucket,))
    return Response(204)


def _change(storage: Storage, request: Request, name: str, *, replace: bool) -> Response:
    changes = _settings(request.json())
    with storage.database.write() as tx:
        old = get_bucket(tx, name)
        from_query(request).check_write(old)
        fixed = {"location": old.config["location"], "storageClass": old.config["storageClass"]}
        config = {**fixed, **merged({} if replace else old.config, changes), "location": fixed["location"]}
        changed = Bucket(name, old.generation, old.metageneration + 1, old.created, now(), config)
        tx.execute(
            "UPDATE buckets SET metageneration = ?, updated = ?, config = ? WHERE name = ?",
            (changed.metageneration, changed.updated, json.dumps(config), name),
        )
    return _answer(request, changed)


def _settings(document: dict[str, Any]) -> dict[str, Any]:
    settings = writable(document, BUCKET_FIELDS)
    cors = settings.get("cors")
    if cors is not None and not (isinstance(cors, list) and all(isinstance(rule, dict) for rule in cors)):
        raise invalid("cors must be a list of rules.", location="cors")
    return settings


def _answer(request: Request, bucket: Bucket) -> Response:
    return json_response(bucket.resource(request.origin), ETag=bucket.etag)


def insert_notification(storage: Storage, request: Request, bucket: str) -> Response:
    document = request.json()
    if not str(document.get("topic", "")).startswith("//pubsub.googleapis.com/projects/"):
        raise invalid(
            "topic must have the form //pubsub.googleapis.com/projects/P/topics/T.", location="topic"
        )
    with storage.database.write() as tx:
        get_bucket(tx, bucket)
        (last,) = tx.execute(
            "SELECT max(CAST(id AS INTEGER)) FROM notifications WHERE bucket = ?", (bucket,)
        ).fetchone()
        identity = str((last or 0) + 1)
        link = f"{request.origin}/storage/v1/b/{bucket}/notificationConfigs/{identity}"
        config = {
            **document,
            "kind": "storage#notification",
            "id": identity,
            "selfLink": link,
            "etag": identity,
        }
        tx.execute("INSERT INTO notifications VALUES (?, ?, ?)", (bucket, identity, json.dumps(config)))
    return json_response(config)


def list_notifications(storage: Storage, request: Request, bucket: str) -> Response:
    del request
    with storage.database.read() as db:
        get_bucket(db, bucket)
        rows = db.execute(
            "SELECT config FROM notifications WHERE bucket = ? ORDER BY id", (bucket,)
        ).fetchall()
    items = [json.loads(row["config"]) for row in rows]
    return json_response({"kind": "storage#notifications", **({"items": items} if items else {})})


def get_notification(storage: Storage, request: Request, bucket: str, identity: str) -> Response:
    del request
    with storage.database.read() as db:
        row = _notification(db, bucket, identity)
    return json_response(json.loads(row["config"]))


def delete_notification(storage: Storage, request: Request, bucket: str, identity: str) -> Response:
    del request
    with storage.database.write() as tx:
        _notification(tx, bucket, identity)
        tx.execute("DELETE FROM notifications WHERE bucket = ? AND id = ?", (bucket, identity))
    return Response(204)


def _notification(db: sqlite3.Connection, bucket: str, identity: str) -> sqlite3.Row:
    get_bucket(db, bucket)
    row: sqlite3.Row | None = db.execute(
        "SELECT config FROM notifications WHERE bucket = ? AND id = ?", (bucket, identity)
    ).fetchone()
    if row is None:
        raise not_found(f"No notification configuration {identity} on bucket {bucket}.")
    return row
