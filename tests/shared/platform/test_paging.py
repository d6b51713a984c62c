"""Cursors and instants come from clients: what another list, a script or a curious person made is refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.platform.errors import InvalidCursor
from shared.platform.paging import Instant, Kind, Page, cursor, cut

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

ID = "01920f2e-7c1a-7def-8abc-0123456789ab"
"""The same in every process: the ids of the tests are made of it."""


def encoded(values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def test_a_cursor_brings_the_sort_key_of_the_last_row_back() -> None:
    """With its types, to the microsecond: the next page begins right after it."""
    id = ID
    rows = [{"at": AT, "id": id, "name": "ö\n", "position": 7}, {}]
    page, paging = cut(rows, 1, "at", "id", "name", "position")
    assert page == rows[:1]
    assert paging["has_more"]
    kinds: tuple[Kind, ...] = ("instant", "id", "text", "number")
    assert Page(cursor=paging["next_cursor"]).after(*kinds) == [AT, id, "ö\n", 7]
    assert Page().after(*kinds) == [None] * 4


@pytest.mark.parametrize(
    ("kinds", "values"),
    [
        (("instant", "id"), ["yesterday", ID]),
        (("instant", "id"), ["2026-01-02T03:04:05", ID]),
        (("instant", "id"), ["0001-01-01T00:00:00+23:59", ID]),
        (("instant", "id"), ["9999-12-31T23:59:59-23:59", ID]),
        (("instant", "id"), [1, 2]),
        (("instant", "id"), [AT.isoformat(), "y"]),
        (("instant", "id"), [AT.isoformat()]),
        (("instant", "id"), {"at": "2026"}),
        (("text",), ["a\0"]),
        (("text",), ["\ud800"]),
        (("text",), [1]),
        (("text",), [None]),
        (("number",), [-1]),
        (("number",), [2**31]),
        (("number",), [10**300]),
        (("number",), [True]),
        (("number",), ["1"]),
    ],
    ids=repr,
)
def test_a_cursor_of_another_list_is_refused_by_name(kinds: tuple[Kind, ...], values: Any) -> None:
    """What Postgres would stumble over never reaches it."""
    with pytest.raises(InvalidCursor) as caught:
        Page(cursor=encoded(values)).after(*kinds)
    assert (caught.value.field, caught.value.status) == ("cursor", 400)
    assert caught.value.reason == "it belongs to another list"


@pytest.mark.parametrize("text", ["e30", "!", "é", "WzE", cursor(1)[:-1] + "\n", "[" * 400], ids=ascii)
def test_a_cursor_that_is_none_is_refused_by_name(text: str) -> None:
    """Not base64, not JSON, not a list."""
    with pytest.raises(InvalidCursor):
        Page(cursor=text).after("number")


def test_an_instant_is_read_in_utc_and_stays_in_the_calendar() -> None:
    """An offset can put a valid date before the year 1 or after 9999, where no answer could show it."""
    read = TypeAdapter(Instant)
    assert read.validate_python("2026-01-02T01:00:00+02:00") == datetime(2026, 1, 1, 23, tzinfo=UTC)
    assert read.validate_python("9999-12-31T23:59:59Z").year == 9999
    for beyond in ("9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01"):
        with pytest.raises(ValidationError, match="between the years 1 and 9999"):
            read.validate_python(beyond)
    with pytest.raises(ValidationError):
        read.validate_python("2026-01-02T01:00:00")
