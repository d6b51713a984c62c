"""Find what a word names among the values of the columns: "JFK", "Chicago", "shipped".

The columns are asked by tool (`profile_column` with `matching`), so a value counts only when the data has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.analyst.builtin import roles, words
from shared.analyst.builtin.goal import Phrase
from shared.analyst.builtin.measures import readable
from shared.analyst.builtin.subject import Subject
from shared.analyst.builtin.trees import Dimension, Operator, Restriction
from shared.analyst.builtin.view import Column, Table
from shared.warehouses.types import Kind

MOST_COLUMNS = 8
MOST_VALUES = 12


@dataclass(frozen=True)
class Place:
    """A column whose values could be meant."""

    table: Table
    column: Column
    dimension: Dimension


Found = Mapping[tuple[str, str, str], Sequence[tuple[str, int]]]
"""(table, column, said) → the matching values with how many rows have them."""


def said(phrase: Phrase) -> str:
    """What to look for."""
    return " ".join(phrase.words) if not phrase.proper else phrase.text


def places(subject: Subject) -> list[Place]:
    """Where a value may stand: the subject's own texts first, then the names in its lookup tables."""
    found: list[Place] = []
    for column in subject.table.columns:
        if (
            column.kind == Kind.TEXT
            and roles.role(column) in ("dimension", "key", "name")
            and not roles.is_unique(subject.table, column)
            and (column.stats.distinct is None or 1 < column.stats.distinct <= 5_000)
        ):
            found.append(Place(subject.table, column, own_dimension(subject, column, by_code=True)))
    found.sort(key=lambda place: (place.column.stats.distinct or 10**6, place.column.position))
    named: list[Place] = []
    lookups = sorted(subject.lookups, key=lambda lookup: -(lookup.column.stats.distinct or 0))
    for lookup in lookups:
        label = lookup.label
        if label is not None:
            _add(named, Place(lookup.table, label, own_dimension(subject, lookup.column)))
    for lookup in lookups:
        for column in lookup.table.columns:
            few = 1 < (column.stats.distinct or 0) <= 200 and column.path != lookup.key.path
            if few and column.kind == Kind.TEXT and roles.role(column) == "dimension":
                noun = readable(column, None)
                dimension = Dimension(
                    identifier(noun), noun, lookup.column, lookup, column, column.stats.distinct
                )
                _add(named, Place(lookup.table, column, dimension))
    half = MOST_COLUMNS - min(len(named), MOST_COLUMNS // 2)
    return [*found[:half], *named[: MOST_COLUMNS - min(half, len(found))]]


def _add(listed: list[Place], place: Place) -> None:
    """Keep a column of a lookup table once, whichever keys lead to it."""
    if all(
        (known.table.name, known.column.path) != (place.table.name, place.column.path) for known in listed
    ):
        listed.append(place)


def own_dimension(
    subject: Subject, column: Column, phrase: Phrase | None = None, *, by_code: bool = False
) -> Dimension:
    """A dimension of a column of the subject, named through its lookup where there is one."""
    lookup = next((lookup for lookup in subject.lookups if lookup.column.path == column.path), None)
    noun = readable(column, phrase)
    return Dimension(
        identifier(noun), noun, column, lookup, lookup.label if lookup else None, column.stats.distinct,
        by_code=by_code or lookup is None or lookup.label is None,
    )  # fmt: skip


def identifier(noun: str) -> str:
    """A result column's name from a noun."""
    name = "_".join(words.spoken(noun.replace("_", " ")))[:40] or "member"
    return name if name[:1].isalpha() else f"d_{name}"


def resolve(
    subject: Subject, phrases: Sequence[Phrase], found: Found
) -> tuple[list[Restriction], list[Phrase]]:
    """The restrictions that the phrases mean, one for each column, and the phrases that no value answers.

    Phrases that can stand in one column stand there together; among columns that answer equally many of them,
    the one with more rows of these values wins.
    """
    offers = {
        place_index: {
            phrase: matches
            for phrase in phrases
            if (
                matches := _fitting(
                    found.get((place.table.name, place.column.path, said(phrase)), ()), said(phrase)
                )
            )
        }
        for place_index, place in enumerate(places(subject))
    }
    listed = places(subject)
    left = list(phrases)
    restrictions: list[Restriction] = []
    while left:
        scored = [
            (sum(_quality(offers[index][phrase], said(phrase)) for phrase in left if phrase in offers[index]),
             sum(count for phrase in left for _, count in offers[index].get(phrase, ())) if place.table is subject.table else 0, -index)
            for index, place in enumerate(listed)
        ]  # fmt: skip
        best = max(scored, default=(0.0, 0, 0))
        if best[0] <= 0:
            break
        index = -best[2]
        taken = [phrase for phrase in left if phrase in offers[index]]
        members = tuple(dict.fromkeys(value for phrase in taken for value, _ in offers[index][phrase]))[
            :MOST_VALUES
        ]
        operator: Operator = "not_in" if all(phrase.slot == "not" for phrase in taken) else "in"
        named = (
            " and ".join(said(phrase) for phrase in taken) if listed[index].table is not subject.table else ""
        )
        restrictions.append(Restriction(listed[index].dimension, members, operator, named))
        left = [phrase for phrase in left if phrase not in taken]
    return restrictions, left


def _fitting(matches: Sequence[tuple[str, int]], wanted: str) -> tuple[tuple[str, int], ...]:
    """The value itself if it is there; otherwise the values in which it stands as whole words."""
    same = tuple(match for match in matches if match[0].lower() == wanted.lower())
    if same:
        return same
    parts = words.spoken(wanted)
    return tuple(
        match for match in matches
        if len(wanted) >= 3 and all(any(part == other or words.stem(part) == words.stem(other) for other in words.spoken(match[0])) for part in parts)
    )  # fmt: skip


def _quality(matches: Sequence[tuple[str, int]], wanted: str) -> float:
    return 1.0 if any(value.lower() == wanted.lower() for value, _ in matches) else 0.7
