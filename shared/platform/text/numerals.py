"""Numbers as clients write them in addresses, headers and cursors: ASCII digits, in a range, or no number.

Python's own readers take more than anybody means: `int("٣")` is 3, `"²".isdigit()` is true although int() refuses
it, and a text of 5,000 digits is an error of its own. So every number that comes as text is read here.
"""

from __future__ import annotations

import math
import re

MOST_LONG = 2**63 - 1
"""The greatest whole number of 64 bits: Postgres' `bigint`, a generation of an object."""
LONGEST = 400
"""Characters of the longest number that is read; the least float needs 330 without an exponent."""

_WHOLE = re.compile(r"[0-9]{1,19}\Z")
_REAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?\Z")


def whole(text: str, most: int = MOST_LONG) -> int | None:
    """The whole number from 0 to `most` that the text writes, or None."""
    if not _WHOLE.match(text):
        return None
    number = int(text)
    return number if number <= most else None


def real(text: str) -> float | None:
    """The finite number that the text writes, with or without a point and an exponent, or None."""
    if len(text) > LONGEST or not _REAL.match(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def fits(number: int) -> bool:
    """Whether a whole number has at most 64 bits, so that every store and every reader can hold it."""
    return -MOST_LONG - 1 <= number <= MOST_LONG
