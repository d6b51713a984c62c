"""`fetch`: the only outgoing HTTP to addresses that people give.

    url ─► one reading ─► every address checked ─► exchange ─► redirect? the same again, credentials dropped
                                                           └─► type, size after decompression, time: bounded

    answer = fetch("https://example.com/data.csv", Rules(media_types=("text/csv",), max_bytes=1 << 20))

Nothing is kept between calls: no connection, no cookie, no cache.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from urllib3.response import BaseHTTPResponse

from shared.platform.fetch import targets, wire
from shared.platform.fetch.errors import RemoteAnswerRefused
from shared.platform.settings import settings
from shared.platform.text import numerals

Method = Literal["GET", "HEAD", "POST"]

_REDIRECTS = (301, 302, 303, 307, 308)
_PACKED = ("gzip", "x-gzip", "deflate")
_ENCODINGS = ("", "identity", *_PACKED)
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_PIECE = 64 * 1024
# Beyond the first origin nothing goes that could be a secret; all that is known to be none may.
_HARMLESS = (
    "accept", "accept-encoding", "accept-language", "content-type", "if-modified-since", "if-none-match",
    "user-agent",
)  # fmt: skip
_OURS = (
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "te",
    "upgrade",
    "expect",
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[\x20-\x7e]*\Z")
_DIGITS = re.compile(r"[0-9]+\Z")


@dataclass(frozen=True)
class Rules:
    """What an answer may be. The narrower, the better."""

    media_types: tuple[str, ...]
    """Accepted types of a successful answer, without parameters; empty accepts any."""
    max_bytes: int = 1 << 20
    """Most bytes of the body, after decompression."""
    seconds: float = 10.0
    """For everything: names, connections, redirects, the last byte."""
    redirects: int = 3
    schemes: tuple[str, ...] = ("https", "http")
    ports: tuple[int, ...] = (80, 443)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    url: str
    """Where it came from, after redirects."""
    status: int
    headers: Mapping[str, str]
    """By lower-case names; of a repeated one all values, joined by commas."""
    media_type: str
    body: bytes


def fetch(
    url: str,
    rules: Rules,
    *,
    method: Method = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    network: wire.Network | None = None,
) -> Answer:
    """Ask an address that a person gave. Any status is an answer; what is refused is raised.

    Raises AddressNotAllowed, RemoteUnreachable, RemoteAnswerRefused or DeadlineExceeded.
    """
    world = network or wire.Network(loopback=settings().fetch_loopback)
    sent = _given(headers or {})
    verb: str = method
    target = targets.parse(url, schemes=rules.schemes, ports=rules.ports)
    with wire.Deadline(rules.seconds) as deadline:
        for _ in range(rules.redirects + 1):
            addresses = wire.checked(target, world, deadline)
            with wire.exchange(
                target, addresses, method=verb, headers=sent, body=body, network=world, deadline=deadline
            ) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    return _read(target, verb, response, rules, deadline)
                status = response.status
            found = targets.follow(target, location, schemes=rules.schemes, ports=rules.ports)
            if status == 303 or (status in (301, 302) and verb == "POST"):
                verb, body = ("HEAD" if verb == "HEAD" else "GET"), None
                sent.pop("content-type", None)
            if found.origin != target.origin:
                if body is not None:
                    raise RemoteAnswerRefused(
                        f"{target.host} redirects what was sent to {found.host}.",
                        field="url",
                        reason="redirect",
                    )
                sent = {name: value for name, value in sent.items() if name in _HARMLESS}
            target = found
    raise RemoteAnswerRefused(
        f"The address redirects more than {rules.redirects} times.", field="url", reason="redirects"
    )


def _given(headers: Mapping[str, str]) -> dict[str, str]:
    """The caller's headers by lower-case names; a mistake there is ours, not the person's."""
    sent = {"user-agent": "Bridge/1", "accept-encoding": "gzip"}
    for name, value in headers.items():
        if not _NAME.match(name) or name.lower() in _OURS or not _VALUE.match(value):
            raise ValueError(f"the header {name!r} can't be sent")
        sent[name.lower()] = value
    return sent


def _read(
    target: targets.Target, verb: str, response: BaseHTTPResponse, rules: Rules, deadline: wire.Deadline
) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    empty = verb == "HEAD" or response.status in (204, 304)
    if (
        200 <= response.status < 300
        and not empty
        and rules.media_types
        and media_type not in rules.media_types
    ):
        raise RemoteAnswerRefused(
            f"{target.host} answered {media_type or 'no media type'}; wanted is {' or '.join(rules.media_types)}.",
            field="url",
            reason="media type",
        )
    body = b"" if empty else _body(target, response, rules.max_bytes)
    deadline.remaining()  # A connection that was cut can look like one that ended.
    return Answer(target.url, response.status, headers, media_type, body)


def _body(target: targets.Target, response: BaseHTTPResponse, most: int) -> bytes:
    """The body, unpacked piece by piece: a bomb is put down after `most` bytes, not after it went off."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise RemoteAnswerRefused(
            f"{target.host} answered in the encoding {encoding[:40]!r}, which was not asked for.",
            field="url",
            reason="encoding",
        )
    length = response.headers.get("Content-Length", "").strip()
    if _DIGITS.match(length) and numerals.whole(length, most) is None:
        raise _too_large(target, most)
    pieces, size = [], 0
    for piece in _unpacked(target, response, most) if encoding in _PACKED else _raw(response):
        size += len(piece)
        if size > most:
            raise _too_large(target, most)
        pieces.append(piece)
    return b"".join(pieces)


def _raw(response: BaseHTTPResponse) -> Iterator[bytes]:
    while piece := response.read(_PIECE, decode_content=False):
        yield piece


def _unpacked(target: targets.Target, response: BaseHTTPResponse, most: int) -> Iterator[bytes]:
    """What the pieces unpack to, each at most one byte more than is allowed in all.

    By hand, since libraries take an archive that breaks off for one that ends.
    """
    unpacker, begun = zlib.decompressobj(_GZIP_OR_ZLIB), False
    try:
        for packed in _raw(response):
            while packed:
                if unpacker.eof:  # Another member follows.
                    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
                begun = True
                yield unpacker.decompress(packed, most + 1)
                packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    except zlib.error:
        raise _broken(target) from None
    if begun and not unpacker.eof:
        raise _broken(target)


def _broken(target: targets.Target) -> RemoteAnswerRefused:
    return RemoteAnswerRefused(
        f"{target.host} answered an archive that can't be unpacked.", field="url", reason="encoding"
    )


def _too_large(target: targets.Target, most: int) -> RemoteAnswerRefused:
    return RemoteAnswerRefused(
        f"{target.host} answered more than {most:,} bytes.", field="url", reason="too large"
    )
