"""Uploads in one request: `uploadType=media` (bytes only) and `uploadType=multipart` (resource, then bytes)."""

from collections.abc import Iterator
from email.message import Message

from local.cloud.storage import objects, resumable
from local.cloud.storage.errors import invalid, not_implemented
from local.cloud.storage.intake import draft_of, hashes_of, store
from local.cloud.storage.service import Storage
from local.cloud.storage.wire import CHUNK, Body, HttpRequest, Response, parse_json

_MAX_HEAD = 8 * 1024 * 1024


def insert(storage: Storage, request: HttpRequest, bucket: str) -> Response:
    kind = request.query.get("uploadType", "")
    if kind == "media":
        return _media(storage, request, bucket)
    if kind == "multipart":
        return _multipart(storage, request, bucket)
    if kind == "resumable":
        return resumable.start(storage, request, bucket)
    raise not_implemented(f"The upload type {kind!r}")


def _media(storage: Storage, request: HttpRequest, bucket: str) -> Response:
    draft = draft_of(request, bucket, {}, request.header("Content-Type"))
    return objects.answer(request, store(storage, draft, iter(request.body), hashes_of(request, {})))


def _multipart(storage: Storage, request: HttpRequest, bucket: str) -> Response:
    parts = _Related(request)
    document = parse_json(parts.resource())
    media_type = parts.next_head().get("Content-Type")
    draft = draft_of(request, bucket, document, media_type)
    return objects.answer(request, store(storage, draft, parts.media(), hashes_of(request, document)))


class _Related:
    """A multipart/related body, read once from front to back: a JSON part, then a media part that streams."""

    def __init__(self, request: HttpRequest):
        boundary = request.headers.get_param("boundary")
        if request.headers.get_content_maintype() != "multipart" or not isinstance(boundary, str):
            raise invalid("A multipart upload needs Content-Type: multipart/related with a boundary.")
        self._body: Body = request.body
        self._buffer = b""
        # A delimiter begins with the line break before it; the first one may open the body without it.
        self._delimiter = b"\r\n--" + boundary.encode()
        self._buffer = b"\r\n"
        self._until(self._delimiter)

    def resource(self) -> bytes:
        self.next_head()
        return self._until(self._delimiter)

    def next_head(self) -> Message:
        """The header of the part that begins here."""
        self._until(b"\r\n")
        message = Message()
        while line := self._until(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            message[name.strip()] = value.strip()
        return message

    def media(self) -> Iterator[bytes]:
        keep = len(self._delimiter) - 1
        while (end := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > keep:
                yield self._buffer[: len(self._buffer) - keep]
                self._buffer = self._buffer[-keep:]
            self._fill()
        if end:
            yield self._buffer[:end]
        self._buffer = b""
        while self._body.read(CHUNK):
            pass

    def _until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _MAX_HEAD:
                raise invalid("The resource part of the multipart upload is too large.")
            self._fill()
        found, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return found

    def _fill(self) -> None:
        data = self._body.read(CHUNK)
        if not data:
            raise invalid("The multipart upload ends without its closing boundary.")
        self._buffer += data
