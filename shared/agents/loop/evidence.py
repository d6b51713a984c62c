"""What the tools of a turn have shown: every value, and tables with what follows from them.

Values are kept sorted, so looking one up takes a few steps however many there are. What follows is worked out
for a few rows of a table only, not for every pair of its values: among enough pairs any percentage is found.

    of a column    its sum, its mean; a row's share of the sum, for the rows below
    of two rows    sum, difference, ratio and change, if the text names both, or of the first and the last row,
                   or of the largest and the smallest value
    of one row     difference, ratio and share of two of its columns, for the same rows
    of two tables  the same of the values of tables of one row
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from shared.agents.loop import figures
from shared.agents.loop.figures import Figure

MOST_VALUES = 300_000
"""Values that are kept; a turn that shows more is not judged."""
MOST_NAMED, MOST_COLUMNS, MOST_SCALARS = 8, 12, 16
"""Rows of a table that a text names, its columns, and values of one-row tables: what arithmetic is tried on."""
_READ = 4_000
"""Characters of a text cell in which figures are looked for."""
_LABEL = 60
_PARTS = re.compile(r"(?i)(?:^|_|\b)(?:pct|percent|percentage|share|rate|ratio|proportion)(?:$|_|\b)|%")
_WORD = re.compile(r"\w++", re.UNICODE)


@dataclass(frozen=True)
class Table:
    """Rows of cells under names."""

    names: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


@dataclass
class Evidence:
    """The results of a turn, one after the other."""

    tables: list[Table] = field(default_factory=list)
    whole: bool = True
    """Whether everything that was shown is here."""
    _values: set[float] = field(default_factory=set)
    _percentages: set[float] = field(default_factory=set)
    _sorted: tuple[list[float], list[float]] | None = None

    def add(self, result: Any) -> None:
        """Take one result in."""
        for value in _values(result):
            if len(self._values) >= MOST_VALUES:
                self.whole = False
                break
            self._values.add(value)
        for table in _tables(result, ""):
            self.tables.append(table)
            self._percentages |= set(_shown_percentages(table))
        self._sorted = None

    def shows(self, figure: Figure) -> bool:
        """Whether a value that was shown is written so. A percentage must be shown as one, or as a fraction."""
        if self._sorted is None:
            self._sorted = (sorted(self._values), sorted(self._percentages))
        return near(self._sorted[1 if figure.percent else 0], figure)

    def follows(self, prose: str) -> Follows:
        """What follows from the tables for the rows that a text speaks of."""
        return Follows.of(self.tables, prose)


@dataclass(frozen=True)
class Follows:
    """Sorted results of plain arithmetic: plain figures, and percentages."""

    plain: list[float]
    percentages: list[float]

    @classmethod
    def of(cls, tables: Iterable[Table], prose: str) -> Follows:
        said = _Said(prose)
        plain: list[float] = []
        percentages: list[float] = []
        scalars: list[float] = []
        for table in tables:
            columns = _numeric(table)
            spoken = _spoken_of(table, said)
            for column in columns[:MOST_COLUMNS]:
                _of_column(column, spoken, plain, percentages)
            for row in sorted({0, len(table.rows) - 1, *spoken}):
                known = [column[row] for column in columns[:MOST_COLUMNS] if row in column]
                _of_pairs(_pairs(known), plain, percentages)
            if len(table.rows) == 1:
                scalars += [column[0] for column in columns[:MOST_COLUMNS] if 0 in column]
        _of_pairs(_pairs(scalars[-MOST_SCALARS:]), plain, percentages)
        return cls(sorted(plain), sorted(percentages))

    def gives(self, figure: Figure) -> bool:
        """Whether one of them is written so."""
        return near(self.percentages if figure.percent else self.plain, figure)


def near(known: Sequence[float], figure: Figure) -> bool:
    """Whether one of the sorted values is what the figure may stand for."""
    return bisect_left(known, figure.low) < bisect_right(known, figure.high)


def number(cell: Any) -> float | None:
    """A cell as a number; decimals come from a warehouse as text."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    if isinstance(cell, str) and len(cell) > 40:
        return None
    try:
        value = float(cell)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _values(result: Any) -> Iterator[float]:
    stack = [result]
    while stack:
        match stack.pop():
            case bool() | None:
                continue
            case int() | float() as value:
                if (known := number(value)) is not None:
                    yield abs(known)
            case str() as text:
                if (known := number(text)) is not None:
                    yield abs(known)
                for figure in figures.read(
                    text[:_READ].replace("-", " ").replace("_", " ").replace("T", " ")
                ):
                    yield figure.value
            case list() | tuple() as items:
                yield float(len(items))
                stack.extend(items)
            case dict() as members:
                stack.extend(members)
                stack.extend(members.values())


def _tables(result: Any, name: str) -> Iterator[Table]:
    """The tables of a result: rows under column names, lists of objects, lists of numbers, and lone objects."""
    if isinstance(result, list) and result:
        if all(isinstance(row, dict) for row in result):
            names = tuple(dict.fromkeys(key for row in result for key in row))
            yield Table(names, [[row.get(key) for key in names] for row in result])
        elif all(isinstance(row, list) for row in result):
            width = max(len(row) for row in result)
            yield Table(tuple("" for _ in range(width)), result)
        elif all(not isinstance(row, list | dict) for row in result):
            yield Table((name,), [[row] for row in result])
    elif isinstance(result, dict):
        plain = {key: value for key, value in result.items() if not isinstance(value, list | dict)}
        if plain:
            yield Table(tuple(plain), [list(plain.values())])
        columns, rows = result.get("columns"), result.get("rows")
        if (
            isinstance(columns, list)
            and isinstance(rows, list)
            and all(isinstance(row, list) for row in rows)
        ):
            heads = [column.get("name") if isinstance(column, dict) else column for column in columns]
            if rows:
                yield Table(tuple(str(head) for head in heads), rows)
            result = {key: value for key, value in result.items() if key not in ("columns", "rows")}
        for key, value in result.items():
            yield from _tables(value, str(key))


def _numeric(table: Table) -> list[dict[int, float]]:
    """The columns that hold numbers, by row."""
    columns: list[dict[int, float]] = [{} for _ in table.names]
    for place, row in enumerate(table.rows):
        for index, cell in enumerate(row[: len(columns)]):
            if (value := number(cell)) is not None:
                columns[index][place] = value
    return [column for column in columns if column]


def _shown_percentages(table: Table) -> Iterator[float]:
    """Cells that are percentages: by their column's name or sign, or fractions of one all down the column."""
    for index, name in enumerate(table.names):
        cells = [row[index] for row in table.rows if index < len(row)]
        for cell in cells:
            if isinstance(cell, str):
                yield from (figure.value for figure in figures.read(cell[:_READ]) if figure.percent)
        known = [value for cell in cells if (value := number(cell)) is not None]
        fractions = all(abs(value) <= 1 for value in known)
        if fractions:
            yield from (abs(value) * 100 for value in known)
        whole = all(value == int(value) for value in known)
        if _PARTS.search(name[:200]) or (not whole and all(abs(value) <= 100 for value in known)):
            yield from (abs(value) for value in known)


def _spoken_of(table: Table, said: _Said) -> list[int]:
    """The rows that a text names, by one of their texts, dates or years; at most a few."""
    found: list[int] = []
    for place, row in enumerate(table.rows):
        if any(said.names(cell) for cell in row[:MOST_COLUMNS]):
            found.append(place)
            if len(found) >= MOST_NAMED:
                break
    return found


def _of_column(
    column: dict[int, float], spoken: Sequence[int], plain: list[float], percentages: list[float]
) -> None:
    try:
        total = math.fsum(column.values())
    except OverflowError:
        total = 0.0  # Larger than any figure: nothing is a share of it.
    else:
        plain += [abs(total), abs(total) / len(column)]
    first, last = min(column), max(column)
    ordered = sorted(column, key=lambda place: column[place])
    named = [place for place in spoken if place in column]
    if total and len(column) > 1:
        rows = {first, last, ordered[0], ordered[-1], *named}
        percentages += [abs(column[place] / total * 100) for place in rows]
    pairs = {(first, last), (ordered[0], ordered[-1]), *_pairs(named)}
    _of_pairs([(column[one], column[other]) for one, other in pairs if one != other], plain, percentages)


def _of_pairs(pairs: Iterable[tuple[float, float]], plain: list[float], percentages: list[float]) -> None:
    for one, other in pairs:
        plain += [abs(one + other), abs(one - other)]
        for part, base in ((one, other), (other, one)):
            if base:
                ratio = part / base
                if math.isfinite(ratio):
                    plain.append(abs(ratio))
                    percentages += [abs(ratio) * 100, abs(ratio - 1) * 100]


def _pairs(items: Sequence[Any]) -> list[tuple[Any, Any]]:
    return [(one, other) for place, one in enumerate(items) for other in items[place + 1 :]]


class _Said:
    """A text as words, for finding out whether it names a row."""

    def __init__(self, prose: str) -> None:
        words = [word.lower() for word in _WORD.findall(prose)]
        self._words = frozenset(words)
        self._text = f" {' '.join(words)} "

    def names(self, cell: Any) -> bool:
        """Whether the text has the cell's words next to each other, or the month or year that it begins."""
        if isinstance(cell, int) and not isinstance(cell, bool):
            return 1500 <= cell <= 2199 and str(cell) in self._words
        if not isinstance(cell, str) or not cell or len(cell) > _LABEL or number(cell) is not None:
            return False
        words = [word.lower() for word in _WORD.findall(cell)]
        if words and words[0] in self._words and f" {' '.join(words)} " in self._text:
            return True
        return self._names_month(cell)

    def _names_month(self, cell: str) -> bool:
        try:
            day = date.fromisoformat(cell[:10])
        except ValueError:
            return False
        return f"{day:%B}".lower() in self._words or f"{day:%b}".lower() in self._words
