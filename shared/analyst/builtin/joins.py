"""Find lookup tables: a table that says more about a key of the subject, one row for each key.

`orders.customer_id` belongs to `customers.id` by its name, a code column to the table whose key is described with
the same words. A guess from names is only a candidate: `check` builds the query whose one row proves that the
key is unique there (no fan-out) and that enough keys are found, and the plan uses it only after that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.analyst.builtin import roles, words
from shared.analyst.builtin.view import Column, Table, View

MAX_LOOKUP_ROWS = 1_000_000
_NOISE = {"the", "a", "an", "of", "in", "and", "or", "for", "to", "by", "is", "at", "on", "its", "with", "that", "this",
          "code", "name", "id", "key", "number", "two", "three", "letter", "character", "unique", "which", "was", "one",
          "each", "row", "table", "see", "from", "when", "per"}  # fmt: skip
ACCEPTED = 0.55


@dataclass(frozen=True)
class Lookup:
    """A way from a column of the subject to a row of another table."""

    column: Column
    table: Table
    key: Column
    score: float

    @property
    def label(self) -> Column | None:
        """The column that names a row for people, unless that is the key itself."""
        found = roles.label_of(self.table)
        return None if found is None or found.path == self.key.path else found


def find(view: View, subject: Table) -> tuple[Lookup, ...]:
    """The best lookup of each key-like column of the subject, most certain first."""
    found: list[Lookup] = []
    for column in subject.columns:
        view.effort.spend(1)
        if roles.role(column) not in ("dimension", "key", "name") or roles.is_unique(subject, column):
            continue
        candidates = [
            Lookup(column, table, key, score)
            for table in view.tables
            if table.name != subject.name and (table.rows or 0) <= MAX_LOOKUP_ROWS
            for key in table.columns
            if (score := _evidence(subject, column, table, key)) >= ACCEPTED
        ]
        candidates.sort(
            key=lambda lookup: (
                -lookup.score,
                lookup.table.name != _beside(subject, lookup.table),
                lookup.table.name,
            )
        )
        found += candidates[:1]
    return tuple(sorted(found, key=lambda lookup: (-lookup.score, lookup.column.position)))


def _beside(subject: Table, other: Table) -> str:
    """The other table's name where both are in one dataset."""
    same = subject.name.rsplit(".", 1)[0] == other.name.rsplit(".", 1)[0]
    return other.name if same else ""


def _evidence(subject: Table, column: Column, table: Table, key: Column) -> float:
    if (
        column.kind != key.kind
        or roles.role(key) not in ("dimension", "key", "name")
        or not roles.is_unique(table, key)
    ):
        return 0.0
    if not _contained(column, key):
        return 0.0
    own, other = _stems(column.words), _stems(key.words)
    home = _stems(table.words)
    same_dataset = 0.1 if subject.name.rsplit(".", 1)[0] == table.name.rsplit(".", 1)[0] else -0.2
    generic = {"id", "key", "code", "name"}
    if own == other and not own <= generic:
        return 0.9 + same_dataset
    if own - generic and own - generic <= home and (other <= generic | home):
        return 0.85 + same_dataset
    if own - generic and all(
        any(words.likeness(mine, theirs) >= 0.8 for theirs in home) for mine in own - generic
    ):
        return 0.7 + same_dataset
    mine = (_stems(words.spoken(column.description)) | own) - _NOISE
    theirs = (
        _stems((*words.spoken(key.description), *words.spoken(table.description)[:12])) | home | other
    ) - _NOISE
    shared = mine & theirs
    if not shared or not shared & (home | _stems(words.spoken(key.description))):
        return 0.0
    score = 0.35 + 0.15 * min(2, len(shared)) + same_dataset
    return score + (0.1 if _same_shape(column, key) else -0.1)


def _stems(parts: Iterable[str]) -> set[str]:
    return {words.stem(part) for part in parts}


def _contained(column: Column, key: Column) -> bool:
    """Whether the column's smallest and largest values are not far outside the key's."""
    low, high, first, last = column.stats.minimum, column.stats.maximum, key.stats.minimum, key.stats.maximum
    if low is None or first is None or high is None or last is None:
        return True
    if isinstance(low, str) != isinstance(first, str):
        return True
    return bool(first <= high and low <= last)


def _same_shape(column: Column, key: Column) -> bool:
    """Codes of one kind are equally long and in the same case."""
    one, two = str(column.stats.minimum or ""), str(key.stats.maximum or "")
    return bool(one) and len(one) == len(two) and one.isupper() == two.isupper()
