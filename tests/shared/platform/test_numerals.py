"""Numbers that come as text: ASCII digits in a range, or none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.text import numerals


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), ("7", 7), ("0012", 12), ("9223372036854775807", 2**63 - 1), ("9223372036854775808", None),
        ("", None), ("-1", None), ("+1", None), ("1.0", None), ("1_0", None), (" 1", None), ("1\n", None), ("0x1", None), ("1e3", None),
        ("²", None), ("⁰", None), ("٣", None), ("１", None), ("①", None), ("𝟏", None), ("9" * 5_000, None),
    ],
)  # fmt: skip
def test_a_whole_number_is_ascii_digits(text: str, number: int | None) -> None:
    """Digits of other scripts, signs, spaces and 5,000 digits are no number, and no error either."""
    assert numerals.whole(text) == number


def test_a_whole_number_above_the_callers_most_is_none() -> None:
    """A position that Postgres' integer can't hold is one that there is not."""
    assert numerals.whole("2147483647", 2**31 - 1) == 2**31 - 1
    assert numerals.whole("2147483648", 2**31 - 1) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0.0), ("-1.5", -1.5), ("+2", 2.0), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("1E-3", 0.001), ("1" * 300, float("1" * 300)),
        ("", None), (".", None), ("e3", None), ("nan", None), ("inf", None), ("-Infinity", None), ("1e400", None), ("9" * 401, None),
        ("1_0", None), ("１", None), ("٣.٥", None), (" 1", None), ("1\n", None), ("0x1p3", None), ("1e99999", None), ("--1", None),
    ],
)  # fmt: skip
def test_a_number_is_ascii_and_finite(text: str, number: float | None) -> None:
    """What Python's float() would take beyond that is no number here."""
    assert numerals.real(text) == number


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_none(text: str) -> None:
    """No text is an error."""
    whole, real = numerals.whole(text), numerals.real(text)
    assert whole is None or (text.isascii() and whole == int(text))
    assert real is None or (text.isascii() and math.isfinite(real))


@given(st.integers(0, 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_reads_back_equal(whole: int, real: float) -> None:
    """Every number of 64 bits and every finite float has a text that is read."""
    assert numerals.whole(str(whole)) == whole
    assert numerals.real(repr(real)) == real
    assert numerals.real(f"{real:f}") is not None


def test_sixty_four_bits_fit() -> None:
    """The ends of the range are inside, and what is beyond them is not."""
    assert [numerals.fits(n) for n in (-(2**63) - 1, -(2**63), 0, 2**63 - 1, 2**63)] == [
        False,
        True,
        True,
        True,
        False,
    ]
