"""Objects in the XML API's form: every setting and every answer is a header."""

from typing import Any

from local.cloud.storage.model import StoredObject
from local.cloud.storage.names import check_object_name
from local.cloud.storage.preconditions import from_headers
from local.cloud.storage.service import Draft
from local.cloud.storage.wire import Request

_HEADER_FIELDS = {
    "Content-Type": "contentType",
    "Content-Encoding": "contentEncoding",
    "Content-Disposition": "contentDisposition",
    "Content-Language": "contentLanguage",
    "Cache-Control": "cacheControl",
    "x-goog-storage-class": "storageClass",
    "x-goog-custom-time": "customTime",
}


def draft_from_headers(request: Request, bucket: str, name: str) -> Draft:
    """The object that an XML upload asks for: all its settings are headers."""
    config: dict[str, Any] = {
        field: value for header, field in _HEADER_FIELDS.items() if (value := request.header(header))
    }
    metadata = {
        header.lower().removeprefix("x-goog-meta-"): str(value)
        for header, value in request.headers.items()
        if header.lower().startswith("x-goog-meta-")
    }
    if metadata:
        config["metadata"] = metadata
    return Draft(bucket, check_object_name(name), config, from_headers(request))


def object_headers(stored: StoredObject) -> dict[str, str]:
    hashes = f"crc32c={stored.content.crc32c}" + (f",md5={stored.content.md5}" if stored.content.md5 else "")
    return {
        "ETag": f'"{stored.etag}"',
        "X-Goog-Generation": str(stored.generation),
        "X-Goog-Metageneration": str(stored.metageneration),
        "X-Goog-Hash": hashes,
    }
