"""Tell what a column is for: a time, a figure, a dimension, a key, a flag, a name, a place.

Decided by type, then by the words of its name, then by its statistics and its description, in this order of
weight: a number called `order_id` is a key however it is spread, and a number between 0 and 1 is a flag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from shared.analyst.builtin import words
from shared.analyst.builtin.view import Column, Table
from shared.analyst.builtin.vocabulary import ADDED_UP, AVERAGED, GOOD_HIGH, GOOD_LOW, HELD, UNITS
from shared.warehouses.types import Kind

Role = Literal[
    "time", "year", "part", "clock", "measure", "dimension", "key", "flag", "name", "place", "text"
]
Behaviour = Literal["added", "averaged", "held"]

_KEY_WORDS = {"id", "cd", "ids", "key", "code", "number", "num", "no", "nr", "uuid", "guid", "sku", "zip", "zipcode", "postcode",
              "phone", "fax", "ssn", "isbn", "hash", "url", "email"}  # fmt: skip
_NAME_WORDS = {"nm", "descr", "name", "title", "label", "fullname"}
_PLACE_WORDS = {"lat", "latitude", "lon", "lng", "long", "longitude", "geo", "geometry"}
_PART_WORDS = {"month", "day", "hour", "minute", "second", "week", "quarter", "weekday", "dow", "doy", "tz"}
_BEARING_WORDS = {"dir", "direction", "bearing", "heading", "azimuth"}
"""Angles: 359 and 1 are near, so their average says nothing."""
_HOUSEKEEPING = {
    "created",
    "updated",
    "modified",
    "loaded",
    "inserted",
    "ingested",
    "synced",
    "deleted",
    "etl",
    "imported",
}
_SPEED = re.compile(
    r"\b(mile|kilometre|kilometer|metre|meter|feet|foot)s? (?:per|an?) (hour|second|minute)\b"
)
_ORIGIN_WORDS = (
    "birth",
    "born",
    "built",
    "founded",
    "manufacture",
    "manufactured",
    "construction",
    "established",
    "vintage",
)
_FLAG_STARTS = {"is", "has", "was", "did"}


@lru_cache(maxsize=4096)
def role(column: Column) -> Role:
    """What the column is for."""
    parts = set(column.words)
    if column.is_time:
        return "time"
    if column.kind == Kind.BOOLEAN:
        return "flag"
    if column.kind in (Kind.GEOGRAPHY, Kind.JSON, Kind.BYTES, Kind.INTERVAL):
        return "place" if column.kind == Kind.GEOGRAPHY else "text"
    if column.is_number:
        return _number_role(column, parts)
    if parts & _KEY_WORDS and not parts & _NAME_WORDS:
        return "key"
    if parts & _NAME_WORDS:
        return "name"
    return "text" if _is_prose(column) else "dimension"


def _number_role(column: Column, parts: set[str]) -> Role:
    low, high = _number(column.stats.minimum), _number(column.stats.maximum)
    if parts & _PLACE_WORDS and not parts & {"duration"}:
        return "place"
    if parts & _BEARING_WORDS:
        return "place"
    if "year" in parts and (low is None or 1000 <= low <= 3000) and (high is None or 1000 <= high <= 3000):
        return "year"
    if (
        parts & _PART_WORDS
        and len(parts) <= 2
        and column.kind == Kind.INTEGER
        and (high is None or high <= 366)
    ):
        return "part"
    if _is_clock(column, parts, high):
        return "clock"
    if (parts & _KEY_WORDS or _says_key(column)) and column.kind != Kind.REAL:
        return "key"
    if column.kind == Kind.INTEGER and (
        (column.words[:1] and column.words[0] in _FLAG_STARTS)
        or (low == 0 and high == 1 and (column.stats.distinct or 2) <= 2)
    ):
        return "flag"
    return "measure"


def _is_clock(column: Column, parts: set[str], high: float | None) -> bool:
    """HHMM times of day kept as whole numbers: 517 is 5:17, and an average of them means nothing."""
    said = set(words.spoken(column.description))
    named = "time" in parts and column.kind == Kind.INTEGER and high is not None and 2000 <= high <= 2400
    return named or ("hhmm" in said) or ("clock" in said and "time" in said)


def _says_key(column: Column) -> bool:
    """Whether the description calls a whole number a number by which something is known: "Invoice number"."""
    said = words.spoken(column.description)[:4]
    return (
        bool(said)
        and said[0] != "number"
        and any(word in said[:3] for word in ("number", "identifier", "id", "key", "code"))
    )


def _is_prose(column: Column) -> bool:
    """Long free text: nearly every value differs and the values are long."""
    values = [value for value, _ in column.stats.top]
    return bool(values) and sum(map(len, values)) / len(values) > 60


def _number(value: object) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(str(value))
    except ValueError:
        return None


def behaviour(column: Column) -> Behaviour:
    """How its rows come together into one figure."""
    parts = column.words
    if words.any_of(parts, HELD):
        return "held"
    averaged, added = words.any_of(parts, AVERAGED), words.any_of(parts, ADDED_UP)
    if averaged != added:
        return "averaged" if averaged else "added"
    said = words.spoken(column.description)[:12]
    averaged, added = words.any_of(said, AVERAGED), words.any_of(said, ADDED_UP)
    if averaged != added:
        return "averaged" if averaged else "added"
    return "added" if column.kind in (Kind.INTEGER, Kind.DECIMAL) else "averaged"


def good_direction(names: tuple[str, ...]) -> Literal["up", "down"] | None:
    """Whether more of it is good, bad, or neither."""
    if words.any_of(names, GOOD_LOW):
        return "down"
    if words.any_of(names, GOOD_HIGH):
        return "up"
    return None


def unit(column: Column) -> tuple[str, str] | None:
    """Its unit as (short, plural), from its name or its description."""
    if found := _SPEED.search(column.description.lower()):
        base, per = UNITS[found[1]], found[2]
        return f"{base[0]}/{per[0]}", f"{base[1]} per {per}"
    for source in (column.words, words.spoken(column.description)):
        for word in source:
            for form in (word, word.removesuffix("s"), word.removesuffix("es")):
                if form in UNITS and not (form in ("year", "day", "hour") and not _in_unit(word, column)):
                    return _scaled(UNITS[form], column.description)
    if "%" in column.description:
        return UNITS["percent"]
    return None


def _in_unit(word: str, column: Column) -> bool:
    """ "In years" is a unit; "the price of the day" is not."""
    return f" in {word}" in f" {column.description.lower()}"


def _scaled(found: tuple[str, str], description: str) -> tuple[str, str]:
    """ "In thousand tonnes" is another unit than "in tonnes"."""
    scale = next(
        (
            word
            for word in words.spoken(description)
            if word.rstrip("s") in ("thousand", "million", "billion")
        ),
        None,
    )
    return found if scale is None else (f"{scale.rstrip('s')} {found[0]}", f"{scale.rstrip('s')} {found[1]}")


@dataclass(frozen=True)
class Times:
    """The column that tells when a row happened."""

    column: Column
    kind: Literal["date", "timestamp", "datetime", "year"]


def time_of(table: Table, hint: tuple[str, ...] = ()) -> Times | None:
    """The table's time: the partition's column first, then the one whose name fits best; None without one."""
    best: tuple[float, int] | None = None
    chosen: Column | None = None
    for column in table.columns:
        kind = role(column)
        if kind not in ("time", "year"):
            continue
        score = {Kind.DATE: 3.0, Kind.TIMESTAMP: 2.5, Kind.DATETIME: 2.4}.get(column.kind, 1.0)
        score += 4.0 if table.partition.get("column") == column.path else 0.0
        score -= 3.0 if set(column.words) & _HOUSEKEEPING else 0.0
        score += words.overlap(hint, column.words) if hint else 0.0
        score += 0.5 * max(
            (words.likeness(part, word) for part in table.words for word in column.words), default=0.0
        )
        score -= 2.0 * float(column.stats.null_share or 0.0)
        if any(
            words.any_of((word,), _ORIGIN_WORDS)
            for word in (*column.words, *words.spoken(column.description)[:8])
        ):
            # When a thing was made or born is a property of it, not when its row happened.
            continue
        if best is None or (score, -column.position) > best:
            best, chosen = (score, -column.position), column
    if chosen is None:
        return None
    return Times(chosen, chosen.kind.value if chosen.is_time else "year")  # type: ignore[arg-type]


def label_of(table: Table) -> Column | None:
    """The column that names a row of a lookup table for people."""
    named = [column for column in table.columns if role(column) == "name" and column.kind == Kind.TEXT]
    if named:
        return min(named, key=lambda column: (len(column.words), column.position))
    texts = [
        column
        for column in table.columns
        if column.kind == Kind.TEXT and role(column) == "dimension" and (column.stats.distinct or 0) > 1
    ]
    return max(texts, key=lambda column: (column.stats.distinct or 0, -column.position), default=None)


def is_unique(table: Table, column: Column) -> bool:
    """Whether its values look like the table's key (approximate counts may be a few percent off)."""
    if not table.rows or column.stats.distinct is None:
        return False
    return column.stats.distinct >= 0.95 * table.rows and not column.stats.null_share
