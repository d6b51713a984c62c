"""The time, in one place, so that every caller agrees on zone and form."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC)


def today_iso() -> str:
    """The current UTC date as YYYY-MM-DD."""
    return now().date().isoformat()


def iso(instant: datetime | None) -> str | None:
    """RFC 3339 with milliseconds and Z, the form of every timestamp in an answer."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def monotonic() -> float:
    """Seconds that only grow; for deadlines and durations, never for dates."""
    return time.monotonic()
