"""Object bytes: whole or a range, of any generation, decompressed for clients that don't take gzip."""

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from local.cloud.storage.errors import not_implemented, range_not_satisfiable
from local.cloud.storage.files import chunks_of
from local.cloud.storage.model import StoredObject
from local.cloud.storage.preconditions import Conditions, from_query
from local.cloud.storage.service import Storage, open_object
from local.cloud.storage.wire import Request, Response

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def get(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    return media(storage, request, bucket, name, from_query(request))


def media(storage: Storage, request: Request, bucket: str, name: str, conditions: Conditions) -> Response:
    """The bytes with the headers that clients check: generation, hashes, stored length and encoding."""
    if request.header("X-Goog-Encryption-Algorithm"):
        raise not_implemented("Customer-supplied encryption keys")
    found, stream = open_object(storage, bucket, name, request.integer("generation"), conditions)
    headers = _headers(found)
    if _must_decompress(request, found):
        # The service ignores ranges here and can't know the length of what it sends.
        headers.pop("Content-Encoding")
        headers["Warning"] = "214 UploadServer gunzipped"
        return Response(200, headers, _gunzip(stream))
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
        "X-Goog-Stored-Content-Encoding": config.get("contentEncoding") or "identity",
        "X-Goog-Stored-Content-Length": str(content.size),
        "Vary": "Accept-Encoding",
    }
    if found.component_count is not None:
        headers["X-Goog-Component-Count"] = str(found.component_count)
    for field, header in (
        ("contentEncoding", "Content-Encoding"),
        ("contentDisposition", "Content-Disposition"),
        ("contentLanguage", "Content-Language"),
        ("cacheControl", "Cache-Control"),
    ):
        if config.get(field):
            headers[header] = str(config[field])
    for key, value in (config.get("metadata") or {}).items():
        headers[f"X-Goog-Meta-{key}"] = str(value)
    return headers


def _must_decompress(request: Request, found: StoredObject) -> bool:
    """Decompressive transcoding (cloud.google.com/storage/docs/transcoding)."""
    if found.config.get("contentEncoding") != "gzip":
        return False
    if "no-transform" in str(found.config.get("cacheControl") or ""):
        return False
    accepted = (request.header("Accept-Encoding") or "").lower()
    return "gzip" not in accepted and "*" not in accepted


def _span(request: Request, size: int) -> tuple[int, int] | None:
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


def _gunzip(stream: BinaryIO) -> Iterator[bytes]:
    """The decompressed bytes of one or more gzip members."""
    with stream:
        decoder = zlib.decompressobj(wbits=31)
        for chunk in chunks_of(stream):
            while chunk:
                if data := decoder.decompress(chunk):
                    yield data
                chunk = decoder.unused_data
                if decoder.eof:
                    decoder = zlib.decompressobj(wbits=31)
        if data := decoder.flush():
            yield data
