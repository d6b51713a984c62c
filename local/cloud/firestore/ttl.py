"""Time to live: when a policy lets a document expire.

A policy names a collection group and a field. A document whose field holds a time in the past is deleted
some time later; until then reads still see it, as in the service, so callers must compare the time themselves.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from local.cloud.firestore import values, wire
from local.cloud.firestore.paths import collection_of, field_path

Policy = tuple[str, str]
"""A collection id and the field with the expiry time."""


def policy(text: str) -> Policy:
    """Parse `collectionGroup.field`."""
    group, dot, name = text.partition(".")
    if not (group and dot and name):
        raise ValueError(f"--ttl {text!r}: collectionGroup.field is needed, for example turns.expires_at")
    field_path(name)
    return group, name


def deployed(path: Path) -> list[Policy]:
    """The policies of a `firestore.indexes.json` as the Firebase tools write it. Indexes serve queries: not read."""
    overrides = json.loads(path.read_text()).get("fieldOverrides", [])
    return [policy(f"{one['collectionGroup']}.{one['fieldPath']}") for one in overrides if one.get("ttl")]


class Policies:
    """At most one policy a collection group."""

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        self._paths = {group: field_path(name) for group, name in policies}

    def expiry(self, document: Any) -> int | None:
        """When a document may be deleted, in microseconds since 1970; None: never."""
        path = self._paths.get(collection_of(document.name).rpartition("/")[2])
        value = None if path is None else values.find(document, path)
        # A value of another type never expires.
        if value is None or value.WhichOneof("value_type") != "timestamp_value":
            return None
        return wire.micros(value.timestamp_value)
