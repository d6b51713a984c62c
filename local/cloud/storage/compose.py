"""Objects made from objects, on the server's side."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO

from local.cloud.storage import objects
from local.cloud.storage.errors import invalid, not_implemented
from local.cloud.storage.files import Content, chunks_of
from local.cloud.storage.model import StoredObject, settings_of
from local.cloud.storage.names import check_object_name
from local.cloud.storage.service import Draft, Storage, check_draft, open_object, publish_content
from local.cloud.storage.wire import HttpRequest, Response, whole_number

_MOST_SOURCES = 32


def compose(storage: Storage, request: HttpRequest, bucket: str, name: str) -> Response:
    """Join up to 32 objects of a bucket; the target may be among the sources."""
    document = request.json()
    sources = document.get("sourceObjects")
    if not isinstance(sources, list) or not 1 <= len(sources) <= _MOST_SOURCES:
        raise invalid(
            f"The number of source components must be 1 to {_MOST_SOURCES}.", location="sourceObjects"
        )
    config = settings_of(document.get("destination") or {})
    with ExitStack() as opened:
        found: list[StoredObject] = []
        streams: list[BinaryIO] = []
        for source in sources:
            stored, stream = _open_source(storage, bucket, source)
            streams.append(opened.enter_context(stream))
            found.append(stored)
        if "contentType" not in config and "contentType" in found[0].config:
            config["contentType"] = found[0].config["contentType"]
        parts = sum(stored.component_count or 1 for stored in found)
        draft = Draft(bucket, check_object_name(name), config, request.integer("ifGenerationMatch"), parts)
        with storage.database.read() as db:
            check_draft(db, draft)
        whole = storage.files.write(_joined(streams))
    # The service knows no MD5 of composed objects.
    content = Content(whole.blob, whole.size, None, whole.crc32c)
    return objects.answer(request, publish_content(storage, draft, content))


def _open_source(storage: Storage, bucket: str, source: Any) -> tuple[StoredObject, BinaryIO]:
    if not isinstance(source, dict):
        raise invalid("Every source component must be an object with a name.", location="sourceObjects")
    name = check_object_name(source.get("name"))
    if source.get("objectPreconditions"):
        raise not_implemented("A condition on a source of compose")
    stated = source.get("generation")
    generation = None if stated is None else whole_number(stated, "generation")
    return open_object(storage, bucket, name, generation)


def _joined(streams: list[BinaryIO]) -> Iterator[bytes]:
    """The bytes of one stream after the other."""
    for stream in streams:
        yield from chunks_of(stream)
