"""Filters: the reader's choices as typed query parameters.

    date_range `period`   → @period_start, @period_end   date
    number_range `delay`  → @delay_min, @delay_max       real
    select, search `x`    → @x                           text
    multi_select `x`      → @x                           list of text, empty = all
    toggle `x`            → @x                           boolean
    the clock             → @today date, @now timestamp, @now_local datetime

NULL means no restriction. In the address of a page the values are `period=2013-01-01..2013-03-31` (or a
range's name, or empty for all), `delay=10..`, `carrier=AA&carrier=DL`, `late=true`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.dashboards.document import ranges
from shared.dashboards.document.model import (
    DateRangeFilter,
    Document,
    Filter,
    MultiSelectFilter,
    NumberRangeFilter,
    SearchFilter,
    SelectFilter,
    ToggleFilter,
)
from shared.dashboards.document.problems import did_you_mean
from shared.dashboards.document.shapes import DateRange
from shared.platform.clock import iso
from shared.platform.errors import ValidationFailed
from shared.platform.text import numerals
from shared.platform.text.characters import storable
from shared.warehouses.types import Kind, Parameter

CLOCK = ("today", "now", "now_local")
RESERVED = ("team_id", "limit", "cursor", "offset")
MAX_TEXT = 300
MAX_CHOICES = 100


@dataclass(frozen=True)
class Clock:
    """The moment that the clock's parameters name, in the dashboard's zone."""

    today: date
    now: datetime
    local: datetime
    """`now` as the clocks of the zone show it, without the zone."""

    @classmethod
    def at(cls, instant: datetime, timezone: str) -> Clock:
        """The clock of a document. @now is cut to the hour, so that results can be shared within it."""
        zone = ZoneInfo(timezone)
        hour = instant.replace(minute=0, second=0, microsecond=0)
        return cls(instant.astimezone(zone).date(), hour, hour.astimezone(zone).replace(tzinfo=None))

    def parameters(self) -> dict[str, Parameter]:
        """@today, @now and @now_local."""
        return {
            "today": Parameter("today", Kind.DATE, self.today.isoformat()),
            "now": Parameter("now", Kind.TIMESTAMP, iso(self.now)),
            "now_local": Parameter("now_local", Kind.DATETIME, self.local.isoformat()),
        }


@dataclass(frozen=True)
class Values:
    """The chosen value of each filter: bound parameters, and the choice as the page shows it."""

    parameters: Mapping[str, Parameter]
    shown: Mapping[str, Any] = field(default_factory=dict)
    spans: Mapping[str, tuple[date | None, date | None]] = field(default_factory=dict)


def parameter_names(item: Filter) -> tuple[str, ...]:
    """The parameters that a filter binds."""
    match item:
        case DateRangeFilter():
            return (f"{item.id}_start", f"{item.id}_end")
        case NumberRangeFilter():
            return (f"{item.id}_min", f"{item.id}_max")
    return (item.id,)


def read(document: Document, given: Mapping[str, str | Sequence[str]], clock: Clock) -> Values:
    """The parameters for what an address says; raises ValidationFailed naming the field."""
    known = {item.id: item for item in document.filters}
    for name in given:
        if name not in known:
            raise ValidationFailed(
                f"The dashboard has no filter {name[:60]!r}. {did_you_mean(name, known) or ''}".strip(),
                field=name[:60],
                reason="unknown filter",
            )
    parameters: dict[str, Parameter] = {}
    shown: dict[str, Any] = {}
    spans: dict[str, tuple[date | None, date | None]] = {}
    for item in document.filters:
        raw = given.get(item.id)
        values = None if raw is None else [raw] if isinstance(raw, str) else list(raw)
        if values is not None and len(values) > 1 and not isinstance(item, MultiSelectFilter):
            raise _refused(item.id, "given twice")
        if isinstance(item, DateRangeFilter):
            span = _dates(item, values, clock.today)
            spans[item.id] = span
            start, end = (day.isoformat() if day else None for day in span)
            names = parameter_names(item)
            parameters[names[0]] = Parameter(names[0], Kind.DATE, start)
            parameters[names[1]] = Parameter(names[1], Kind.DATE, end)
            shown[item.id] = {"start": start, "end": end}
        elif isinstance(item, NumberRangeFilter):
            low, high = _numbers(item, values)
            names = parameter_names(item)
            parameters[names[0]] = Parameter(names[0], Kind.REAL, low)
            parameters[names[1]] = Parameter(names[1], Kind.REAL, high)
            shown[item.id] = {"min": low, "max": high}
        else:
            parameters[item.id], shown[item.id] = _plain(item, values)
    return Values(parameters, shown, spans)


def shifted(values: Values, comparison: str, filter_id: str) -> Mapping[str, Parameter] | None:
    """The parameters of the period before (or a year before).

    None when the range is open, or so early that there is no such period.
    """
    start, end = values.spans[filter_id]
    if start is None or end is None:
        return None
    moved = (
        ranges.year_before(start, end) if comparison == "previous_year" else ranges.period_before(start, end)
    )
    if moved is None:
        return None
    return dict(values.parameters) | {
        f"{filter_id}_start": Parameter(f"{filter_id}_start", Kind.DATE, moved[0].isoformat()),
        f"{filter_id}_end": Parameter(f"{filter_id}_end", Kind.DATE, moved[1].isoformat()),
    }


def unrestricted(item: Filter) -> dict[str, Parameter]:
    """The parameters of a filter that does not apply."""
    names = parameter_names(item)
    match item:
        case DateRangeFilter():
            return {name: Parameter(name, Kind.DATE, None) for name in names}
        case NumberRangeFilter():
            return {name: Parameter(name, Kind.REAL, None) for name in names}
        case MultiSelectFilter():
            return {item.id: Parameter(item.id, Kind.TEXT, (), array=True)}
        case ToggleFilter():
            return {item.id: Parameter(item.id, Kind.BOOLEAN, None)}
    return {item.id: Parameter(item.id, Kind.TEXT, None)}


def _dates(item: DateRangeFilter, given: list[str] | None, today: date) -> tuple[date | None, date | None]:
    if given is None:
        return ranges.resolve(item.default, today) if item.default else (None, None)
    text = given[0]
    if not text:
        return None, None
    first, dots, last = text.partition("..")
    try:
        wanted = DateRange(start=first or None, end=last or None) if dots else DateRange(relative=text)
    except ValueError:
        raise _refused(item.id, "must be like 2013-01-01..2013-03-31 or last_90_days") from None
    return ranges.resolve(wanted, today)


def _numbers(item: NumberRangeFilter, given: list[str] | None) -> tuple[float | None, float | None]:
    if given is None:
        return (item.default.min, item.default.max) if item.default else (None, None)
    text = given[0]
    if not text:
        return None, None
    first, dots, last = text.partition("..")
    low, high = (numerals.real(part.strip(" ")) for part in (first, last))
    misread = (first and low is None) or (last and high is None)
    if not dots or misread or (low is not None and high is not None and low > high):
        raise _refused(item.id, "must be like 10..20, 10.. or ..20")
    return low, high


def _plain(
    item: SelectFilter | MultiSelectFilter | SearchFilter | ToggleFilter, given: list[str] | None
) -> tuple[Parameter, Any]:
    if isinstance(item, ToggleFilter):
        state = item.default if given is None else {"true": True, "false": False}.get(given[0])
        if state is None:
            raise _refused(item.id, "must be true or false")
        return Parameter(item.id, Kind.BOOLEAN, state), state
    if isinstance(item, MultiSelectFilter):
        chosen = list(item.default) if given is None else [value for value in given if value]
        if len(chosen) > MAX_CHOICES:
            raise _refused(item.id, f"takes at most {MAX_CHOICES} values")
        for value in chosen:
            _check_choice(item, value)
        chosen = sorted(set(chosen))
        return Parameter(item.id, Kind.TEXT, tuple(chosen), array=True), chosen
    text = item.default if given is None else given[0] or None
    if text is not None:
        _check_choice(item, text)
    return Parameter(item.id, Kind.TEXT, text), text


def _check_choice(item: SelectFilter | MultiSelectFilter | SearchFilter, value: str) -> None:
    if len(value) > MAX_TEXT:
        raise _refused(item.id, f"is longer than {MAX_TEXT} characters")
    if storable(value) != value:
        raise _refused(item.id, "contains a NUL or half a surrogate pair")
    if not isinstance(item, SearchFilter) and item.options:
        values = [option.value for option in item.options]
        if value not in values:
            hint = did_you_mean(value, values) or ""
            raise _refused(item.id, f"{value[:60]!r} is not one of the options. {hint}".strip())


def _refused(field_name: str, reason: str) -> ValidationFailed:
    return ValidationFailed(f"{field_name}: {reason}", field=field_name, reason=reason)
