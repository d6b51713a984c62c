"""Secret Manager: the value behind `projects/…/secrets/…/versions/…`, read once in an instance's life.

Rotation is a new version and a new deployment (or the alias `latest` and a new instance). The payload's
checksum is verified: a damaged key must fail here and not as a mysterious 401 elsewhere.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from typing import Any

from shared.platform import deadline
from shared.platform.errors import Unavailable
from shared.platform.settings import settings

TIMEOUT_SECONDS = 10
_REFERENCE = re.compile(r"projects/[^/]+/secrets/[A-Za-z0-9_-]+/versions/(?:[0-9]+|[a-z][a-z0-9_-]*)\Z")

_known: dict[str, str] = {}
_lock = threading.Lock()


def is_reference(value: str) -> bool:
    """Whether a setting names a secret instead of being one."""
    return bool(_REFERENCE.match(value))


def resolve(value: str) -> str:
    """The secret that a setting names, or the setting itself. Raises Unavailable when it can't be read."""
    if not is_reference(value):
        return value
    with _lock:
        if value not in _known:
            _known[value] = _access(value)
        return _known[value]


def _access(name: str) -> str:
    import google_crc32c
    from google.api_core.exceptions import GoogleAPICallError, RetryError

    try:
        payload = _client().access_secret_version(name=name, **deadline.patience(TIMEOUT_SECONDS)).payload
    except (GoogleAPICallError, RetryError) as error:
        raise Unavailable("A secret that this needs can't be read.", reason=type(error).__name__) from error
    if payload.data_crc32c and google_crc32c.value(payload.data) != payload.data_crc32c:
        raise Unavailable("A secret was damaged on the way.", retry_after=1)
    return bytes(payload.data).decode().strip()


@lru_cache(maxsize=1)
def _client() -> Any:
    from google.cloud import secretmanager_v1

    emulator = settings().secrets_emulator
    if emulator is None:
        return secretmanager_v1.SecretManagerServiceClient()
    import grpc
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcTransport,
    )

    return secretmanager_v1.SecretManagerServiceClient(
        transport=SecretManagerServiceGrpcTransport(channel=grpc.insecure_channel(emulator))
    )
