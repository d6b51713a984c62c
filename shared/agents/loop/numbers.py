"""Check the figures of an answer against what the tools found in this turn.

A figure is supported when it is the person's own, stands in a tool's result, or is plain arithmetic on
the results: sum, difference, ratio or percentage of two figures; sum, mean or share of a column. It may be rounded as it is written: 12.4
is supported by 12.36, and "1.2 million" by 1,234,567. Small whole numbers count things in the sentence
("three charts", "top 10") and are not looked up.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_FIGURE = re.compile(
    r"(?<![\w.])(?P<sign>[-−])?(?P<money>[$€£])?(?P<body>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?:\s?(?P<unit>%|percent\b|thousand\b|million\b|billion\b|trillion\b|[kKMB]\b))?"
)
_SCALES = {
    "thousand": 1e3, "k": 1e3, "K": 1e3, "million": 1e6, "M": 1e6, "billion": 1e9, "B": 1e9, "trillion": 1e12,
}  # fmt: skip
_COUNTING = 12
_MOST_PAIRED = 300
"""Arithmetic is tried on pairs of at most this many figures, so the check stays quadratic in a small number."""


@dataclass(frozen=True)
class Figure:
    """A figure as it is written and the half-width that its rounding leaves open."""

    text: str
    value: float
    slack: float
    percent: bool = False


def unsupported(prose: str, *, results: Iterable[Any], said: str = "") -> list[str]:
    """The figures of the prose, as written, that nothing supports."""
    figures = [figure for figure in _figures(_without_code(prose)) if not _counts(figure)]
    if not figures:
        return []
    results = list(results)
    evidence = sorted({abs(value) for result in results for value in _values(result)})
    own = sorted({abs(figure.value) for figure in _figures(said)})
    derived: list[float] | None = None
    missing: list[str] = []
    for figure in figures:
        if _near(own, figure) or _near(evidence, figure):
            continue
        if figure.percent and _near([value * 100 for value in evidence], figure):
            continue
        if derived is None:
            derived = sorted(
                [*_arithmetic(evidence), *(value for result in results for value in _of_columns(result))]
            )
        if not _near(derived, figure):
            missing.append(figure.text)
    return list(dict.fromkeys(missing))


def _figures(text: str) -> Iterator[Figure]:
    for match in _FIGURE.finditer(text):
        body, unit = match["body"].replace(",", ""), match["unit"]
        scale = _SCALES.get(unit or "", 1.0)
        decimals = len(body.partition(".")[2])
        # "about 12,000" is commonly rounded to its last digit that is not zero.
        zeros = len(body) - len(body.rstrip("0")) if not decimals and len(body) > 2 else 0
        step = 10.0 ** (zeros - decimals)
        yield Figure(
            match[0].strip(), abs(float(body)) * scale, step * scale / 2 * 1.0001, unit in ("%", "percent")
        )


def _counts(figure: Figure) -> bool:
    plain = figure.text.isdigit()
    return plain and figure.value <= _COUNTING


def _values(result: Any) -> Iterator[float]:
    match result:
        case bool() | None:
            return
        case int() | float():
            if math.isfinite(result):
                yield float(result)
        case str():
            for figure in _figures(result[:4_000].replace("-", " ").replace("_", " ").replace("T", " ")):
                yield figure.value
        case list() | tuple():
            yield float(len(result))
            for item in result:
                yield from _values(item)
        case dict():
            for key, item in result.items():
                yield from _values(key)
                yield from _values(item)


def _of_columns(result: Any) -> Iterator[float]:
    """Sum, mean and shares of each column of every table in the result."""
    if isinstance(result, dict):
        for item in result.values():
            yield from _of_columns(item)
    if not isinstance(result, list | tuple) or not result:
        return
    columns: dict[Any, list[float]] = {}
    for row in result:
        cells = (
            row.items() if isinstance(row, dict) else enumerate(row) if isinstance(row, list) else [("", row)]
        )
        for name, cell in cells:
            if isinstance(cell, int | float) and not isinstance(cell, bool):
                columns.setdefault(name, []).append(float(cell))
            elif isinstance(cell, str) and (number := _plain_number(cell)) is not None:
                columns.setdefault(name, []).append(number)
    for values in columns.values():
        total = math.fsum(values)
        yield abs(total)
        yield abs(total) / len(values)
        if total:
            yield from (abs(value / total * 100) for value in values)


def _plain_number(text: str) -> float | None:
    """Decimals come from a warehouse as text."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _arithmetic(evidence: list[float]) -> Iterator[float]:
    some = evidence[:_MOST_PAIRED]
    for i, a in enumerate(some):
        for b in some[i:]:
            yield a + b
            yield b - a
            if a:
                yield b / a
                yield b / a * 100
                yield (b - a) / a * 100
            if b:
                yield a / b
                yield a / b * 100
                yield (b - a) / b * 100


def _near(known: list[float], figure: Figure) -> bool:
    low, high = figure.value - figure.slack, figure.value + figure.slack
    return bisect_left(known, low) < bisect_right(known, high)


def _without_code(prose: str) -> str:
    """Code, names and dates are not figures of the answer."""
    prose = re.sub(r"```.*?(?:```|\Z)", " ", prose, flags=re.DOTALL)
    prose = re.sub(r"`[^`]*`", " ", prose)
    return re.sub(r"\b\d{4}-\d{2}(?:-\d{2})?\b", " ", prose)
