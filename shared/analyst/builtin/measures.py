"""Figures: what is computed of the rows, what it is called, and how it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from shared.analyst.builtin import roles, words
from shared.analyst.builtin.goal import Aggregate, Phrase
from shared.analyst.builtin.view import Column, Table
from shared.analyst.builtin.vocabulary import CALENDAR, READ_AT_PLACES, UNITS
from shared.warehouses.types import Kind

FigureKind = Literal[
    "rows", "distinct", "column", "flagged", "flagged_share", "missing", "missing_share", "per_entity"
]
Computed = Literal["count", "sum", "avg", "median", "max", "min"]
_NOT_NOUNS = {"fct", "fact", "facts", "dim", "stg", "tbl", "raw", "vw", "view", "data", "table", "all", "src", "mart", "daily", "weekly",
              "monthly", "hourly", "yearly", "v", "the", "history", "log"}  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """One figure."""

    id: str
    """Its column in results."""
    label: str
    kind: FigureKind
    aggregate: Computed = "count"
    column: Column | None = None
    entity: Column | None = None
    """What a reading belongs to, where the sum is divided by how many there are (per_entity)."""
    unit: str = ""
    unit_words: str = ""
    format: str = "auto"
    good: Literal["up", "down", "none"] = "none"
    held: bool = False
    """A level: never added up over time."""

    @property
    def is_mean(self) -> bool:
        """Whether a few rows make it unsteady: averages and shares, unlike counts and sums."""
        return self.aggregate in ("avg", "median", "max", "min") or self.kind in (
            "flagged_share",
            "missing_share",
        )


_BARE = (
    "rate",
    "value",
    "amount",
    "total",
    "score",
    "index",
    "level",
    "share",
    "ratio",
    "quantity",
    "count",
    "number",
)


def rows(table: Table) -> Measure:
    """How many rows there are, called by what a row is."""
    noun = noun_of(table)
    return Measure(
        identifier(f"{singular(noun)}_count"), noun[:1].upper() + noun[1:], "rows", format="integer"
    )


def noun_of(table: Table) -> str:
    """What a row of the table is, in the plural: "flights", or "records" where the name does not tell."""
    parts = [part for part in table.words if part not in _NOT_NOUNS and not part.isdigit()]
    if parts and parts[-1].endswith("s") and not parts[-1].endswith("ss") and set(parts[-1]) & set("aeiou"):
        return " ".join(parts[-2:] if len(parts) > 1 else parts)
    if found := re.search(
        r"\bone row (?:a|an|per|for each|for every|each) ([a-z]+)(?: ([a-z]+))?", table.description.lower()
    ):
        word = found[1]
        return word + ("" if word.endswith("s") else "s")
    return "records"


def is_event(table: Table) -> bool:
    """Whether counting rows says something: each is a thing that happened or that is there, not a reading."""
    if noun_of(table) in (
        "records",
        "hours",
        "days",
        "weeks",
        "months",
        "quarters",
        "years",
        "readings",
        "observations",
    ):
        return False
    keys = [column for column in table.columns if roles.role(column) in ("key", "dimension", "name")]
    if any(roles.is_unique(table, column) for column in keys):
        return True
    # One row for each member and step of time is a series of readings, whatever its table is called.
    time = roles.time_of(table)
    if time is None or not table.rows or not time.column.stats.distinct:
        return True
    steps = time.column.stats.distinct
    return not any(
        column.kind == Kind.TEXT
        and (column.stats.distinct or 0) > 1
        and 0.6 * (column.stats.distinct or 0) * steps <= table.rows <= (column.stats.distinct or 0) * steps
        for column in table.columns
        if roles.role(column) in ("dimension", "key", "name")
    )


def of_column(column: Column, phrase: Phrase | None, table: Table) -> Measure:
    """A figure from a column of numbers."""
    behaviour = roles.behaviour(column)
    asked: Aggregate | None = phrase.aggregate if phrase else None
    aggregate: Computed = "avg" if behaviour == "averaged" else "sum"
    if asked == "avg" or asked == "sum" or asked == "median" or asked == "max" or asked == "min":
        aggregate = asked
    name = readable(column, phrase)
    if name in _BARE and (parts := [part for part in table.words if part not in _NOT_NOUNS and part != name]):
        # A column called "rate" is the rate of what its table is about.
        name = f"{' '.join(singular(part) for part in parts[-2:])} {name}"
    prefix = {"avg": "Average", "sum": "Total", "median": "Median", "max": "Highest", "min": "Lowest"}[
        aggregate
    ]
    if words.any_of(
        words.spoken(name)[:1], ("average", "mean", "total", "median", "maximum", "minimum", "net", "gross")
    ):
        prefix = (
            "Average" if aggregate == "avg" and name.split()[0].lower() not in ("average", "mean") else ""
        )
    label = f"{prefix} {name}".strip() if prefix else name[:1].upper() + name[1:]
    unit = roles.unit(column)
    money = unit is not None and unit[0] in ("$", "€")
    share = unit is not None and unit[0] == "%"
    good = roles.good_direction(tuple(words.spoken(name)))
    return Measure(
        identifier(label), label, "column", aggregate, column,
        unit="" if unit is None or money else unit[0],
        unit_words="" if unit is None or name.endswith(unit[1]) else unit[1],
        format="currency" if money else ",.1~f" if share or aggregate in ("avg", "median") else "short" if aggregate == "sum" else "auto",
        good=good or "none",
        held=behaviour == "held" and aggregate == "sum",
    )  # fmt: skip


def distinct(column: Column, label: str) -> Measure:
    """How many different values of a key there are."""
    return Measure(identifier(label), label, "distinct", column=column, format="integer")


def flagged(column: Column, table: Table) -> tuple[Measure, Measure]:
    """How many rows carry a flag, and which share of them."""
    state = " ".join(
        part for part in column.words if part not in ("is", "has", "was", "did", "flag", "ind", "indicator")
    )
    noun = noun_of(table)
    down = roles.good_direction(column.words) == "down"
    good: Literal["down", "none"] = "down" if down else "none"
    count = Measure(
        identifier(f"{state}_{noun}"),
        f"{state} {noun}".capitalize(),
        "flagged",
        column=column,
        format="integer",
        good=good,
    )
    share = Measure(
        identifier(f"{state}_share"),
        f"Share of {noun} {state}",
        "flagged_share",
        "avg",
        column,
        format="percent",
        good=good,
    )
    return count, share


def missing(column: Column, phrase: Phrase, table: Table) -> tuple[Measure, Measure]:
    """The same where an empty value is the flag."""
    noun = noun_of(table)
    said = " ".join(phrase.words)
    down = roles.good_direction(phrase.words) == "down"
    good: Literal["down", "none"] = "down" if down else "none"
    count = Measure(
        identifier(said), said.capitalize(), "missing", column=column, format="integer", good=good
    )
    share = Measure(
        identifier(f"{said}_share"),
        f"{said.capitalize()} as a share of {noun}",
        "missing_share",
        "avg",
        column,
        format="percent",
        good=good,
    )
    return count, share


def reading(column: Column, entity: Column | None) -> Measure:
    """A figure of a companion, of readings that several entities take: amounts are shared out among them."""
    name = readable(column, None)
    unit = roles.unit(column)
    short, plural = unit if unit else ("", "")
    if roles.behaviour(column) == "added":
        if entity is None or not words.any_of(
            (*column.words, *words.spoken(column.description)[:4]), READ_AT_PLACES
        ):
            return Measure(
                identifier(f"total {name}"),
                f"Total {name}",
                "column",
                "sum",
                column,
                unit=short,
                unit_words=plural,
                format=",.2~f",
            )
        label = f"{name[:1].upper()}{name[1:]} per {' '.join(entity.words)}"
        return Measure(identifier(label), label, "per_entity", "sum", column, entity, short, plural, ",.2~f")
    return Measure(
        identifier(f"average {name}"),
        f"Average {name}",
        "column",
        "avg",
        column,
        unit=short,
        unit_words=plural,
        format=",.1~f",
    )


def readable(column: Column, phrase: Phrase | None) -> str:
    """A column's name for people: abbreviations are spelled out with the words of its description or of the goal."""
    said = list(words.spoken(column.description)[:14]) + list(phrase.words if phrase else ())
    plain = _without_unit([part for part in column.words if not part.isdigit()])
    if (
        phrase
        and len(plain) == 1
        and len(phrase.words) == 1
        and len(plain[0]) <= 4
        and not column.description
    ):
        if words.likeness(phrase.words[0], plain[0]) < 0.6:
            return plain[0]
        return phrase.words[0] if plain[0].endswith("s") else singular(phrase.words[0])
    out = []
    for part in plain:
        longer = [
            word
            for word in said
            if len(word) > len(part) + 1
            and words.likeness(word, part) >= 0.6
            and word[0] == part[0]
            and part not in said
        ]
        out.append(part if not longer else longer[0] if part.endswith("s") else singular(longer[0]))
    return " ".join(dict.fromkeys(out)) or column.path


def _without_unit(parts: list[str]) -> list[str]:
    """`weight_in_lbs` is a weight; its unit is told beside it."""
    if len(parts) > 2 and parts[-2] == "in" and (parts[-1] in UNITS or parts[-1].removesuffix("s") in UNITS):
        return parts[:-2]
    return parts[:-1] if len(parts) > 1 and parts[-1] in ("usd", "eur", "gbp", "chf", "jpy") else parts


def singular(word: str) -> str:
    """One of them."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if (
        word.endswith("s")
        and not word.endswith(("ss", "us", "is"))
        and word not in CALENDAR
        and len(word) > 3
    ):
        return word[:-1]
    return word


def plural(noun: str) -> str:
    """Several of them."""
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun if noun.endswith("s") and not noun.endswith("ss") else noun + "es"
    return noun + "s"


def identifier(label: str) -> str:
    """A result column's name from a label."""
    name = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:48].strip("_")
    return name if name[:1].isalpha() else f"m_{name}"
