"""Named date ranges. Both ends are inclusive; `last_7_days` is the seven days that end with today."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta

from shared.dashboards.document.shapes import DateRange

Span = tuple[date | None, date | None]
_LAST = re.compile(r"last_([0-9]+)_(days|weeks|months|quarters|years)\Z")
_MONTHS = {"months": 1, "quarters": 3, "years": 12, "month": 1, "quarter": 3, "year": 12}


def resolve(wanted: DateRange, today: date) -> Span:
    """The two days that a range means on a given day; None is an open end."""
    if wanted.relative is None:
        return _day(wanted.start), _day(wanted.end)
    name = wanted.relative
    if name == "all_time":
        return None, None
    if name == "today":
        return today, today
    if name == "yesterday":
        return today - timedelta(days=1), today - timedelta(days=1)
    if match := _LAST.match(name):
        count, unit = int(match[1]), match[2]
        if unit in ("days", "weeks"):
            return _before(today, timedelta(days=count * (7 if unit == "weeks" else 1) - 1)), today
        return add_months(today, -count * _MONTHS[unit]) + timedelta(days=1), today
    if name.endswith("_to_date"):
        return _start_of(name.removesuffix("_to_date"), today), today
    which, _, unit = name.partition("_")
    start = _start_of(unit, today)
    if which == "previous":
        end = start - timedelta(days=1)
        return _start_of(unit, end), end
    return start, _end_of(unit, start)


def period_before(start: date, end: date) -> tuple[date, date] | None:
    """The span of the same length just before; whole months go back by whole months.

    None where it would begin before the calendar does, in the year 1.
    """
    months = (end.year - start.year) * 12 + end.month - start.month + 1
    if start.day == 1 and end.day == monthrange(end.year, end.month)[1]:
        there_are = (start.year - 1) * 12 + start.month - 1
        return (add_months(start, -months), start - timedelta(days=1)) if months <= there_are else None
    length = end - start + timedelta(days=1)
    return (start - length, start - timedelta(days=1)) if length <= start - date.min else None


def year_before(start: date, end: date) -> tuple[date, date] | None:
    """The same days a year earlier; a month's last day stays a month's last day. None before the year 1."""
    if start.year == date.min.year:
        return None
    moved_end = add_months(end, -12)
    if end.day == monthrange(end.year, end.month)[1]:
        moved_end = moved_end.replace(day=monthrange(moved_end.year, moved_end.month)[1])
    return add_months(start, -12), moved_end


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last day; not before the year 1 nor after 9999."""
    index = min(max(12, day.year * 12 + day.month - 1 + months), 9999 * 12 + 11)
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _before(day: date, length: timedelta) -> date:
    return date.min if day - date.min < length else day - length


def _start_of(unit: str, day: date) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    first_month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[unit]
    return day.replace(month=first_month, day=1)


def _end_of(unit: str, start: date) -> date:
    if unit == "week":
        return start + timedelta(days=6)
    return add_months(start, _MONTHS[unit]) - timedelta(days=1)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
