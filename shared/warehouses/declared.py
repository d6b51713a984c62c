"""What warehouses add to the platform: their errors and the bytes that queries may scan.

    BadInput 400 ───────── QueryNotReadOnly, DatasetNotAllowed, BytesCapExceeded, QueryInvalid
    WarehouseError 502 ─── CredentialsRejected, PermissionMissing
    Unavailable 503 ────── WarehouseUnavailable ── OverRate
    DeadlineExceeded 504 ─ QueryTimedOut

A message carries the warehouse's own sentence, cleaned of addresses and job ids, never a driver's text.
"""

from shared.platform.errors import BadInput, BridgeError, DeadlineExceeded, Unavailable
from shared.platform.registry.kinds import Limit


class QueryNotReadOnly(BadInput):
    """Only one read-only SELECT statement is accepted."""

    code = "QUERY_NOT_READ_ONLY"


class DatasetNotAllowed(BadInput):
    """The query reads a table that this team's connection does not offer."""

    code = "DATASET_NOT_ALLOWED"


class BytesCapExceeded(BadInput):
    """The query would scan more bytes than the cap allows."""

    code = "BYTES_CAP_EXCEEDED"


class QueryInvalid(BadInput):
    """The warehouse can't run this query."""

    code = "QUERY_INVALID"


class WarehouseError(BridgeError):
    """The warehouse refused or failed."""

    code, status, retryable = "WAREHOUSE_ERROR", 502, False


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


def may_be_billed(error: BaseException) -> bool:
    """Whether a query that had begun and ended with this error may be on the warehouse's bill.

    One that the warehouse refused or could not run is not. One that was cancelled, outlived its time or whose answer
    was lost ran as far as it came, or runs on.
    """
    if isinstance(error, OverRate):
        return False
    return not isinstance(error, BridgeError) or isinstance(error, QueryTimedOut | WarehouseUnavailable)


BYTES = (
    Limit("warehouse_bytes", "warehouse_bytes", "day", "bytes", 10**12, "Bytes scanned in warehouses"),
    Limit("warehouse_bytes_turn", "warehouse_bytes", "turn", "bytes", 5 * 10**9, "Bytes scanned by one chat turn"),
    Limit(
        "warehouse_bytes_session", "warehouse_bytes", "session", "bytes", 50 * 10**9,
        "Bytes scanned by one conversation",
    ),
    Limit("warehouse_bytes_month", "warehouse_bytes", "month", "bytes", 20 * 10**12, "Bytes scanned in a month"),
)  # fmt: skip
