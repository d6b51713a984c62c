"""Cron schedules of dashboards, in the zone of the document: what is accepted has a next time, now and always.

A schedule may be well formed and name no day that there is (`0 0 31 2 *`), or draw its fields by chance (`R`), so
that it names one at one look and none at the next. Both are refused where the document is checked.

Where the clocks of the zone are changed, a time that does not exist is the first minute that does, and a time that
occurs twice is its first occurrence: what is due every day is due on each day once.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_FIELDS = 5
_SECOND = timedelta(seconds=1)
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
        next_after(schedule, _ANY_DAY, "UTC")
    except ValueError:
        return "never fires: there is no such day"
    return None


def next_after(schedule: str, after: datetime, timezone: str) -> datetime:
    """The first time of the schedule after a moment, as an instant in UTC. Raises ValueError where there is none."""
    from croniter import croniter

    zone = ZoneInfo(timezone)
    walls = croniter(schedule, after.astimezone(zone).replace(tzinfo=None))
    # The clock may have shown this time before: what it shows a second time was due the first time.
    while (due := _instant(walls.get_next(datetime), zone)) <= after:
        pass
    return due


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clocks of a zone show a time first; for a time that they skip, when they skip it."""
    early, late = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    if early >= late:
        return late
    # Skipped: read with the offset of before it lies behind the change, with that of after before it.
    before = early.astimezone(zone).utcoffset()
    while late - early > _SECOND:
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
