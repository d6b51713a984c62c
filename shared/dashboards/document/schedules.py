"""Cron schedules of dashboards, in UTC: what is accepted has a next time, now and always.

A schedule may be well formed and name no day that there is (`0 0 31 2 *`), or draw its fields by chance (`R`), so
that it names one at one look and none at the next. Both are refused where the document is checked.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_FIELDS = 5
_BY_CHANCE = re.compile(r"(?<![a-z])[rh](?![a-z])", re.IGNORECASE)
_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)
"""The library looks 50 years ahead; a calendar repeats itself after at most 40 of them."""


def problem(schedule: str) -> str | None:
    """Why the text is no schedule, or None."""
    from croniter import croniter

    if (
        len(schedule.split()) != _FIELDS
        or not schedule.isascii()
        or _BY_CHANCE.search(schedule)
        or not croniter.is_valid(schedule)
    ):
        return "must be a cron expression of five fields, such as 0 6 * * *"
    try:
        next_after(schedule, _ANY_DAY)
    except ValueError:
        return "never fires: there is no such day"
    return None


def next_after(schedule: str, after: datetime) -> datetime:
    """The first time of the schedule after a moment. Raises ValueError where there is none."""
    from croniter import croniter

    due: datetime = croniter(schedule, after).get_next(datetime)
    return due
