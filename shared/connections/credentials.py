"""Credentials: read strictly, sealed, stored, opened; never answered, logged or put in an error.

    gs://{credentials}/{team}/{connection}.json.enc   sealed with a fresh data key, wrapped by Cloud KMS

Team and connection are part of what is sealed, so an object copied to another path can't be opened. The
object's metadata names the key version that wrapped it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from shared.platform.cloud import keys, objects
from shared.platform.errors import InvalidCiphertext, NotFound, PreconditionFailed
from shared.platform.ids import TeamId, new_id
from shared.platform.settings import settings
from shared.platform.text import strict_json
from shared.warehouses import registry
from shared.warehouses.contract import ConnectionType, Warehouse

KEPT_WAREHOUSES = 32
"""Opened connections that one instance keeps; a rotation makes a new one by its generation."""

_WRITE = "bridge-write"
"""Which write made the object, in its metadata."""


def read(connection_type: ConnectionType, encoded: str) -> dict[str, str]:
    """What to keep of what a person sent, by the vendor; raises ValidationFailed with field and reason."""
    return registry.vendor(connection_type).credentials(encoded)


def object_name(team: TeamId, connection: str) -> str:
    """Where a connection's credentials are."""
    return objects.safe_name(team, f"{connection}.json.enc")


def store(team: TeamId, connection: str, fields: dict[str, str], *, replace: bool) -> objects.Stored:
    """Seal and write; `replace` swaps the object that stands now, and loses against another swap.

    A repeated creation finds the object of the first: its body was the same.
    """
    name = object_name(team, connection)
    blob, version = keys.seal(strict_json.canonical(fields), bound_to=f"{team}/{connection}")
    metadata = {"kms_key": settings().kms_key, "kms_key_version": version, _WRITE: new_id()}
    options: dict[str, Any] = {"content_type": "application/octet-stream", "metadata": metadata}
    if not replace:
        return objects.put_once("credentials", name, blob, **options)
    standing = objects.head("credentials", name)
    expected = standing.generation if standing else objects.ABSENT
    try:
        return objects.put("credentials", name, blob, if_generation=expected, **options)
    except PreconditionFailed:
        # Another swap was faster; or this one was kept, its answer lost, and the client asked again.
        found = objects.head("credentials", name)
        if found is None or found.metadata.get(_WRITE) != metadata[_WRITE]:
            raise
        return found


def forget(team: TeamId, connection: str) -> None:
    """Remove the object; removing it twice is as good as once."""
    objects.delete("credentials", object_name(team, connection))


@lru_cache(maxsize=KEPT_WAREHOUSES)
def warehouse(team: TeamId, connection: str, connection_type: ConnectionType, generation: int) -> Warehouse:
    """The adapter of these credentials, decrypted once per instance and generation."""
    try:
        blob, _ = objects.get("credentials", object_name(team, connection), generation=generation)
    except NotFound as error:
        raise InvalidCiphertext from error
    fields = strict_json.loads(keys.open_sealed(blob, bound_to=f"{team}/{connection}"))
    return registry.open_warehouse(connection_type, fields, connection=connection)
