"""What a warehouse can answer with, beyond the nouns of the platform.

    WarehouseError 502 ── CredentialsRejected, PermissionMissing
    Unavailable 503 ───── WarehouseUnavailable
    DeadlineExceeded 504 ─ QueryTimedOut
    BadInput 400 ──────── QueryInvalid, BytesCapExceeded, QueryNotReadOnly, DatasetNotAllowed (platform)

A message carries the warehouse's own sentence, cleaned of addresses and job ids, never a driver's text.
"""

from shared.platform.errors import DeadlineExceeded, Unavailable, WarehouseError


class CredentialsRejected(WarehouseError):
    """The warehouse does not accept these credentials."""

    code = "WAREHOUSE_CREDENTIALS_REJECTED"


class PermissionMissing(WarehouseError):
    """The credentials lack a permission that Bridge needs."""

    code = "WAREHOUSE_PERMISSION_MISSING"


class WarehouseUnavailable(Unavailable):
    """The warehouse is not reachable or is over its rate; try again shortly."""

    code = "WAREHOUSE_UNAVAILABLE"


class QueryTimedOut(DeadlineExceeded):
    """The query ran longer than it may."""

    code, retryable = "QUERY_TIMED_OUT", False
