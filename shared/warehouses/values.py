"""The one JSON form of warehouse values, whatever the vendor.

Exact numbers that a JavaScript number can't hold become text (NUMERIC, and INT64 beyond 2^53), dates and
times are ISO 8601 (instants in UTC with Z), bytes are base64, NaN and the infinities become null.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

MAX_SAFE_INTEGER = 2**53 - 1


def to_json(value: Any) -> Any:
    """The JSON value of a cell; raises TypeError for a type that no warehouse gives."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else str(value)
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return format(value, "f") if value.is_finite() else None
        case datetime():
            return _instant(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case UUID():
            return str(value)
        case Mapping():
            return {str(name): to_json(item) for name, item in value.items()}
        case list() | tuple():
            return [to_json(item) for item in value]
    if type(value).__name__ in ("relativedelta", "Range", "_RangeElement"):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
