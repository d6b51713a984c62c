"""Object metadata: get, patch, update, delete."""

import json
from dataclasses import replace

from local.cloud.storage.model import OBJECT_FIELDS, StoredObject, merged, now, writable
from local.cloud.storage.preconditions import from_query
from local.cloud.storage.service import Storage, delete_object, get_object
from local.cloud.storage.wire import Request, Response, json_response


def answer(request: Request, stored: StoredObject) -> Response:
    return json_response(stored.resource(request.origin), ETag=stored.etag)


def get(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    with storage.database.read() as db:
        found = get_object(db, bucket, name, request.integer("generation"))
    from_query(request).check_read(found)
    return answer(request, found)


def patch(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    return _change(storage, request, bucket, name, replace_all=False)


def update(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    return _change(storage, request, bucket, name, replace_all=True)


def delete(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    delete_object(storage, bucket, name, request.integer("generation"), from_query(request))
    return Response(204)


def _change(storage: Storage, request: Request, bucket: str, name: str, *, replace_all: bool) -> Response:
    """New metadata for the same bytes: the metageneration rises, the generation stays."""
    changes = writable(request.json(), OBJECT_FIELDS - {"storageClass"})
    with storage.database.write() as tx:
        old = get_object(tx, bucket, name, request.integer("generation"))
        from_query(request).check_write(old)
        base = {"storageClass": old.config["storageClass"]} if replace_all else old.config
        config = merged(base, changes)
        changed = replace(old, metageneration=old.metageneration + 1, updated=now(), config=config)
        tx.execute(
            "UPDATE objects SET metageneration = ?, updated = ?, config = ?"
            " WHERE bucket = ? AND name = ? AND generation = ?",
            (changed.metageneration, changed.updated, json.dumps(config), bucket, name, old.generation),
        )
    return answer(request, changed)
