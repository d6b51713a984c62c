"""A schedule that is accepted has a next time, at every look."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dashboards.document import schedules

NEVER = [
    "0 0 31 2 *", "0 6 31 2 *", "* * 30 2 *", "0 0 30-31 2 *", "0 0 30,31 feb *", "0 0 31 FEB *", "0 0 31 4,6,9,11 *", "0 0 31 2 ?",
    "*/5 */2 31 2 *", "0 0 31 2 1#5", "0 0 31 2 L1", "0 0 29 2 3#1", "0 0 1 1 sun#2", "0  0\t31 2  *",
]  # fmt: skip
MALFORMED = [
    "", "hourly", "@daily", "* * * *", "* * * * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 32 1 *", "0 0 * 13 *", "*/0 * * * *",
    "R R * * *", "r(1-5) 1 * * *", "H H * * *", "0 0 R 2 *", "０ ６ * * *", "٣ * * * *", "0 0 ² * *", "1-0-2 * * * *", "- * * * *",
]  # fmt: skip
FINE = [
    "0 6 * * *", "*/15 * * * *", "0 0 29 2 *", "0 0 31 2 1", "0 0 L 2 *", "0 6 * * mon-fri", "30 5 1,15 jan-mar,oct *", "0 0 * * 5#5", "0 0 ? * thu",
]  # fmt: skip
FIELD = st.one_of(
    st.sampled_from(["*", "?", "L", "*/7", "R", "feb", "sun#5", "L5", "1-5/2", "31", "30,31", "2"]),
    st.integers(0, 61).map(str),
    st.text(st.sampled_from("0123456789*/,-#?LRHabefnsu"), min_size=1, max_size=6),
)


@pytest.mark.parametrize("schedule", NEVER)
def test_a_schedule_of_a_day_that_there_is_not_is_refused(schedule: str) -> None:
    """Whatever the form in which it names the thirtieth of February."""
    assert schedules.problem(schedule) == "never fires: there is no such day"


@pytest.mark.parametrize("schedule", MALFORMED)
def test_what_is_no_cron_expression_is_refused(schedule: str) -> None:
    """Other numbers of fields, digits of other scripts, and fields that are drawn by chance at each look."""
    assert "cron expression of five fields" in (schedules.problem(schedule) or "")


@pytest.mark.parametrize("schedule", FINE)
def test_what_fires_however_rarely_is_accepted(schedule: str) -> None:
    """A leap day is a day, and a weekday beside a day of the month is another chance."""
    assert schedules.problem(schedule) is None
    after = datetime(2096, 3, 1, tzinfo=UTC)
    assert schedules.next_after(schedule, after) > after


@given(
    st.lists(FIELD, min_size=5, max_size=5).map(" ".join),
    st.datetimes(datetime(2024, 1, 1), datetime(2099, 1, 1)),
)
def test_what_is_accepted_has_a_next_time_from_any_moment(schedule: str, at: datetime) -> None:
    """What validation passes can be saved, this year and in eighty."""
    after = at.replace(tzinfo=UTC)
    if schedules.problem(schedule) is None:
        assert schedules.next_after(schedule, after) > after
