"""Objects made from objects: compose, copy, rewrite and move."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO

from local.cloud.storage import objects
from local.cloud.storage.errors import invalid, not_implemented
from local.cloud.storage.files import Content, chunks_of
from local.cloud.storage.model import StoredObject, settings_of
from local.cloud.storage.names import check_object_name
from local.cloud.storage.preconditions import Conditions, from_query
from local.cloud.storage.service import (
    Draft,
    Publication,
    Storage,
    check_draft,
    get_bucket,
    get_object,
    open_object,
    publish,
    publish_content,
    retire,
    settle,
)  # fmt: skip
from local.cloud.storage.wire import Request, Response, json_response, whole_number

_MOST_SOURCES = 32


def compose(storage: Storage, request: Request, bucket: str, name: str) -> Response:
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
        draft = Draft(bucket, check_object_name(name), config, from_query(request), parts)
        with storage.database.read() as db:
            check_draft(db, draft)
        whole = storage.files.write(joined(streams))
    # The service knows no MD5 of composed objects.
    content = Content(whole.blob, whole.size, None, whole.crc32c)
    return objects.answer(request, publish_content(storage, draft, content))


def copy(
    storage: Storage, request: Request, bucket: str, name: str, to_bucket: str, to_name: str
) -> Response:
    return objects.answer(request, _duplicate(storage, request, (bucket, name), (to_bucket, to_name)))


def rewrite(
    storage: Storage, request: Request, bucket: str, name: str, to_bucket: str, to_name: str
) -> Response:
    """Like copy, in the answer's form of a rewrite that is done after one call."""
    stored = _duplicate(storage, request, (bucket, name), (to_bucket, to_name))
    size = str(stored.content.size)
    document: dict[str, Any] = {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": size,
        "objectSize": size,
        "done": True,
        "resource": stored.resource(request.origin),
    }
    return json_response(document)


def move(storage: Storage, request: Request, bucket: str, name: str, to_name: str) -> Response:
    """Rename within a bucket: the copy and the removal happen together."""
    stored = _duplicate(storage, request, (bucket, name), (bucket, to_name), remove_source=True)
    return objects.answer(request, stored)


def _duplicate(
    storage: Storage,
    request: Request,
    source: tuple[str, str],
    target: tuple[str, str],
    *,
    remove_source: bool = False,
) -> StoredObject:
    """Publish the source's bytes under another name; without a resource in the body its metadata goes along."""
    if request.header("X-Goog-Encryption-Algorithm") or request.header(
        "X-Goog-Copy-Source-Encryption-Algorithm"
    ):
        raise not_implemented("Customer-supplied encryption keys")
    changes = settings_of(request.json())
    conditions, source_conditions = from_query(request), from_query(request, "ifSource")
    garbage: list[str] = []
    shared: Content | None = None
    try:
        with storage.database.write() as tx:
            old = get_object(tx, *source, generation=request.integer("sourceGeneration"))
            source_conditions.check_write(old)
            holds = {"temporaryHold", "eventBasedHold"}
            inherited = {k: v for k, v in old.config.items() if k not in holds | {"storageClass"}}
            config = changes if changes.keys() - {"storageClass"} else {**inherited, **changes}
            # A link, made before the source can go: overwriting an object with itself must work.
            shared = storage.files.share(old.content)
            draft = Draft(target[0], check_object_name(target[1]), config, conditions, old.component_count)
            publication: Publication = publish(storage, tx, draft, shared)
            garbage += publication.garbage
            if remove_source:
                garbage += retire(tx, get_bucket(tx, source[0]), old)
    except BaseException:
        if shared is not None:
            storage.files.remove([shared.blob])
        raise
    settle(storage, garbage)
    return publication.stored


def _open_source(storage: Storage, bucket: str, source: Any) -> tuple[StoredObject, BinaryIO]:
    if not isinstance(source, dict):
        raise invalid("Every source component must be an object with a name.", location="sourceObjects")
    name = check_object_name(source.get("name"))
    stated = source.get("objectPreconditions") or {}
    if not isinstance(stated, dict):
        raise invalid("objectPreconditions must be an object.", location="sourceObjects")
    expected, generation = (
        None if value is None else whole_number(value, field)
        for field, value in (
            ("ifGenerationMatch", stated.get("ifGenerationMatch")),
            ("generation", source.get("generation")),
        )
    )
    return open_object(storage, bucket, name, generation, Conditions(generation_match=expected))


def joined(streams: list[BinaryIO]) -> Iterator[bytes]:
    """The bytes of one stream after the other."""
    for stream in streams:
        yield from chunks_of(stream)
