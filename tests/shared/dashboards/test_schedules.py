"""A schedule that is accepted has a next time, at every look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
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
    assert schedules.next_after(schedule, after, "UTC") > after


@given(
    st.lists(FIELD, min_size=5, max_size=5).map(" ".join),
    st.datetimes(datetime(2024, 1, 1), datetime(2099, 1, 1)),
)
def test_what_is_accepted_has_a_next_time_from_any_moment(schedule: str, at: datetime) -> None:
    """What validation passes can be saved, this year and in eighty."""
    after = at.replace(tzinfo=UTC)
    if schedules.problem(schedule) is None:
        assert schedules.next_after(schedule, after, "UTC") > after


@pytest.mark.parametrize(
    ("zone", "after", "due"),
    [
        ("UTC", "2024-03-30T12:00Z", "2024-03-31T02:30Z"),
        ("Asia/Tokyo", "2024-03-30T12:00Z", "2024-03-30T17:30Z"),
        ("Asia/Kolkata", "2024-03-30T12:00Z", "2024-03-30T21:00Z"),
        # 02:30 does not exist on the last Sunday of March: the clocks go from 02:00 to 03:00 at 01:00 UTC.
        ("Europe/Berlin", "2024-03-30T12:00Z", "2024-03-31T01:00Z"),
        ("Europe/Berlin", "2024-03-31T01:00Z", "2024-04-01T00:30Z"),
        # It occurs twice on the last Sunday of October: due the first time only.
        ("Europe/Berlin", "2024-10-26T12:00Z", "2024-10-27T00:30Z"),
        ("Europe/Berlin", "2024-10-27T00:30Z", "2024-10-28T01:30Z"),
        ("Europe/Berlin", "2024-10-27T01:10Z", "2024-10-28T01:30Z"),
        ("America/New_York", "2024-03-09T12:00Z", "2024-03-10T07:00Z"),
        # Half an hour is left out.
        ("Australia/Lord_Howe", "2024-10-05T01:00Z", "2024-10-05T15:30Z"),
        # A whole day is left out: the 30th of December 2011.
        ("Pacific/Apia", "2011-12-29T20:00Z", "2011-12-30T10:00Z"),
    ],
)
def test_half_past_two_is_half_past_two_where_the_readers_are(zone: str, after: str, due: str) -> None:
    """On the days on which the clocks are changed it is due once, too."""
    found = schedules.next_after("30 2 * * *", datetime.fromisoformat(after), zone)
    assert found == datetime.fromisoformat(due)


CHANGES = {
    "Europe/Berlin": [datetime(2024, 3, 31, 1), datetime(2024, 10, 27, 1)],
    "America/New_York": [datetime(2024, 3, 10, 7), datetime(2024, 11, 3, 6)],
    "Australia/Lord_Howe": [datetime(2024, 4, 6, 15), datetime(2024, 10, 5, 15, 30)],
    "America/St_Johns": [datetime(2024, 3, 10, 5, 30), datetime(2024, 11, 3, 4, 30)],
}


def _due(schedule: str, after: datetime, zone: str) -> Iterator[datetime]:
    """Minute by minute: due is the minute in which the clock first shows, or first is past, a time that was due."""
    minute = after.replace(second=0, microsecond=0)
    seen = minute.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    for earlier in range(240):
        wall = (minute - timedelta(minutes=earlier)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        seen = max(seen, wall)
    upcoming = croniter(schedule, seen).get_next(datetime)
    while True:
        minute += timedelta(minutes=1)
        wall = minute.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        if wall >= upcoming:
            yield minute
            upcoming = croniter(schedule, wall).get_next(datetime)


@given(
    st.sampled_from(sorted(CHANGES)).flatmap(
        lambda zone: st.tuples(st.just(zone), st.sampled_from(CHANGES[zone]))
    ),
    st.integers(-300, 200),
    st.sampled_from(["30 2 * * *", "*/15 * * * *", "0 * * * *", "15 1,2,3 * * *", "5 0-3 * * *"]),
)
def test_around_a_change_of_the_clocks_each_time_is_due_once(
    change: tuple[str, datetime], minutes: int, schedule: str
) -> None:
    """What a clock on the wall would tell to somebody who looks at it each minute and ticks off what is due."""
    zone, at = change
    after = at.replace(tzinfo=UTC) + timedelta(minutes=minutes)
    expected = _due(schedule, after, zone)
    for _ in range(4):
        after = schedules.next_after(schedule, after, zone)
        assert after == next(expected)
