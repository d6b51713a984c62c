"""BigQuery's errors as our nouns, with BigQuery's own sentence and nothing else of the driver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.platform.errors import BridgeError
from shared.warehouses.declared import (
    BytesCapExceeded,
    CredentialsRejected,
    OverRate,
    PermissionMissing,
    QueryInvalid,
    QueryTimedOut,
    WarehouseError,
    WarehouseUnavailable,
)

_REASONS: dict[str, type[BridgeError]] = {
    "bytesBilledLimitExceeded": BytesCapExceeded,
    "invalidQuery": QueryInvalid,
    "invalid": QueryInvalid,
    "notFound": QueryInvalid,
    "accessDenied": PermissionMissing,
    "billingNotEnabled": PermissionMissing,
    "authError": CredentialsRejected,
    "required": CredentialsRejected,
    "stopped": QueryTimedOut,
    "timeout": QueryTimedOut,
    "rateLimitExceeded": OverRate,
    "jobRateLimitExceeded": OverRate,
    "backendError": WarehouseUnavailable,
    "internalError": WarehouseUnavailable,
    "quotaExceeded": OverRate,
    "resourcesExceeded": WarehouseError,
    "responseTooLarge": WarehouseError,
}
_STATUSES: dict[int, type[BridgeError]] = {
    400: QueryInvalid,
    401: CredentialsRejected,
    403: PermissionMissing,
    404: QueryInvalid,
    429: OverRate,
    500: WarehouseUnavailable,
    502: WarehouseUnavailable,
    503: WarehouseUnavailable,
    504: WarehouseUnavailable,
}
_NOISE = (
    re.compile(r"^[0-9]{3} "),
    re.compile(r"(?:GET|POST|PUT|PATCH|DELETE) https?://\S+:\s*"),
    re.compile(r"https?://\S+"),
    re.compile(r";\s*reason: .*", re.DOTALL),
    re.compile(r"(?<!\s)\s*+(?:Location|Job ID): \S+"),
)
LONGEST = 500


@contextmanager
def translated() -> Iterator[None]:
    """Raise an error of this package for whatever the client raises inside."""
    from concurrent.futures import TimeoutError as FutureTimeout

    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError, TransportError
    from requests import RequestException

    try:
        yield
    except (TransportError, RetryError, RequestException, ConnectionError) as error:
        raise WarehouseUnavailable("BigQuery is not reachable.", retry_after=5) from error
    except GoogleAuthError as error:
        raise CredentialsRejected("Google does not accept this service account's key.") from error
    except GoogleAPICallError as error:
        raise of_call(error) from error
    except (FutureTimeout, TimeoutError) as error:
        raise QueryTimedOut from error


def of_call(error: Any) -> BridgeError:
    """The noun for one failed call, by BigQuery's reason and else by its status."""
    detail = error.errors[0] if getattr(error, "errors", None) else {}
    reason = detail.get("reason", "") if isinstance(detail, dict) else ""
    noun = _REASONS.get(reason) or _STATUSES.get(int(error.code or 0), WarehouseError)
    sentence = (detail.get("message") if isinstance(detail, dict) else None) or str(error.message or "")
    return noun(clean(sentence) or None, reason=reason or None, retry_after=_pause(noun))


def clean(sentence: str) -> str:
    """The sentence on one line, without addresses, job ids and the client's own prefixes."""
    for noise in _NOISE:
        sentence = noise.sub("", sentence)
    sentence = " ".join(sentence.split()).strip(" ;,")
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…"


def _pause(noun: type[BridgeError]) -> float | None:
    return 5.0 if issubclass(noun, WarehouseUnavailable) else None
