"""A service-account file as Google makes it: read strictly, and only what is needed is kept."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.platform.errors import MalformedJson, ValidationFailed
from shared.platform.text import strict_json

MOST_BYTES = 64 * 1024

_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,61}[a-z0-9]\Z")
_EMAIL = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+\Z")


class ServiceAccount(BaseModel):
    """What is kept of the file: no address out of it is ever called."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    project_id: str
    client_email: str
    private_key: str = Field(repr=False)
    private_key_id: str | None = None


# What Google writes into the file beside what is kept.
_KNOWN = {
    *ServiceAccount.model_fields, "type", "client_id", "auth_uri", "token_uri", "auth_provider_x509_cert_url",
    "client_x509_cert_url", "universe_domain",
}  # fmt: skip


def read(encoded: str) -> ServiceAccount:
    """The account of a file in base64; raises ValidationFailed with field and reason."""
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
    # The model keeps its own fields and lets go of all others.
    return ServiceAccount.model_validate({name: str(value) for name, value in file.items() if value})


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
