"""Names that people give to things: one line that shows something and does not bend the text around it.

A name stands in lists, logs and messages of others. A line break forges a line there, a direction override
(https://www.unicode.org/reports/tr9/) turns what follows around, and one of spaces without width can't be seen.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

MOST = 120
_TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
_BREAKING = ("Cc", "Zl", "Zp")


def one_line(value: str) -> str:
    """The value, or a ValueError that says what is wrong with it. Nothing at all is fine here."""
    if any(unicodedata.category(character) in _BREAKING for character in value):
        raise ValueError("must be one line without control characters")
    if any(character in _TURNING for character in value):
        raise ValueError("must not change the direction of the text around it")
    if value and all(unicodedata.category(character)[0] in "CZ" for character in value):
        raise ValueError("must contain something that can be seen")
    return value


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST), AfterValidator(one_line)
]
NameOrNothing = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MOST), AfterValidator(one_line)
]
