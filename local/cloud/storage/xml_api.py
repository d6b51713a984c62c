"""The XML API as far as signed URLs and the client's transfer manager use it: `/BUCKET/OBJECT`.

Every request must carry a valid V4 signature. Two exceptions: a resumable session's URL is its own credential,
and XML multipart uploads come from the client library, which this server trusts as it does on the JSON API.
"""

from collections.abc import Iterator

from local.cloud.storage import downloads, multipart, resumable
from local.cloud.storage.errors import ApiError, forbidden, invalid, not_implemented
from local.cloud.storage.intake import hashes_of, store
from local.cloud.storage.preconditions import from_headers
from local.cloud.storage.service import Storage, delete_object
from local.cloud.storage.signing import is_signed, verify
from local.cloud.storage.wire import CHUNK, Body, Request, Response
from local.cloud.storage.xml_headers import draft_from_headers, object_headers


def handle(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    query = request.query
    if not is_signed(request):
        if "upload_id" in query:
            return _session(storage, request, bucket)
        if "uploads" in query or "uploadId" in query:
            return multipart.handle(storage, request, bucket, name)
        raise forbidden(
            "Anonymous caller does not have access to the Google Cloud Storage object."
            " Use a signed URL, or the JSON API."
        )
    verify(request, storage.data)
    if request.method in ("GET", "HEAD"):
        return _get(storage, request, bucket, name)
    if request.method == "PUT":
        return _put(storage, request, bucket, name)
    if request.method == "DELETE":
        delete_object(storage, bucket, name, request.integer("generation"), from_headers(request))
        return Response(204)
    if request.method == "POST" and request.header("x-goog-resumable") == "start":
        return _start(storage, request, bucket, name)
    raise not_implemented(f"{request.method} of the XML API")


def _session(storage: Storage, request: Request, bucket: str) -> Response:
    if request.method == "PUT":
        return resumable.put(storage, request, bucket)
    if request.method == "DELETE":
        return resumable.cancel(storage, request, bucket)
    raise invalid("An upload session takes PUT and DELETE.")


def _get(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    answer = downloads.media(storage, request, bucket, name, from_headers(request))
    for parameter, header in (
        ("response-content-type", "Content-Type"),
        ("response-content-disposition", "Content-Disposition"),
    ):
        if request.query.get(parameter):
            answer.headers[header] = request.query[parameter]
    return answer


def _put(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    if request.header("x-goog-copy-source"):
        raise not_implemented("Copying by the XML API")
    draft = draft_from_headers(request, bucket, name)
    stored = store(storage, draft, _within_range(request), hashes_of(request, {}))
    return Response(200, object_headers(stored))


def _start(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    draft = draft_from_headers(request, bucket, name)
    identity = resumable.start(
        storage, draft, {}, request.header("x-upload-content-length"), request.header("Origin")
    )
    return Response(201, {"Location": f"{request.origin}{request.raw_path}?upload_id={identity}"})


def _within_range(request: Request) -> Iterator[bytes]:
    """The body, refused as soon as it leaves the signed `x-goog-content-length-range: MIN,MAX`."""
    text = request.header("x-goog-content-length-range")
    body: Body = request.body
    if text is None:
        yield from body
        return
    low, _, high = text.partition(",")
    if not (low.strip().isdecimal() and high.strip().isdecimal()):
        raise invalid("x-goog-content-length-range must be MIN,MAX.")
    size = 0
    while data := body.read(CHUNK):
        size += len(data)
        if size > int(high):
            raise ApiError(
                400, "invalid", f"The upload is larger than {int(high)} bytes.", xml_code="EntityTooLarge"
            )
        yield data
    if size < int(low):
        raise ApiError(
            400, "invalid", f"The upload is smaller than {int(low)} bytes.", xml_code="EntityTooSmall"
        )
