"""Credentials: read strictly, sealed, stored, opened; never answered, logged or put in an error.

    gs://{credentials}/{team}/{connection}.json.enc   sealed with a fresh data key, wrapped by Cloud KMS

Team and connection are part of what is sealed, so an object copied to another path can't be opened. The
object's metadata names the key version that wrapped it.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import Any

from shared.connections.model import ConnectionType
from shared.platform.cloud import keys, objects
from shared.platform.errors import (
    InvalidCiphertext,
    MalformedJson,
    NotFound,
    PreconditionFailed,
    ValidationFailed,
)
from shared.platform.ids import TeamId, new_id
from shared.platform.settings import settings
from shared.platform.text import strict_json
from shared.warehouses.contract import Warehouse

MOST_BYTES = 64 * 1024
KEPT_WAREHOUSES = 32
"""Opened connections that one instance keeps; a rotation makes a new one by its generation."""

_WRITE = "bridge-write"
"""Which write made the object, in its metadata."""
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,61}[a-z0-9]\Z")
_EMAIL = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+\Z")
# What Google writes into the file. Only the first four are kept: no address out of it is ever called.
_KEPT = ("project_id", "client_email", "private_key", "private_key_id")
_KNOWN = {
    *_KEPT, "type", "client_id", "auth_uri", "token_uri", "auth_provider_x509_cert_url",
    "client_x509_cert_url", "universe_domain",
}  # fmt: skip


def read(connection_type: ConnectionType, encoded: str) -> dict[str, str]:
    """The fields of a service-account file in base64; raises ValidationFailed with field and reason."""
    if connection_type != "bigquery":
        raise ValidationFailed(
            f"Connections of the type {connection_type} can't be made yet; use bigquery.",
            field="connection_type",
            reason="not supported yet",
        )
    file = _decode(encoded)
    if file.get("type", "service_account") != "service_account":
        raise _wrong("type", "must be service_account; create a key of a service account")
    if file.get("universe_domain", "googleapis.com") != "googleapis.com":
        raise _wrong("universe_domain", "must be googleapis.com")
    if unknown := sorted(set(file) - _KNOWN):
        raise _wrong(unknown[0][:60], "is not a field of a service-account file")
    for name in ("project_id", "client_email", "private_key"):
        if not isinstance(file.get(name), str) or not file[name].strip():
            raise _wrong(name, "is missing; send the whole key file as Google made it")
    if not _PROJECT.match(file["project_id"]):
        raise _wrong("project_id", "is not a project id")
    if not _EMAIL.match(file["client_email"]):
        raise _wrong("client_email", "is not an e-mail address")
    _check_key(file["private_key"])
    return {name: str(file[name]) for name in _KEPT if file.get(name)}


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
    if connection_type == "bigquery":
        from shared.warehouses.bigquery.adapter import BigQuery
        from shared.warehouses.shielded import Shielded

        return Shielded(BigQuery(fields), connection)
    raise ValidationFailed(f"There is no adapter for {connection_type}.", field="connection_type")


def _decode(encoded: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValidationFailed(
            "credentials must be the service-account JSON file in base64.",
            field="credentials",
            reason="not base64",
        ) from None
    if len(raw) > MOST_BYTES:
        raise ValidationFailed(
            f"credentials decode to more than {MOST_BYTES} bytes.", field="credentials", reason="too large"
        )
    try:
        file = strict_json.loads(raw, max_depth=4)
    except MalformedJson as error:
        # The reason tells place and kind of the fault, never the text around it.
        raise ValidationFailed(
            "credentials must be the service-account JSON file in base64.",
            field="credentials",
            reason="not JSON" if error.reason is None or "key" in error.reason else error.reason,
        ) from None
    if not isinstance(file, dict):
        raise ValidationFailed(
            "credentials must hold a JSON object.", field="credentials", reason="no object"
        )
    return file


def _check_key(pem: str) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _wrong("private_key", "is not a private key in PEM form; was the file changed?") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        raise _wrong("private_key", "must be an RSA key of at least 2048 bits")


def _wrong(name: str, reason: str) -> ValidationFailed:
    return ValidationFailed(
        f"The service-account file can't be used: {name} {reason}.",
        field=f"credentials.{name}",
        reason=reason,
    )
