"""The one JSON form of warehouse values."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.text import strict_json
from shared.warehouses.values import to_json

ZONE = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**63), "-9223372036854775808"),
        (1.5, 1.5),
        (float("nan"), None),
        (float("inf"), None),
        (float("-inf"), None),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("NaN"), None),
        (date(2013, 1, 2), "2013-01-02"),
        (time(1, 2, 3), "01:02:03"),
        (datetime(2013, 1, 2, 3, 4, 5), "2013-01-02T03:04:05"),
        (datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC), "2013-01-02T03:04:05Z"),
        (datetime(2013, 1, 2, 3, 4, 5, tzinfo=ZONE), "2013-01-02T01:04:05Z"),
        (b"\x00\xff", "AP8="),
        ([1, None, [Decimal(1)]], [1, None, ["1"]]),
        ({"a": {"b": date(2013, 1, 2)}}, {"a": {"b": "2013-01-02"}}),
    ],
)
def test_each_type_has_one_form(value: Any, expected: Any) -> None:
    """Exact numbers stay exact, instants are in UTC, and what JSON can't say is null."""
    assert to_json(value) == expected
    assert type(to_json(value)) is type(expected)


def test_a_type_that_no_warehouse_gives_is_an_error() -> None:
    """A silent str() would hide a new type of a driver behind a text nobody specified."""
    with pytest.raises(TypeError):
        to_json(object())


CELLS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(CELLS)
def test_every_value_becomes_strict_json(value: Any) -> None:
    """Whatever a cell holds, the answer that carries it is valid JSON without NaN."""
    strict_json.dumps(to_json(value))
