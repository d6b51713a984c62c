"""Which handler serves which method and path, and what it may be asked; the rest is refused by name.

Paths are matched before decoding: `%2F` belongs to a name. A parameter or a header that would change what a call
does, and that nobody here obeys, is refused as well: a test that passes must mean the same in the cloud.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from local.cloud.storage import buckets, compose, downloads, listing, objects, resumable, uploads
from local.cloud.storage.errors import not_implemented
from local.cloud.storage.service import Storage
from local.cloud.storage.wire import HttpRequest, Response, segment

Handler = Callable[..., Response]

_B = r"/storage/v1/b/(?P<bucket>[^/]+)"
_O = _B + r"/o/(?P<name>[^/]+)"
_UPLOAD = r"/upload/storage/v1/b/(?P<bucket>[^/]+)/o"
_HARMLESS = frozenset(
    {"alt", "fields", "key", "prettyPrint", "project", "projection", "quotaUser", "userProject"}
)
_UNKNOWN_HEADERS = (
    "If-Match", "If-None-Match", "X-Goog-Encryption-Algorithm", "X-Goog-Copy-Source-Encryption-Algorithm",
)  # fmt: skip


class Call(NamedTuple):
    """A handler and the query parameters that it obeys."""

    handler: Handler
    parameters: frozenset[str] = frozenset()


def _call(handler: Handler, *parameters: str) -> Call:
    return Call(handler, frozenset(parameters))


def _get_or_download(storage: Storage, request: HttpRequest, bucket: str, name: str) -> Response:
    handler = downloads.get if request.query.get("alt") == "media" else objects.get
    return handler(storage, request, bucket, name)


_TABLE: list[tuple[str, dict[str, Call]]] = [
    (r"/storage/v1/b", {"POST": _call(buckets.insert)}),
    (_B, {"GET": _call(buckets.get)}),
    (
        _B + r"/o",
        {"GET": _call(listing.list_objects, "prefix", "startOffset", "maxResults", "pageToken")},
    ),
    (
        _O,
        {
            "GET": _call(_get_or_download, "generation"),
            "DELETE": _call(objects.delete, "generation", "ifGenerationMatch"),
        },
    ),
    (_O + r"/compose", {"POST": _call(compose.compose, "ifGenerationMatch")}),
    (
        _UPLOAD,
        {
            "POST": _call(uploads.insert, "uploadType", "name", "ifGenerationMatch"),
            "PUT": _call(resumable.put, "uploadType", "name", "upload_id", "ifGenerationMatch"),
        },
    ),
    (
        r"/download/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)",
        {"GET": _call(downloads.get, "generation")},
    ),
]
_ROUTES = [(re.compile(pattern), calls) for pattern, calls in _TABLE]


def dispatch(storage: Storage, request: HttpRequest) -> Response:
    """Serve a request, or raise ApiError."""
    path = request.raw_path
    for pattern, calls in _ROUTES:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        call = calls.get(request.method)
        if call is None:
            break
        _refuse_unknown(request, call)
        return call.handler(storage, request, **_decoded(match))
    raise not_implemented(f"{request.method} {path}")


def _refuse_unknown(request: HttpRequest, call: Call) -> None:
    for name, value in request.query_pairs:
        if value and name not in call.parameters | _HARMLESS:
            raise not_implemented(f"The parameter {name} of {request.method} {request.raw_path}")
    for header in _UNKNOWN_HEADERS:
        if request.header(header):
            raise not_implemented(f"The header {header}")


def _decoded(match: "re.Match[str]") -> dict[str, Any]:
    return {name: segment(value) for name, value in match.groupdict().items()}
