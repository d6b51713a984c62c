"""Which handler serves which method and path. Paths are matched before decoding: `%2F` belongs to a name."""

import re
from collections.abc import Callable
from typing import Any

from local.cloud.storage import (
    batch,
    buckets,
    derive,
    downloads,
    listing,
    objects,
    resumable,
    uploads,
    xml_api,
)
from local.cloud.storage.errors import ApiError, not_implemented
from local.cloud.storage.service import Storage
from local.cloud.storage.wire import Request, Response, segment

Handler = Callable[..., Response]

_B = r"/storage/v1/b/(?P<bucket>[^/]+)"
_O = _B + r"/o/(?P<name>[^/]+)"
_TO = r"/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)"
_UPLOAD = r"/upload/storage/v1/b/(?P<bucket>[^/]+)/o"


def _get_or_download(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    handler = downloads.get if request.query.get("alt") == "media" else objects.get
    return handler(storage, request, bucket, name)


def _batch(storage: Storage, request: Request) -> Response:
    return batch.run(storage, request, dispatch)


_TABLE: list[tuple[str, dict[str, Handler]]] = [
    (r"/storage/v1/b", {"GET": buckets.list_all, "POST": buckets.insert}),
    (
        _B,
        {"GET": buckets.get, "PATCH": buckets.patch, "PUT": buckets.update, "DELETE": buckets.delete},
    ),
    (_B + r"/o", {"GET": listing.list_objects}),
    (
        _O,
        {"GET": _get_or_download, "PATCH": objects.patch, "PUT": objects.update, "DELETE": objects.delete},
    ),
    (_O + r"/compose", {"POST": derive.compose}),
    (_O + r"/copyTo" + _TO, {"POST": derive.copy}),
    (_O + r"/rewriteTo" + _TO, {"POST": derive.rewrite}),
    (_O + r"/moveTo/o/(?P<to_name>[^/]+)", {"POST": derive.move}),
    (_B + r"/notificationConfigs", {"GET": buckets.list_notifications, "POST": buckets.insert_notification}),
    (
        _B + r"/notificationConfigs/(?P<identity>[^/]+)",
        {"GET": buckets.get_notification, "DELETE": buckets.delete_notification},
    ),
    (_UPLOAD, {"POST": uploads.insert, "PUT": resumable.put, "DELETE": resumable.cancel}),
    (r"/download/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)", {"GET": downloads.get}),
    (r"/batch(?:/storage/v1)?", {"POST": _batch}),
]
_ROUTES = [(re.compile(pattern), handlers) for pattern, handlers in _TABLE]
_JSON_API = re.compile(r"/(?:storage/v1|upload/storage/v1|download/storage/v1|batch|_local)(?:/|$)")
_XML_OBJECT = re.compile(r"/(?P<bucket>[^/]+)/(?P<name>.+)")


def is_xml(request: Request) -> bool:
    """Whether a request is for the XML API, so that refusals are XML too."""
    return _JSON_API.match(request.raw_path) is None


def dispatch(storage: Storage, request: Request) -> Response:
    """Serve a request, or raise ApiError."""
    path = request.raw_path
    for pattern, handlers in _ROUTES:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        handler = handlers.get(request.method)
        if handler is None:
            raise ApiError(405, "methodNotAllowed", f"{path} takes {', '.join(sorted(handlers))}.")
        return handler(storage, request, **_decoded(match))
    if is_xml(request):
        match = _XML_OBJECT.fullmatch(path)
        if match is not None:
            return xml_api.handle(storage, request, **_decoded(match))
    raise not_implemented(f"{request.method} {path}")


def _decoded(match: "re.Match[str]") -> dict[str, Any]:
    return {name: segment(value) for name, value in match.groupdict().items()}
