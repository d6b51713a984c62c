"""Batch requests: up to 1000 metadata calls in one multipart/mixed body, each served on its own."""

import io
import logging
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from http import HTTPStatus
from urllib.parse import urlsplit
from uuid import uuid4

from local.cloud.storage.errors import ApiError, invalid
from local.cloud.storage.service import Storage
from local.cloud.storage.wire import Body, Request, Response

_LOG = logging.getLogger(__name__)
_MOST_CALLS = 1000
_MAX_BODY = 64 * 1024 * 1024


def run(storage: Storage, request: Request, dispatch: Callable[[Storage, Request], Response]) -> Response:
    """Answer every call in order; one that fails doesn't stop the others."""
    content_type = request.header("Content-Type") or ""
    body = request.body.read_all(_MAX_BODY)
    envelope = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if envelope.get_content_type() != "multipart/mixed" or not envelope.is_multipart():
        raise invalid("A batch needs Content-Type: multipart/mixed with at least one part.")
    calls = [part for part in envelope.get_payload() if isinstance(part, Message)]
    if len(calls) > _MOST_CALLS:
        raise invalid(f"A batch holds at most {_MOST_CALLS} calls; this one has {len(calls)}.")
    boundary = f"batch_{uuid4().hex}"
    out = io.BytesIO()
    for call in calls:
        out.write(f"--{boundary}\r\nContent-Type: application/http\r\n".encode())
        if call["Content-ID"]:
            out.write(f"Content-ID: <response-{call['Content-ID'].strip('<>')}>\r\n".encode())
        out.write(b"\r\n" + _serve(storage, request, call, dispatch) + b"\r\n")
    out.write(f"--{boundary}--\r\n".encode())
    return Response(200, {"Content-Type": f'multipart/mixed; boundary="{boundary}"'}, out.getvalue())


def _serve(
    storage: Storage, outer: Request, call: Message, dispatch: Callable[[Storage, Request], Response]
) -> bytes:
    try:
        inner = _parse(outer, call)
        if "alt=media" in inner.target or urlsplit(inner.target).path.startswith(
            ("/upload/", "/download/", "/batch")
        ):
            raise invalid("A batch can't upload or download media, or hold another batch.")
        answer = dispatch(storage, inner)
    except ApiError as error:
        answer = Response(
            error.status, {"Content-Type": "application/json; charset=UTF-8"}, error.json_body()
        )
    except Exception:
        _LOG.exception("a call of a batch failed")
        failed = ApiError(500, "internalError", "Internal error: see the storage server's log.")
        answer = Response(500, {"Content-Type": "application/json; charset=UTF-8"}, failed.json_body())
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    head = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _parse(outer: Request, call: Message) -> Request:
    """The call as a request; it inherits the outer Host, as its own URL may be absolute."""
    payload = call.get_payload(decode=True)
    if not isinstance(payload, bytes):
        raise invalid("A part of the batch is not application/http.")
    first, _, rest = payload.lstrip(b"\r\n").replace(b"\r\n", b"\n").partition(b"\n")
    words = first.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise invalid(f"A part of the batch doesn't begin with a request line: {first[:60]!r}.")
    head, _, body = rest.partition(b"\n\n") if not rest.startswith(b"\n") else (b"", b"", rest[1:])
    headers = Message()
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    if "Host" not in headers:
        headers["Host"] = outer.header("Host") or "127.0.0.1"
    parts = urlsplit(words[1])
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return Request(words[0], target, headers, Body(io.BytesIO(body), len(body)))
