"""The console's static files: kept in the lake, served with their bytes compressed once per instance.

    tools/publish_console.py ─► gs://assets/console/… ─► functions/console/{page,asset}

An instance keeps what it served. It looks for a newer generation at most every few seconds, so a
publication shows without a deployment.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass

from shared.platform import clock
from shared.platform.caches import Bounded, recent
from shared.platform.cloud import objects
from shared.platform.edge import Reply
from shared.platform.errors import NotFound

PREFIX = "console"
LOOK_AGAIN_SECONDS = 5.0
KEPT_BYTES = 32_000_000
WORTH_COMPRESSING = ("text/", "application/javascript", "application/json", "image/svg+xml")
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class _Asset:
    plain: bytes
    compressed: bytes | None
    content_type: str
    etag: str
    generation: int
    looked_at: float

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return len(self.plain) + len(self.compressed or b"")


_kept: Bounded[str, _Asset] = recent(KEPT_BYTES, lambda asset: asset.weight)


def page(accept_encoding: str) -> Reply:
    """The one HTML document; the script in it shows the page of the address."""
    return _reply(_asset("index.html"), accept_encoding)


def asset(name: str, accept_encoding: str) -> Reply:
    """A script, a style sheet or a picture; raises NotFound."""
    if name == "index.html":
        raise NotFound
    return _reply(_asset(name), accept_encoding)


def _reply(found: _Asset, accept_encoding: str) -> Reply:
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if found.content_type.startswith("text/html"):
        headers["Content-Security-Policy"] = PAGE_POLICY
    body = found.plain
    if found.compressed is not None and "gzip" in accept_encoding:
        headers["Content-Encoding"] = "gzip"
        body = found.compressed
    return Reply(body, headers=headers, media_type=found.content_type, etag=found.etag)


def _asset(name: str) -> _Asset:
    now = clock.monotonic()
    known = _kept.get(name)
    if known is not None and now - known.looked_at < LOOK_AGAIN_SECONDS:
        return known
    try:
        path = objects.safe_name(PREFIX, *name.split("/"))
    except ValueError:
        raise NotFound from None
    if known is not None:
        head = objects.head("assets", path)
        if head is not None and head.generation == known.generation:
            return _keep(name, _Asset(**{**vars(known), "looked_at": now}))
    data, stored = objects.get("assets", path)
    worth = stored.content_type.startswith(WORTH_COMPRESSING)
    return _keep(
        name,
        _Asset(
            plain=data,
            compressed=gzip.compress(data, 9, mtime=0) if worth else None,
            content_type=stored.content_type,
            etag=f'"{stored.generation}"',
            generation=stored.generation,
            looked_at=now,
        ),
    )


def _keep(name: str, found: _Asset) -> _Asset:
    _kept.put(name, found)
    return found
