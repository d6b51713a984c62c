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
    assert tuple(day.isoformat() for day in ranges.period_before(start, end)) == before
    assert tuple(day.isoformat() for day in ranges.year_before(start, end)) == year_before


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.integers(0, 4000))
def test_the_period_before_ends_the_day_before(start: date, length: int) -> None:
    """No gap, no overlap, and never a range that runs backwards."""
    first, last = ranges.period_before(start, start + timedelta(days=length))
    assert last == start - timedelta(days=1)
    assert first <= last
