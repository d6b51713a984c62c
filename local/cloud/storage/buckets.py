"""Buckets: create and get."""

import json

from local.cloud.storage.database import next_generation
from local.cloud.storage.errors import conflict
from local.cloud.storage.model import BUCKET_FIELDS, Bucket, now, writable
from local.cloud.storage.names import check_bucket_name
from local.cloud.storage.service import Storage, get_bucket
from local.cloud.storage.wire import HttpRequest, Response, json_response


def insert(storage: Storage, request: HttpRequest) -> Response:
    document = request.json()
    name = check_bucket_name(document.pop("name", None))
    created = now()
    config = {"location": "US-CENTRAL1", "storageClass": "STANDARD", **writable(document, BUCKET_FIELDS)}
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


def get(storage: Storage, request: HttpRequest, bucket: str) -> Response:
    with storage.database.read() as db:
        found = get_bucket(db, bucket)
    return _answer(request, found)


def _answer(request: HttpRequest, bucket: Bucket) -> Response:
    return json_response(bucket.resource(request.origin), ETag=bucket.etag)
