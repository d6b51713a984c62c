"""HTTP requests and answers as plain values, so that handlers know nothing of sockets.

Bodies stream in both directions: a large object is never held in memory.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from local.cloud.storage.errors import ApiError, invalid

CHUNK = 256 * 1024
_MAX_JSON = 8 * 1024 * 1024
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")


class BrokenBody(Exception):
    """The client went away, or broke the framing, before its body was complete."""


class Readable(Protocol):
    """What a body reads from: a socket's file, or bytes in memory."""

    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


class Body:
    """A request body, framed by Content-Length or by chunked transfer coding."""

    def __init__(self, stream: Readable, length: int | None, chunked: bool = False):
        self._stream = stream
        self._left = length or 0
        self._chunked = chunked
        self._ended = not chunked and not length

    def read(self, limit: int) -> bytes:
        """Up to `limit` bytes; empty at the end; BrokenBody when the client goes away."""
        if self._ended:
            return b""
        if self._chunked and self._left == 0 and not self._next_chunk():
            return b""
        data = self._stream.read(min(limit, self._left))
        if not data:
            raise BrokenBody
        self._left -= len(data)
        if self._left == 0:
            if self._chunked:
                self._stream.readline(8)
            else:
                self._ended = True
        return data

    def _next_chunk(self) -> bool:
        size = self._stream.readline(64).split(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(size):
            raise BrokenBody
        self._left = int(size, 16)
        if self._left == 0:
            while self._stream.readline(1024).strip():
                pass
            self._ended = True
        return not self._ended

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(CHUNK):
            yield data

    def read_all(self, limit: int = _MAX_JSON) -> bytes:
        """The whole body, for documents; larger than `limit` is refused."""
        parts, size = [], 0
        while data := self.read(CHUNK):
            size += len(data)
            if size > limit:
                raise ApiError(413, "uploadTooLarge", f"The request body is larger than {limit} bytes.")
            parts.append(data)
        return b"".join(parts)

    def drain(self, limit: int) -> bool:
        """Read and forget what is left, so that the connection can be kept; False when it is too much."""
        while limit > 0:
            data = self.read(CHUNK)
            if not data:
                return True
            limit -= len(data)
        return self._ended


@dataclass(slots=True)
class Response:
    """`body` is bytes, or an iterable of chunks: with `length` if it is known, else sent chunked."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None


@dataclass(frozen=True)
class HttpRequest:
    """`target` is the raw request target; `headers` is read without regard to case."""

    method: str
    target: str
    headers: Message
    body: Body

    @cached_property
    def raw_path(self) -> str:
        return urlsplit(self.target).path

    @cached_property
    def query_pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(self.query_pairs)

    @property
    def origin(self) -> str:
        """Scheme and authority under which the client reached this server."""
        return f"http://{self.headers.get('Host', '127.0.0.1')}"

    def header(self, name: str) -> str | None:
        value = self.headers.get(name)
        return None if value is None else str(value)

    def flag(self, name: str) -> bool:
        return self.query.get(name, "false").lower() == "true"

    def integer(self, name: str) -> int | None:
        """A query parameter that is a whole number, or None when absent."""
        text = self.query.get(name)
        if text is None or text == "":
            return None
        return whole_number(text, name)

    def json(self) -> dict[str, Any]:
        return parse_json(self.body.read_all())


def whole_number(value: object, name: str) -> int:
    """A number of 64 bits, as the JSON API writes them: as a string, or as it is; 400 for anything else."""
    text = str(value)
    if isinstance(value, bool | float) or not _WHOLE.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise invalid(f"{name} must be a whole number, not {text[:40]!r}.", location=name)
    return int(text)


def parse_json(data: bytes) -> dict[str, Any]:
    """A JSON object, `{}` for an empty body; 400 for anything else, also for half of a surrogate pair."""
    if not data.strip():
        return {}
    try:
        document = json.loads(data)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "parseError", f"Parse Error: the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ApiError(400, "parseError", "Parse Error: the body must be a JSON object.")
    return document


def json_response(document: Mapping[str, Any], status: int = 200, **headers: str) -> Response:
    merged = {"Content-Type": "application/json; charset=UTF-8", **headers}
    return Response(status, merged, json.dumps(document).encode())


def segment(text: str) -> str:
    """A path segment as text; 400 when it is not UTF-8."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise invalid("Names must be valid UTF-8.") from error
