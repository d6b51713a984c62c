"""Time to live: which documents a policy lets expire.

A policy names a collection group and a field. A document whose field holds a time in the past is deleted
some time later; until then reads still see it, as in the service, so callers must compare the time themselves.
"""

from typing import Any

from local.cloud.firestore import values, wire
from local.cloud.firestore.paths import field_path
from local.cloud.firestore.store import Store

Policy = tuple[str, str]
"""A collection id and the field with the expiry time."""


def policy(text: str) -> Policy:
    """Parse `collectionGroup.field`."""
    group, dot, name = text.partition(".")
    if not (group and dot and name):
        raise ValueError(f"--ttl {text!r}: collectionGroup.field is needed, for example turns.expires_at")
    field_path(name)
    return group, name


def expired(store: Store, policies: list[Policy], at: int) -> list[Any]:
    """The documents whose time lies before `at`."""
    found = []
    for group, name in policies:
        path = field_path(name)
        for collection in store.group_everywhere(group):
            for document in store.collection(collection):
                value = values.find(document, path)
                # A value of another type never expires.
                if value is None or value.WhichOneof("value_type") != "timestamp_value":
                    continue
                if wire.micros(value.timestamp_value) < at:
                    found.append(document)
    return found
