"""Buckets and objects as values, and their JSON resources."""

import base64
import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from local.cloud.storage.errors import invalid, not_implemented
from local.cloud.storage.files import Content

PROJECT_NUMBER = "100000000000"

OBJECT_FIELDS = {"cacheControl", "contentType", "metadata", "storageClass"}
BUCKET_FIELDS = {"iamConfiguration", "labels", "location", "storageClass", "versioning"}
_TEXTS = {"cacheControl", "contentType", "location", "storageClass"}
# Accepting these and not obeying them would make a test pass that fails in the cloud.
_UNSUPPORTED = {
    "acl", "autoclass", "billing", "contentDisposition", "contentEncoding", "contentLanguage", "cors", "customTime",
    "defaultEventBasedHold", "encryption", "eventBasedHold", "hierarchicalNamespace", "ipFilter", "kmsKeyName",
    "lifecycle", "logging", "retention", "retentionPolicy", "rpo", "softDeletePolicy", "temporaryHold", "website",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    generation: int
    metageneration: int
    created: str
    updated: str
    config: dict[str, Any]

    @property
    def etag(self) -> str:
        return make_etag(self.generation, self.metageneration)

    @property
    def versioned(self) -> bool:
        return bool((self.config.get("versioning") or {}).get("enabled"))

    def resource(self, origin: str) -> dict[str, Any]:
        return {
            "kind": "storage#bucket",
            "id": self.name,
            "selfLink": f"{origin}/storage/v1/b/{self.name}",
            "name": self.name,
            "projectNumber": PROJECT_NUMBER,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "locationType": "region",
            "timeCreated": self.created,
            "updated": self.updated,
            "etag": self.etag,
            **self.config,
        }


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One generation of an object. `deleted` is when it stopped being live, for a noncurrent one."""

    bucket: str
    name: str
    generation: int
    metageneration: int
    live: bool
    content: Content
    component_count: int | None
    created: str
    updated: str
    deleted: str | None
    config: dict[str, Any]

    @property
    def etag(self) -> str:
        return make_etag(self.generation, self.metageneration)

    def resource(self, origin: str) -> dict[str, Any]:
        path = f"b/{self.bucket}/o/{quote(self.name, safe='')}"
        document: dict[str, Any] = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{origin}/storage/v1/{path}",
            "mediaLink": f"{origin}/download/storage/v1/{path}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(self.content.size),
            "crc32c": self.content.crc32c,
            "etag": self.etag,
            "timeCreated": self.created,
            "updated": self.updated,
            "timeStorageClassUpdated": self.created,
            "timeFinalized": self.created,
            **self.config,
        }
        if self.content.md5 is not None:
            document["md5Hash"] = self.content.md5
        if self.component_count is not None:
            document["componentCount"] = self.component_count
        if self.deleted is not None:
            document["timeDeleted"] = self.deleted
        return document


def bucket_of(row: sqlite3.Row) -> Bucket:
    return Bucket(
        row["name"], row["generation"], row["metageneration"], row["created"], row["updated"],
        json.loads(row["config"]),
    )  # fmt: skip


def object_of(row: sqlite3.Row) -> StoredObject:
    return StoredObject(
        bucket=row["bucket"],
        name=row["name"],
        generation=row["generation"],
        metageneration=row["metageneration"],
        live=bool(row["live"]),
        content=Content(row["blob"], row["size"], row["md5"], row["crc32c"]),
        component_count=row["component_count"],
        created=row["created"],
        updated=row["updated"],
        deleted=row["deleted"],
        config=json.loads(row["config"]),
    )


def writable(document: object, allowed: set[str]) -> dict[str, Any]:
    """The part of a resource that a caller may set; output-only fields are ignored, as the service does."""
    if not isinstance(document, dict):
        raise invalid("A resource must be a JSON object.")
    for name in sorted(_UNSUPPORTED & document.keys()):
        if document[name]:
            raise not_implemented(f"The field {name}")
    for name in sorted(_TEXTS & allowed & document.keys()):
        if not isinstance(document[name], str | None):
            raise invalid(f"{name} must be a string.", location=name)
    metadata = document.get("metadata")
    if metadata is not None and (
        not isinstance(metadata, dict) or not all(isinstance(v, str | None) for v in metadata.values())
    ):
        raise invalid("metadata must map strings to strings.", location="metadata")
    return {name: value for name, value in document.items() if name in allowed}


def settings_of(document: object) -> dict[str, Any]:
    """The settings of a new object: a null, also inside `metadata`, is as good as nothing."""
    settings = {name: value for name, value in writable(document, OBJECT_FIELDS).items() if value is not None}
    if "metadata" in settings:
        settings["metadata"] = {k: v for k, v in settings["metadata"].items() if v is not None}
    return settings


def make_etag(generation: int, metageneration: int) -> str:
    """The service's form: base64 of a protobuf message with both numbers."""
    return base64.b64encode(b"\x08" + _varint(generation) + b"\x10" + _varint(metageneration)).decode()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def now() -> str:
    """RFC 3339 in UTC with milliseconds, as in every resource."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
