"""Read the figures of a text, each with what its rounding leaves open: 12.4 may be 12.36, "1.2 million" 1,234,567."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FIGURE = re.compile(
    r"""
    (?<![\w.]) (?P<sign>[-−])? (?P<money>[$€£])?
    (?P<body> [0-9]{1,3} (?: ,[0-9]{3} )++ (?: \.[0-9]++ )? | [0-9]++ (?: \.[0-9]++ )? )
    (?: \s? (?P<unit> % | percent\b | thousand\b | million\b | billion\b | trillion\b | [kKMB]\b ) )?
    """,
    re.VERBOSE,
)
_SCALES = {
    "thousand": 1e3, "k": 1e3, "K": 1e3, "million": 1e6, "M": 1e6, "billion": 1e9, "B": 1e9, "trillion": 1e12,
}  # fmt: skip
_LONGEST = 30
"""Digits of a figure; a longer number is a key or noise."""
_LOOSEST = 0.1
"""Share of a figure that its rounding may leave open at the most: "2 million" is no word for 1.5 million."""


@dataclass(frozen=True)
class Figure:
    """A figure as it is written, without its sign, and the half-width that its rounding leaves open."""

    text: str
    value: float
    slack: float
    percent: bool = False

    @property
    def low(self) -> float:
        """The least value that is written so."""
        return self.value - self.slack

    @property
    def high(self) -> float:
        """The greatest."""
        return self.value + self.slack


def read(text: str) -> Iterator[Figure]:
    """The figures of a text, in order."""
    for match in _FIGURE.finditer(text):
        body, unit = match["body"].replace(",", ""), match["unit"]
        if len(body) > _LONGEST:
            continue
        percent = unit in ("%", "percent")
        scale = _SCALES.get(unit or "", 1.0)
        decimals = len(body.partition(".")[2])
        # "about 12,000" is commonly rounded to its last digit that is not zero; 100% is not.
        zeros = len(body) - len(body.rstrip("0")) if not decimals and len(body) > 2 and not percent else 0
        value = float(body) * scale
        slack = 10.0 ** (zeros - decimals) * scale / 2
        if not percent and not decimals:
            slack = min(slack, max(0.5, value * _LOOSEST))
        yield Figure(match[0].strip(), value, slack * 1.0001, percent)


def without_code(prose: str) -> str:
    """Code, names and dates are not figures of the answer."""
    prose = re.sub(r"```.*?(?:```|\Z)", " ", prose, flags=re.DOTALL)
    prose = re.sub(r"`[^`]*+`?+", " ", prose)
    return re.sub(r"\b[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?\b", " ", prose)
