"""The dates of the data and the step of time that a goal and the data allow."""

from __future__ import annotations

from datetime import date, datetime

from shared.analyst.builtin import roles
from shared.analyst.builtin.goal import Cycle, Goal, Grain
from shared.analyst.builtin.ranges import Period
from shared.analyst.builtin.roles import Times
from shared.analyst.builtin.trees import Step
from shared.analyst.builtin.view import Table
from shared.warehouses.types import Kind


def data_period(time: Times | None) -> Period | None:
    """From the first to the last date of a time column, as profiled."""
    if time is None:
        return None
    first, last = _date(time, time.column.stats.minimum, 1), _date(time, time.column.stats.maximum, 12)
    return Period(first, last) if first and last else None


def _date(time: Times, value: object, month: int) -> date | None:
    try:
        if time.kind == "year":
            return date(int(str(value)), month, 31 if month == 12 else 1)
        return datetime.fromisoformat(str(value).replace("Z", "+00:00").replace(" UTC", "+00:00")).date()
    except (ValueError, TypeError, OverflowError):
        return None


def _cycle(cycle: Cycle, table: Table, time: Times) -> Step | None:
    """A rhythm's step; hours come from another column where the time column is a date."""
    names = {"weekday": "weekday", "hour": "hour_of_day", "month": "month_of_year"}
    if cycle != "hour" or time.kind != "date":
        return Step(names[cycle], cycle=cycle)
    part = next(
        (column for column in table.columns if roles.role(column) == "part" and column.words == ("hour",)),
        None,
    )
    instant = next(
        (column for column in table.columns if column.kind in (Kind.TIMESTAMP, Kind.DATETIME)), None
    )
    column = part or instant
    return None if column is None else Step(names[cycle], cycle=cycle, column=column)


_SIZES: tuple[Grain, ...] = ("hour", "day", "week", "month", "quarter", "year")
_DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}


def step_of(
    goal: Goal, table: Table, time: Times | None, period: Period | None, notes: list[str]
) -> Step | None:
    if time is None:
        return None
    if (
        goal.cycle is not None
        and time.kind != "year"
        and (found := _cycle(goal.cycle, table, time)) is not None
    ):
        return found
    finest = _finest(time)
    days = (period.end - period.start).days + 1 if period else 365
    fitting: Grain = (
        "day" if days <= 45 else "week" if days <= 190 else "month" if days <= 366 * 12 else "year"
    )
    grain = goal.grain or fitting
    if _SIZES.index(grain) < _SIZES.index(finest):
        if goal.grain:
            notes.append(
                f"{time.column.path} has one value a {finest}, so a finer step than that is not in the data."
            )
        grain = finest
    return Step(grain, grain)


def _finest(time: Times) -> Grain:
    """The finest step that the data has, judged by how far apart its distinct times are."""
    if time.kind == "year":
        return "year"
    data, distinct = data_period(time), time.column.stats.distinct
    if data is None or not distinct or distinct < 3:
        return "day" if time.kind == "date" else "hour"
    apart = (data.end - data.start).days / (distinct - 1)
    grains: tuple[Grain, ...] = ("year", "quarter", "month", "week")
    for grain in grains:
        if apart >= 0.9 * _DAYS[grain]:
            return grain
    return "day" if time.kind == "date" or apart >= 0.9 else "hour"
