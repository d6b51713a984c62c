"""CORS for browsers that use signed URLs and upload sessions.

The bucket's `cors` rules answer for the XML API. An upload session answers to the origin that opened it. The
other JSON endpoints send no CORS headers: no page may drive an unauthenticated server on the loopback.
"""

import re
from urllib.parse import unquote

from local.cloud.storage.errors import ApiError
from local.cloud.storage.service import Storage, get_bucket
from local.cloud.storage.wire import Request, Response

_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o")


def preflight(storage: Storage, request: Request) -> Response:
    """200 always; whether the browser may go on is in the headers, or in their absence."""
    method = request.header("Access-Control-Request-Method") or ""
    return Response(200, _headers(storage, request, method, preflight=True))


def headers(storage: Storage, request: Request) -> dict[str, str]:
    """What to add to the answer of an actual request."""
    if request.header("Origin") is None:
        return {}
    return _headers(storage, request, request.method, preflight=False)


def _headers(storage: Storage, request: Request, method: str, *, preflight: bool) -> dict[str, str]:
    origin = request.header("Origin")
    if origin is None:
        return {}
    session = _session_origin(storage, request)
    if session is not None:
        rule = {
            "origin": [session],
            "method": ["PUT", "DELETE"],
            "responseHeader": ["Content-Type", "Content-Range"],
        }
        rules = [rule]
    else:
        rules = _bucket_rules(storage, request)
    for rule in rules:
        origins = rule.get("origin") or []
        methods = rule.get("method") or []
        if {method, "*"} & set(methods) and {origin, "*"} & set(origins):
            return _allow(rule, "*" if "*" in origins else origin, preflight=preflight)
    return {}


def _allow(rule: dict[str, list[str]], origin: str, *, preflight: bool) -> dict[str, str]:
    exposed = ", ".join(rule.get("responseHeader") or [])
    answer = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if not preflight:
        return answer | ({"Access-Control-Expose-Headers": exposed} if exposed else {})
    answer["Access-Control-Allow-Methods"] = ", ".join(rule.get("method") or [])
    answer["Access-Control-Max-Age"] = str(rule.get("maxAgeSeconds", 3600))
    return answer | ({"Access-Control-Allow-Headers": exposed} if exposed else {})


def _session_origin(storage: Storage, request: Request) -> str | None:
    identity = request.query.get("upload_id")
    if identity is None:
        return None
    with storage.database.read() as db:
        row = db.execute("SELECT origin FROM uploads WHERE id = ?", (identity,)).fetchone()
    return None if row is None else row["origin"]


def _bucket_rules(storage: Storage, request: Request) -> list[dict[str, list[str]]]:
    path = request.raw_path
    if path.startswith(("/storage/", "/download/", "/batch/", "/_local/")) or _UPLOAD.match(path):
        return []
    bucket = unquote(path[1:].split("/", 1)[0])
    try:
        with storage.database.read() as db:
            return list(get_bucket(db, bucket).config.get("cors") or [])
    except ApiError:
        return []
