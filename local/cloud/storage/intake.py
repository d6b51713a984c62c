"""What every kind of upload has in common: the draft it asks for, the hashes it states, the way it is stored."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from local.cloud.storage.errors import ApiError, bad_digest
from local.cloud.storage.files import Content
from local.cloud.storage.model import StoredObject, settings_of
from local.cloud.storage.names import check_object_name
from local.cloud.storage.service import Draft, Storage, check_draft, publish_content
from local.cloud.storage.wire import HttpRequest


def draft_of(request: HttpRequest, bucket: str, document: dict[str, Any], content_type: str | None) -> Draft:
    """The object that an upload asks for: its name is in the query or in the resource."""
    name = check_object_name(request.query.get("name") or document.get("name"))
    config = settings_of(document)
    if content_type and "contentType" not in config:
        config["contentType"] = content_type
    return Draft(bucket, name, config, request.integer("ifGenerationMatch"))


def hashes_of(request: HttpRequest, document: dict[str, Any]) -> dict[str, str]:
    """The hashes that the client states, in the resource or in headers; the upload must match them."""
    stated = {key: str(document[key]) for key in ("md5Hash", "crc32c") if document.get(key)}
    for header in request.headers.get_all("x-goog-hash", []):
        for item in str(header).split(","):
            algorithm, _, value = item.strip().partition("=")
            if algorithm in ("md5", "crc32c"):
                stated[{"md5": "md5Hash"}.get(algorithm, algorithm)] = value
    return stated


def check_hashes(stated: dict[str, str], content: Content) -> None:
    """400 unless the bytes have the hashes that the client stated."""
    for key, actual in (("md5Hash", content.md5), ("crc32c", content.crc32c)):
        expected = stated.get(key)
        if expected is None or expected == actual:
            continue
        label = {"md5Hash": "MD5", "crc32c": "CRC32C"}[key]
        try:
            base64.b64decode(expected, validate=True)
        except (binascii.Error, ValueError) as error:
            raise bad_digest(f"Provided {label} hash {expected!r} is not base64.") from error
        raise bad_digest(
            f'Provided {label} hash "{expected}" doesn\'t match calculated {label} hash "{actual}".'
        )


def store(storage: Storage, draft: Draft, chunks: Iterator[bytes], stated: dict[str, str]) -> StoredObject:
    """Write the bytes outside any lock, check them, then publish; answers the stored object."""
    with storage.database.read() as db:
        check_draft(db, draft)
    content = storage.files.write(chunks)
    try:
        check_hashes(stated, content)
    except ApiError:
        storage.files.remove([content.blob])
        raise
    return publish_content(storage, draft, content)
