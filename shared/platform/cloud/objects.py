"""Cloud Storage: documents, messages, snapshots, credentials. Names are built here from validated ids.

An object is created with `if_generation_match=0` or replaced by compare-and-swap on the generation that
was read, so a repeated or late writer finds out instead of overwriting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from shared.platform import deadline
from shared.platform.errors import NotFound, PreconditionFailed, Unavailable
from shared.platform.settings import settings
from shared.platform.telemetry import context as telemetry

SILENCE_SECONDS = 10
"""Between two bytes."""
TIMEOUT_SECONDS = 20
"""For an operation with its repetitions; the body of an object may take longer while it flows."""
TRACEPARENT = "traceparent"
"""The metadata by which an object's event finds the request that wrote it."""
ABSENT = 0
"""Pass as `if_generation` to create an object that must not exist."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@=+-]*(/[A-Za-z0-9_][A-Za-z0-9._@=+-]*)*\Z")


@dataclass(frozen=True)
class Stored:
    """What is known of an object without its bytes."""

    bucket: str
    name: str
    generation: int
    metageneration: int
    size: int
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    written_at: datetime | None = None
    """When this generation was created; a download does not carry it."""

    @property
    def uri(self) -> str:
        """The gs:// pointer that a directory row keeps."""
        return f"gs://{self.bucket}/{self.name}"


def uri(role: str, name: str) -> str:
    """The pointer of an object in the bucket of this role."""
    return f"gs://{settings().bucket(role)}/{name}"


def put(
    role: str,
    name: str,
    data: bytes,
    *,
    content_type: str = "application/octet-stream",
    if_generation: int | None = None,
    metadata: Mapping[str, str] | None = None,
    cache_control: str | None = None,
) -> Stored:
    """Write an object whole. Raises PreconditionFailed when `if_generation` is not the current one."""
    blob = _blob(role, name)
    blob.metadata = {**(metadata or {}), **_caused()}
    blob.cache_control = cache_control
    with _translated(name):
        blob.upload_from_string(
            data,
            content_type=content_type,
            if_generation_match=if_generation,
            **_patience(),
            checksum="crc32c",
        )
    return _stored(blob)


def put_once(role: str, name: str, data: bytes, **options: Any) -> Stored:
    """Create an object, or find the one that an earlier attempt created."""
    try:
        return put(role, name, data, if_generation=ABSENT, **options)
    except PreconditionFailed:
        found = head(role, name)
        if found is None:
            raise Unavailable(f"{name} vanished while it was being created.") from None
        return found


def get(role: str, name: str, *, generation: int | None = None) -> tuple[bytes, Stored]:
    """The bytes and what is known of them; raises NotFound."""
    blob = _blob(role, name, generation)
    with _translated(name):
        data: bytes = blob.download_as_bytes(**_patience(), raw_download=True)
    return data, _stored(blob)


def find(role: str, name: str, *, generation: int | None = None) -> tuple[bytes, Stored] | None:
    """Like get, None where there is no such object."""
    try:
        return get(role, name, generation=generation)
    except NotFound:
        return None


def head(role: str, name: str) -> Stored | None:
    """What is known of an object, or None."""
    blob = _blob(role, name)
    try:
        with _translated(name):
            blob.reload(**_patience())
    except NotFound:
        return None
    return _stored(blob)


def delete(role: str, name: str, *, if_generation: int | None = None) -> bool:
    """Remove an object; False when it was not there."""
    try:
        with _translated(name):
            _blob(role, name).delete(if_generation_match=if_generation, **_patience())
    except NotFound:
        return False
    return True


def compose(
    role: str,
    name: str,
    sources: list[str],
    *,
    if_generation: int | None,
    content_type: str,
    metadata: Mapping[str, str] | None = None,
) -> Stored:
    """Concatenate objects on the server's side (at most 32)."""
    blob = _blob(role, name)
    blob.content_type = content_type
    blob.metadata = dict(metadata) if metadata else None
    with _translated(name):
        blob.compose(
            [_blob(role, source) for source in sources],
            if_generation_match=if_generation,
            **_patience(repeat=if_generation is not None),
        )
    return _stored(blob)


def listing(role: str, prefix: str) -> Iterator[Stored]:
    """Every object under a prefix, in name order."""
    with _translated(prefix):
        for blob in _client().list_blobs(settings().bucket(role), prefix=prefix, **_patience()):
            yield _stored(blob)


def page(role: str, *, after: str, limit: int, prefix: str = "") -> list[Stored]:
    """At most so many objects whose names come after this one, in name order."""
    with _translated(after):
        # The listing begins with the offset itself, which the caller has seen.
        listed = _client().list_blobs(
            settings().bucket(role),
            prefix=prefix or None,
            start_offset=after or None,
            max_results=limit + 1,
            **_patience(),
        )
        return [_stored(blob) for blob in listed if blob.name != after][:limit]


def safe_name(*parts: str) -> str:
    """Join ids into an object name; raises ValueError for a part that could climb or confuse."""
    name = "/".join(parts)
    if not _NAME.match(name) or ".." in name or len(name) > 900:
        raise ValueError(f"{name[:80]!r} is not a valid object name")
    return name


def _patience(*, repeat: bool = True) -> dict[str, Any]:
    """The client's own policy of what to repeat, but not for its two minutes."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    seconds = deadline.within(TIMEOUT_SECONDS)
    again = DEFAULT_RETRY.with_delay(initial=0.2, maximum=5.0).with_timeout(seconds) if repeat else None
    return {"timeout": min(SILENCE_SECONDS, seconds), "retry": again}


def _caused() -> dict[str, str]:
    return {TRACEPARENT: telemetry.traceparent()} if telemetry.context().trace_id else {}


def _blob(role: str, name: str, generation: int | None = None) -> Any:
    return _client().bucket(settings().bucket(role)).blob(safe_name(name), generation=generation)


def _stored(blob: Any) -> Stored:
    return Stored(
        bucket=blob.bucket.name,
        name=blob.name,
        generation=int(blob.generation or 0),
        metageneration=int(blob.metageneration or 0),
        size=int(blob.size or 0),
        content_type=blob.content_type or "",
        metadata=dict(blob.metadata or {}),
        written_at=blob.time_created,
    )


@contextmanager
def _translated(name: str) -> Iterator[None]:
    from google.api_core import exceptions
    from requests import RequestException

    try:
        yield
    except exceptions.NotFound as error:
        raise NotFound from error
    except exceptions.PreconditionFailed as error:
        raise PreconditionFailed(reason=f"{name} has another generation") from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError, RequestException) as error:
        raise Unavailable("Cloud Storage is not reachable.") from error


@lru_cache(maxsize=1)
def _client() -> Any:
    from google.cloud import storage

    config = settings()
    if config.storage_emulator is None:
        return storage.Client(project=config.project)
    from google.auth.credentials import AnonymousCredentials

    return storage.Client(project=config.project, credentials=AnonymousCredentials())
