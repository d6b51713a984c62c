"""The words for values that no vendor owns: kinds of columns, fields of results, parameters of queries.

Each vendor has its own names for types (INT64, int8, NUMBER(38, 0)). The vendor's dialect reads them into a
`Kind` once, where they arrive; whoever asks what a value is, asks for its kind. The vendor's own name
travels beside it, to be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a column holds, whatever its warehouse calls it."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    """A binary floating-point number."""
    DECIMAL = "decimal"
    """An exact number with a fraction."""
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    """A time of day."""
    DATETIME = "datetime"
    """A date with a time of day, in no zone."""
    TIMESTAMP = "timestamp"
    """An instant: the same moment in every zone."""
    INTERVAL = "interval"
    BYTES = "bytes"
    JSON = "json"
    """A document without columns of its own."""
    GEOGRAPHY = "geography"
    RECORD = "record"
    LIST = "list"
    OTHER = "other"
    """What no other kind describes."""

    @property
    def is_number(self) -> bool:
        """Whether it can be added and compared as a number."""
        return self in NUMBERS

    @property
    def is_time(self) -> bool:
        """Whether it has a place in the calendar."""
        return self in TIMES

    @property
    def is_nested(self) -> bool:
        """Whether it holds other values."""
        return self in NESTED


NUMBERS = frozenset((Kind.INTEGER, Kind.REAL, Kind.DECIMAL))
TIMES = frozenset((Kind.DATE, Kind.DATETIME, Kind.TIMESTAMP))
NESTED = frozenset((Kind.RECORD, Kind.LIST, Kind.JSON))
COMPARED = NUMBERS | TIMES | {Kind.TEXT, Kind.BOOLEAN, Kind.TIME}
"""Kinds whose values can be ordered, counted apart and grouped by."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Field:
    """One output column of a query. `type` is the warehouse's own name of its type, as it is shown."""

    name: str
    type: str
    kind: Kind


@dataclass(frozen=True)
class Parameter:
    """A bound query parameter; `array` makes it a list of `kind`. Dates and times are ISO 8601 texts."""

    name: str
    kind: Kind
    value: Scalar | tuple[Scalar, ...]
    array: bool = False
