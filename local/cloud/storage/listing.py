"""Object listing: prefix, start and pages, in the order of UTF-8 bytes."""

import base64
import json
from itertools import islice, takewhile
from typing import Any

from local.cloud.storage.errors import invalid
from local.cloud.storage.model import object_of
from local.cloud.storage.service import Storage, get_bucket
from local.cloud.storage.wire import HttpRequest, Response, json_response

_PAGE = 1000


def list_objects(storage: Storage, request: HttpRequest, bucket: str) -> Response:
    prefix, limit, after = request.query.get("prefix", ""), _page_size(request), _after(request)
    start = max(prefix, request.query.get("startOffset", ""))
    with storage.database.read() as db:
        get_bucket(db, bucket)
        rows = db.execute(
            "SELECT * FROM objects WHERE bucket = ? AND live = 1 AND name >= ? AND name > ? ORDER BY name",
            (bucket, start, after),
        )
        # In this order all names with the prefix stand together.
        named = takewhile(lambda stored: stored.name.startswith(prefix), map(object_of, rows))
        found = list(islice(named, limit + 1))
    document: dict[str, Any] = {"kind": "storage#objects"}
    if found:
        document["items"] = [stored.resource(request.origin) for stored in found[:limit]]
    if len(found) > limit:
        document["nextPageToken"] = base64.urlsafe_b64encode(
            json.dumps(found[limit - 1].name).encode()
        ).decode()
    return json_response(document)


def _page_size(request: HttpRequest) -> int:
    """`maxResults`, at most 1000, which is also the default."""
    asked = request.integer("maxResults")
    if asked is not None and asked < 0:
        raise invalid("maxResults must not be negative.", location="maxResults")
    return min(asked or _PAGE, _PAGE)


def _after(request: HttpRequest) -> str:
    """The name before a page, "" for the first; 400 for a token that this server didn't make."""
    token = request.query.get("pageToken")
    if not token:
        return ""
    try:
        name = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        name = None
    if not isinstance(name, str):
        raise invalid("Invalid pageToken: use nextPageToken of the page before.", location="pageToken")
    return name
