"""Named date ranges mean what people mean by them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dashboards.document import ranges
from shared.dashboards.document.shapes import DateRange

TODAY = date(2024, 3, 31)


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("today", "2024-03-31", "2024-03-31"),
        ("yesterday", "2024-03-30", "2024-03-30"),
        ("last_7_days", "2024-03-25", "2024-03-31"),
        ("last_2_weeks", "2024-03-18", "2024-03-31"),
        ("last_1_months", "2024-03-01", "2024-03-31"),
        ("last_12_months", "2023-04-01", "2024-03-31"),
        ("this_week", "2024-03-25", "2024-03-31"),
        ("previous_week", "2024-03-18", "2024-03-24"),
        ("this_month", "2024-03-01", "2024-03-31"),
        ("previous_month", "2024-02-01", "2024-02-29"),
        ("this_quarter", "2024-01-01", "2024-03-31"),
        ("previous_quarter", "2023-10-01", "2023-12-31"),
        ("previous_year", "2023-01-01", "2023-12-31"),
        ("month_to_date", "2024-03-01", "2024-03-31"),
        ("year_to_date", "2024-01-01", "2024-03-31"),
    ],
)
def test_a_name_is_two_days(name: str, start: str, end: str) -> None:
    """Both inclusive, on a leap year's quarter end."""
    found = ranges.resolve(DateRange(relative=name), TODAY)
    assert [day.isoformat() if day else None for day in found] == [start, end]


def test_all_time_is_open() -> None:
    """No restriction."""
    assert ranges.resolve(DateRange(relative="all_time"), TODAY) == (None, None)


@pytest.mark.parametrize(
    ("span", "before", "year_before"),
    [
        (("2024-03-01", "2024-03-31"), ("2024-02-01", "2024-02-29"), ("2023-03-01", "2023-03-31")),
        (("2024-01-01", "2024-12-31"), ("2023-01-01", "2023-12-31"), ("2023-01-01", "2023-12-31")),
        (("2024-03-10", "2024-03-16"), ("2024-03-03", "2024-03-09"), ("2023-03-10", "2023-03-16")),
        (("2024-02-29", "2024-02-29"), ("2024-02-28", "2024-02-28"), ("2023-02-28", "2023-02-28")),
        (("2023-02-01", "2023-02-28"), ("2023-01-01", "2023-01-31"), ("2022-02-01", "2022-02-28")),
        (("2025-02-01", "2025-02-28"), ("2025-01-01", "2025-01-31"), ("2024-02-01", "2024-02-29")),
    ],
)
def test_what_a_range_is_compared_with(
    span: tuple[str, str], before: tuple[str, str], year_before: tuple[str, str]
) -> None:
    """Whole months with whole months, days with as many days, February with February."""
    start, end = (date.fromisoformat(day) for day in span)
    assert ranges.period_before(start, end) == tuple(map(date.fromisoformat, before))
    assert ranges.year_before(start, end) == tuple(map(date.fromisoformat, year_before))


@pytest.mark.parametrize(
    ("span", "before", "year_before"),
    [
        (("0001-01-01", "0001-01-02"), None, None),
        (("0001-01-01", "0001-01-31"), None, None),
        (("0001-02-01", "0001-02-28"), ("0001-01-01", "0001-01-31"), None),
        (("0001-02-01", "0001-03-31"), None, None),
        (("0001-01-02", "0001-01-02"), ("0001-01-01", "0001-01-01"), None),
        (("0002-01-01", "0002-12-31"), ("0001-01-01", "0001-12-31"), ("0001-01-01", "0001-12-31")),
        (("0001-01-01", "9999-12-31"), None, None),
        (("9999-12-01", "9999-12-31"), ("9999-11-01", "9999-11-30"), ("9998-12-01", "9998-12-31")),
        (("9999-12-31", "9999-12-31"), ("9999-12-30", "9999-12-30"), ("9998-12-31", "9998-12-31")),
    ],
)
def test_there_is_nothing_before_the_calendar(
    span: tuple[str, str], before: tuple[str, str] | None, year_before: tuple[str, str] | None
) -> None:
    """A period that would begin before the year 1 is none, and the last day of 9999 is a day like any other."""
    start, end = (date.fromisoformat(day) for day in span)
    assert ranges.period_before(start, end) == (before and tuple(map(date.fromisoformat, before)))
    assert ranges.year_before(start, end) == (year_before and tuple(map(date.fromisoformat, year_before)))


@given(st.dates(), st.dates())
def test_any_two_days_have_a_period_before_or_none(one: date, other: date) -> None:
    """No two days are an error, and what is answered lies before them."""
    start, end = min(one, other), max(one, other)
    for found in (ranges.period_before(start, end), ranges.year_before(start, end)):
        assert found is None or found[0] <= found[1] < end


@given(st.dates(), st.sampled_from(["days", "weeks", "months", "quarters", "years"]), st.integers(1, 9999))
def test_any_named_range_is_two_days_on_any_day(today: date, unit: str, count: int) -> None:
    """Also when it reaches beyond the first day that there is."""
    start, end = ranges.resolve(DateRange(relative=f"last_{count}_{unit}"), today)
    assert start is not None
    assert start <= today == end


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.integers(0, 4000))
def test_the_period_before_ends_the_day_before(start: date, length: int) -> None:
    """No gap, no overlap, and never a range that runs backwards."""
    found = ranges.period_before(start, start + timedelta(days=length))
    assert found is not None
    first, last = found
    assert last == start - timedelta(days=1)
    assert first <= last
