"""Object bytes: whole or a range (a client goes on so where a connection broke), of any generation."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from local.cloud.storage.errors import range_not_satisfiable
from local.cloud.storage.files import chunks_of
from local.cloud.storage.model import StoredObject
from local.cloud.storage.service import Storage, open_object
from local.cloud.storage.wire import HttpRequest, Response

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def get(storage: Storage, request: HttpRequest, bucket: str, name: str) -> Response:
    """The bytes with the headers that clients check: generation, hashes and stored length."""
    found, stream = open_object(storage, bucket, name, request.integer("generation"))
    headers = _headers(found)
    size = found.content.size
    span = _span(request, size)
    if span is None:
        return Response(200, headers, _close_after(stream, 0, size), size)
    start, end = span
    if start >= size:
        stream.close()
        raise range_not_satisfiable(size)
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    length = end - start + 1
    return Response(206, headers, _close_after(stream, start, length), length)


def _headers(found: StoredObject) -> dict[str, str]:
    config, content = found.config, found.content
    hashes = f"crc32c={content.crc32c}" + (f",md5={content.md5}" if content.md5 else "")
    headers = {
        "Content-Type": config.get("contentType") or "application/octet-stream",
        "ETag": found.etag,
        "Accept-Ranges": "bytes",
        "X-Goog-Generation": str(found.generation),
        "X-Goog-Metageneration": str(found.metageneration),
        "X-Goog-Hash": hashes,
        "X-Goog-Storage-Class": config["storageClass"],
        "X-Goog-Stored-Content-Encoding": "identity",
        "X-Goog-Stored-Content-Length": str(content.size),
    }
    if found.component_count is not None:
        headers["X-Goog-Component-Count"] = str(found.component_count)
    if config.get("cacheControl"):
        headers["Cache-Control"] = str(config["cacheControl"])
    for key, value in (config.get("metadata") or {}).items():
        headers[f"X-Goog-Meta-{key}"] = str(value)
    return headers


def _span(request: HttpRequest, size: int) -> tuple[int, int] | None:
    """First and last byte asked for, cut to the object; None for all of it or a header that is not one range."""
    match = _RANGE.fullmatch((request.header("Range") or "").strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        length = min(int(last), size)
        return (size - length, size - 1) if length else (size, size)
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1


def _close_after(stream: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    with stream:
        yield from chunks_of(stream, start, length)
