"""Read ranges of time out of a goal: "in 2013", "since March", "between 2001 and 2005", "last 90 days".

A relative range is anchored to the last date of the data, not to today: a data set that ends in the past
would otherwise answer every "last month" with nothing. The text that is shown says so.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from shared.analyst.builtin.vocabulary import MONTHS, NUMBERS

MOST_DIGITS = 7
"""Of a number of steps; whatever is larger reaches beyond the calendar as well."""
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_DATE = rf"(?:\d{{4}}-\d{{2}}-\d{{2}}|(?:{_MONTH})\.?(?: \d{{1,2}}(?:st|nd|rd|th)?,?)?(?: of)? \d{{4}}|q[1-4] (?:of )?\d{{4}}|\d{{4}} q[1-4]|\d{{4}}|(?:{_MONTH})\b)"
_BETWEEN = re.compile(rf"\b(?:between|from)\s++({_DATE})\s++(?:and|to|until|till|through)\s++({_DATE})", re.I)
_DASH = re.compile(r"\b((?:1[5-9]|20|21)\d\d)\s*+[-–]\s*+((?:1[5-9]|20|21)\d\d)\b")
_SINCE = re.compile(rf"\b(?:since|after|from|starting(?: in| from)?)\s++({_DATE})", re.I)
_UNTIL = re.compile(rf"\b(?:until|till|before|up to|through)\s++({_DATE})", re.I)
_IN = re.compile(rf"\b(?:in|during|for|of|on|throughout|within|year)\s++(?:the year\s++)?({_DATE})", re.I)
_BARE = re.compile(
    rf"\b(\d{{4}}-\d{{2}}-\d{{2}}|(?:{_MONTH}) \d{{4}}|q[1-4] \d{{4}}|(?:1[5-9]|20|21)\d\d)\b", re.I
)
_LAST = re.compile(
    rf"\b(?:(?:in|over|during|for|within)\s++)?(?:the\s++)?(?:last|past|previous|recent|latest)\s++"
    rf"(?:(\d+|{'|'.join(NUMBERS)})\s++)?(day|week|month|quarter|year)s?\b",
    re.I,
)
_THIS = re.compile(r"\b(?:this|current)\s++(week|month|quarter|year)\b|\b(year|month)[- ]to[- ]date\b", re.I)


@dataclass(frozen=True)
class Span:
    """A range as it was said. `start`/`end` are inclusive; `last` counts back from the data's last date."""

    start: date | None = None
    end: date | None = None
    last: tuple[int, str] | None = None
    this: str | None = None
    month: int | None = None
    """A month without a year: of the data's last such year."""
    text: str = ""


@dataclass(frozen=True)
class Period:
    """A range of dates, both included."""

    start: date
    end: date


def read(text: str) -> tuple[Span | None, list[tuple[int, int]]]:
    """The range that a text speaks of, and the stretches of it that were read (so that nothing else reads them)."""
    if found := _LAST.search(text):
        count = _count(found[1])
        return Span(last=(count, found[2].lower()), text=found[0]), [found.span()]
    if found := _THIS.search(text):
        return Span(this=(found[1] or found[2]).lower(), text=found[0]), [found.span()]
    if found := _BETWEEN.search(text):
        first, last = _span(found[1]), _span(found[2])
        if first and last and first.start and last.end:
            if last.start is not None and last.start < first.start:
                first, last = last, first
            return Span(first.start, last.end, text=found[0]), [found.span()]
    if found := _DASH.search(text):
        return Span(date(int(found[1]), 1, 1), date(int(found[2]), 12, 31), text=found[0]), [found.span()]
    since, until = _SINCE.search(text), _UNTIL.search(text)
    if since or until:
        first = _span(since[1]) if since else None
        last = _span(until[1]) if until else None
        start = first.start if first else None
        if first and first.month and not first.start:
            return Span(month=first.month, text=f"since {since[1]}" if since else ""), _spans(since, until)
        end = (
            _day_before(last.start)
            if last and last.start and until and "before" in until[0].lower()
            else last.end
            if last
            else None
        )
        if start or end:
            return Span(start, end, text=" ".join(match[0] for match in (since, until) if match)), _spans(
                since, until
            )
    for pattern in (_IN, _BARE):
        if (found := pattern.search(text)) and (span := _span(found[1])):
            return Span(span.start, span.end, month=span.month, text=found[0]), [found.span()]
    return None, []


def _day_before(day: date) -> date:
    return day - timedelta(days=1) if day > date.min else day


def _spans(*matches: re.Match[str] | None) -> list[tuple[int, int]]:
    return [match.span() for match in matches if match]


def _count(said: str | None) -> int:
    if said is None:
        return 1
    return max(1, int(said[:MOST_DIGITS])) if said.isdigit() else NUMBERS[said.lower()]


def _span(said: str) -> Span | None:
    """A day, month, quarter or year as its first and last date; None for one that no calendar has."""
    try:
        return _dates(said)
    except ValueError:
        return None


def _dates(said: str) -> Span | None:
    text = said.lower().replace(".", "").replace(",", " ").replace(" of ", " ")
    if found := re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", text):
        return _day(date(int(found[1]), int(found[2]), int(found[3])))
    if found := re.fullmatch(r"q([1-4]) +(\d{4})", text) or re.fullmatch(
        r"(?P<y>\d{4}) +q(?P<q>[1-4])", text
    ):
        groups = found.groupdict()
        quarter, year = (int(groups["q"]), int(groups["y"])) if groups else (int(found[1]), int(found[2]))
        last = quarter * 3
        return Span(date(year, last - 2, 1), date(year, last, calendar.monthrange(year, last)[1]))
    if found := re.fullmatch(rf"({_MONTH})(?: +(\d{{1,2}})(?:st|nd|rd|th)?)? +(\d{{4}})", text):
        month, year = MONTHS[found[1]], int(found[3])
        if found[2]:
            return _day(date(year, month, int(found[2])))
        return Span(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))
    if re.fullmatch(r"\d{4}", text):
        year = int(text)
        return Span(date(year, 1, 1), date(year, 12, 31)) if 1500 <= year <= 2199 else None
    if text.strip() in MONTHS and text.strip() != "may":
        return Span(month=MONTHS[text.strip()])
    return None


def _day(day: date) -> Span:
    return Span(day, day)


def reaches_before(span: Span | None, data: Period) -> bool:
    """Whether a range that counts back begins before the data does: "last 3000 years"."""
    return span is not None and span.last is not None and _back(data.end, *span.last) < data.start


def resolve(span: Span | None, data: Period) -> Period:
    """The dates that a range means for data that runs from `data.start` to `data.end`."""
    if span is None:
        return data
    if span.last is not None:
        count, size = span.last
        return Period(max(data.start, _back(data.end, count, size)), data.end)
    if span.this is not None:
        return Period(max(data.start, _opening(data.end, span.this)), data.end)
    if span.month is not None:
        year = data.end.year if date(data.end.year, span.month, 1) <= data.end else max(1, data.end.year - 1)
        start = date(year, span.month, 1)
        if span.text.startswith("since"):
            return Period(start, data.end)
        return Period(start, date(year, span.month, calendar.monthrange(year, span.month)[1]))
    return Period(span.start or data.start, span.end or data.end)


def _back(end: date, count: int, size: str) -> date:
    """The first day of so many steps that end here; the first day of the calendar where there are not so many."""
    if size in ("day", "week"):
        days = count * (7 if size == "week" else 1) - 1
        return end - timedelta(days=days) if days <= (end - date.min).days else date.min
    months = count * {"month": 1, "quarter": 3, "year": 12}[size]
    index = end.year * 12 + end.month - 1 - months
    if index < 12:
        return date.min
    year, month = divmod(index, 12)
    day = min(end.day, calendar.monthrange(year, month + 1)[1])
    return date(year, month + 1, day) + timedelta(days=1)


def _opening(end: date, size: str) -> date:
    if size == "week":
        return end - timedelta(days=end.weekday())
    if size == "month":
        return end.replace(day=1)
    if size == "quarter":
        return date(end.year, (end.month - 1) // 3 * 3 + 1, 1)
    return date(end.year, 1, 1)


def spoken(period: Period) -> str:
    """The period in words: 2013, March 2013, 1 Jan to 31 Mar 2013."""
    start, end = period.start, period.end
    if (start.month, start.day, end.month, end.day) == (1, 1, 12, 31):
        return str(start.year) if start.year == end.year else f"{start.year} to {end.year}"
    last = calendar.monthrange(end.year, end.month)[1]
    if start.day == 1 and end.day == last:
        if (start.year, start.month) == (end.year, end.month):
            return f"{start:%B %Y}"
        return f"{start:%b %Y} to {end:%b %Y}" if start.year != end.year else f"{start:%b} to {end:%b %Y}"
    if start.year == end.year:
        return f"{start.day} {start:%b} to {end.day} {end:%b %Y}"
    return f"{start.day} {start:%b %Y} to {end.day} {end:%b %Y}"
