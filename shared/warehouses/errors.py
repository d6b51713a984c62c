"""What a warehouse can answer with, beyond the nouns of the platform.

    WarehouseError 502 ── CredentialsRejected, PermissionMissing
    Unavailable 503 ───── WarehouseUnavailable ── OverRate
    DeadlineExceeded 504 ─ QueryTimedOut
    BadInput 400 ──────── QueryInvalid, BytesCapExceeded, QueryNotReadOnly, DatasetNotAllowed (platform)

A message carries the warehouse's own sentence, cleaned of addresses and job ids, never a driver's text.
"""

from shared.platform.errors import BridgeError, DeadlineExceeded, Unavailable, WarehouseError


def may_be_billed(error: BaseException) -> bool:
    """Whether a query that had begun and ended with this error may be on the warehouse's bill.

    One that the warehouse refused or could not run is not. One that was cancelled, outlived its time or whose answer
    was lost ran as far as it came, or runs on.
    """
    if isinstance(error, OverRate):
        return False
    return not isinstance(error, BridgeError) or isinstance(error, QueryTimedOut | WarehouseUnavailable)


class CredentialsRejected(WarehouseError):
    """The warehouse does not accept these credentials."""

    code = "WAREHOUSE_CREDENTIALS_REJECTED"


class PermissionMissing(WarehouseError):
    """The credentials lack a permission that Bridge needs."""

    code = "WAREHOUSE_PERMISSION_MISSING"


class WarehouseUnavailable(Unavailable):
    """The warehouse is not reachable or is over its rate; try again shortly."""

    code = "WAREHOUSE_UNAVAILABLE"


class OverRate(WarehouseUnavailable):
    """The warehouse takes no more of this account's queries at this moment; try again shortly.

    It is an answer: the warehouse is well, and others are served.
    """


class QueryTimedOut(DeadlineExceeded):
    """The query ran longer than it may."""

    code, retryable = "QUERY_TIMED_OUT", False
