"""Find what a goal is about: the table whose own and reachable columns answer most of its phrases.

Every table is tried as the subject. A phrase may mean one of its columns, its rows (the table's own name: count them),
a column of a lookup table, or another table that is only tied to it in time (a companion).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from shared.analyst.builtin import joins, roles, words
from shared.analyst.builtin.effort import MOST_SPLIT
from shared.analyst.builtin.goal import Goal, Phrase, is_calendar
from shared.analyst.builtin.joins import Lookup
from shared.analyst.builtin.view import Column, Table, View
from shared.analyst.builtin.vocabulary import EMBRACES, MONEY, SOFT
from shared.warehouses.types import Kind

HitKind = Literal["rows", "measure", "flag", "missing", "dimension", "field", "companion", "time"]
GOOD = 0.5
_MONEY = {words.stem(word) for word in MONEY}
_GENERIC = frozenset("fct fact facts dim stg tbl raw vw view data table all src mart the v t of".split())
_EMPTY = re.compile(
    r"\b(null|missing|empty|blank|absent|unset|not set|no value|none)\b(?P<rest>[^.;]{0,90})", re.I
)


@dataclass(frozen=True)
class Hit:
    """What a phrase means."""

    phrase: Phrase
    kind: HitKind
    score: float
    columns: tuple[Column, ...] = ()
    """One, or several that fit equally well ("delay" where there are two)."""
    lookup: Lookup | None = None
    """Through which the column is reached, or whose row names the column."""
    table: Table | None = None
    """The companion."""


@dataclass(frozen=True)
class Subject:
    """A table with the goal's phrases as it understands them."""

    table: Table
    lookups: tuple[Lookup, ...]
    hits: tuple[Hit, ...]
    unknown: tuple[Phrase, ...]
    """Phrases that mean nothing here: values of a column, or things that are not there."""
    score: float


def rank(view: View, goal: Goal) -> list[Subject]:
    """Every table as a subject, the best first; ties by rows, then by name, so that the order is always the same."""
    subjects = [_try(view, table, goal) for table in view.tables]
    subjects.sort(key=lambda found: (-round(found.score, 3), -(found.table.rows or 0), found.table.name))
    return subjects


def _try(view: View, table: Table, goal: Goal) -> Subject:
    lookups = joins.find(view, table)
    hits: list[Hit] = []
    unknown: list[Phrase] = []
    score = 0.0
    sense = _Sense(view, table, lookups)
    for place, phrase in enumerate(_merged(goal.phrases, table)):
        found, left = sense.ground(phrase)
        hits += found
        unknown += left
        weight = 0.4 if phrase.slot in ("value", "not") else 0.9 if phrase.proper else 1.0
        # What is named first is the subject; what follows stands beside it.
        weight *= 1.15 if place == 0 else 1.0
        score += weight * max((hit.score for hit in found), default=0.0)
        if found and left:
            score -= 0.2 * weight
    if goal.grain or "trend" in goal.intents:
        score += 0.15 if roles.time_of(table) else 0.0
    spoken = set(words.spoken(goal.text))
    if set(words.split(table.name.rsplit(".", 2)[-2]) if "." in table.name else ()) & spoken:
        score += 0.2
    if ".".join(table.name.split(".")[-2:]).lower() in goal.text.lower():
        score += 1.0
        unknown = [phrase for phrase in unknown if table.short.lower() not in phrase.text.lower()]
    if any(hit.kind in ("measure", "flag", "missing", "rows") for hit in hits):
        score += 0.1
    if "relation" in goal.intents and any(
        hit.kind == "measure" and hit.phrase.slot == "with" for hit in hits
    ):
        # What is affected is the subject; what affects it stands beside it.
        score += 0.1
    if table.rows == 0:
        score -= 0.5
    return Subject(table, lookups, tuple(hits), tuple(unknown), score)


def _merged(phrases: tuple[Phrase, ...], table: Table) -> list[Phrase]:
    """Join "miles" and "per gallon" where a column is called miles per gallon."""
    out = list(phrases)
    for one, two in pairwise(phrases):
        if two.slot != "by" or one not in out or two not in out:
            continue
        both = (*one.words, "per", *two.words)
        if any(
            "per" in "".join(column.words) and words.overlap((*one.words, *two.words), column.words) >= 0.7
            for column in table.columns
        ):
            out[out.index(one)] = replace(
                one, words=tuple(word for word in both if word != "per"), text=f"{one.text} per {two.text}"
            )
            out.remove(two)
    return out


Grounded = tuple[list[Hit], list[Phrase]]


class _Sense:
    """What phrases mean to one table. Each phrase is looked up once, in whatever cut it comes."""

    def __init__(self, view: View, table: Table, lookups: tuple[Lookup, ...]) -> None:
        self._view, self._table, self._lookups = view, table, lookups
        self._found: dict[Phrase, Hit | None] = {}
        self._grounded: dict[Phrase, Grounded] = {}
        others = [other for other in view.tables if other.name != table.name]
        self._columns = sum(
            len(one.columns) for one in (table, *(lookup.table for lookup in lookups), *others)
        )

    def best(self, phrase: Phrase) -> Hit | None:
        """The best meaning of a whole phrase, or None."""
        if phrase not in self._found:
            self._view.effort.spend(len(phrase.words) * self._columns)
            self._found[phrase] = _best(self._view, self._table, self._lookups, phrase)
        return self._found[phrase]

    def ground(self, phrase: Phrase) -> Grounded:
        """The meanings of a phrase: of the whole, or of its parts where the whole means nothing."""
        if phrase not in self._grounded:
            self._grounded[phrase] = self._ground(phrase)
        return self._grounded[phrase]

    def _ground(self, phrase: Phrase) -> Grounded:
        meant = self.best(phrase) if is_calendar(phrase) else None
        if meant is not None and meant.kind == "measure":
            return [meant], []
        if is_calendar(phrase) and phrase.slot in ("by", "which", "what") and roles.time_of(self._table):
            return [Hit(phrase, "time", 0.5)], []
        whole = self.best(phrase)
        if whole is not None and (whole.score >= 0.62 or len(phrase.words) == 1):
            return [whole], []
        best = self._cut(phrase) if len(phrase.words) <= MOST_SPLIT else None
        if whole is not None and (best is None or whole.score >= best[0]):
            return [whole], []
        if best is not None:
            return best[1], best[2]
        return [], [phrase]

    def _cut(self, phrase: Phrase) -> tuple[float, list[Hit], list[Phrase]] | None:
        """The best of the ways to cut a phrase in two, each part grounded by itself."""
        best: tuple[float, list[Hit], list[Phrase]] | None = None
        for cut in range(1, len(phrase.words)):
            hits: list[Hit] = []
            left: list[Phrase] = []
            for words_of in (phrase.words[:cut], phrase.words[cut:]):
                part = replace(phrase, words=words_of, text=" ".join(words_of))
                found = self.best(part)
                if found is not None and found.score >= 0.55:
                    hits.append(found)
                elif len(part.words) > 1:
                    deeper, deeper_left = self.ground(part)
                    hits += deeper
                    left += deeper_left
                elif part.words[0] not in SOFT:
                    left.append(part)
            heard = sum(len(hit.phrase.words) for hit in hits) or 1
            score = sum(hit.score * len(hit.phrase.words) for hit in hits) / heard - 0.15 * len(left)
            if hits and (best is None or score > best[0]):
                best = (score, hits, left)
        return best


def _best(view: View, table: Table, lookups: tuple[Lookup, ...], phrase: Phrase) -> Hit | None:
    """The best meaning of a whole phrase, or None."""
    candidates = [
        *_own_columns(table, phrase),
        *_own_rows(table, phrase),
        *_through_lookups(table, lookups, phrase),
        *_companions(view, table, lookups, phrase),
    ]
    found = max(candidates, key=lambda hit: hit.score, default=None)
    if (
        found is not None
        and found.kind == "measure"
        and len(phrase.words) == 1
        and phrase.words[0].endswith("ed")
        and not _named(found)
    ):
        # "Shipped" is more likely a state among the values than another word for the delivery's time.
        return None
    needed = 0.8 if phrase.proper and found is not None and found.kind != "rows" else GOOD
    return found if found is not None and found.score >= needed else None


def _named(hit: Hit) -> bool:
    """Whether a column's name holds the word itself, and not only one of like meaning."""
    return any(
        words.akin(word, part) for word in hit.phrase.words for column in hit.columns for part in column.words
    )


def _own_columns(table: Table, phrase: Phrase) -> list[Hit]:
    scored = [(column_score(table, column, phrase), column) for column in table.columns]
    hits: list[Hit] = []
    for kind_of in (("measure",), ("flag",), ("dimension", "key", "name", "part", "clock", "place", "text")):
        fitting = [
            (score, column) for score, column in scored if roles.role(column) in kind_of and score >= GOOD
        ]
        if not fitting:
            continue
        top = max(score for score, _ in fitting)
        same = tuple(column for score, column in fitting if score >= top - 0.04)
        kind: HitKind = (
            "measure" if kind_of == ("measure",) else "flag" if kind_of == ("flag",) else "dimension"
        )
        if kind == "dimension":
            same = (max(same, key=lambda column: (roles.role(column) == "name", -column.position)),)
            if roles.role(same[0]) == "key" and phrase.slot == "what" and phrase.aggregate != "count":
                top *= 0.75
        if kind == "measure" and phrase.slot in ("value",):
            top *= 0.8
        hits.append(Hit(phrase, kind, top, same[:3]))
    hits += _missing(table, phrase)
    return hits


def column_score(table: Table, column: Column, phrase: Phrase) -> float:
    """How surely a phrase means a column: by its name, helped by the table's name, or by its description."""
    said = phrase.words
    named = [max((words.likeness(word, part) for part in column.words), default=0.0) for word in said]
    helped = [
        max(score, max((0.9 * words.likeness(word, part) for part in table.words), default=0.0))
        for word, score in zip(said, named, strict=True)
    ]
    backward = [max(words.likeness(word, part) for word in said) for part in column.words] or [0.0]
    score = 0.0
    if max(named, default=0.0) >= 0.6:
        score = 0.75 * sum(helped) / len(helped) + 0.25 * sum(backward) / len(backward)
    if (
        score < 0.62
        and column.is_number
        and any(words.stem(word) in _MONEY for word in said)
        and _is_money(column)
    ):
        score = 0.62
    told = _described(column)
    if told:
        covered = [
            max(max(words.likeness(word, other) for other in told), own)
            for word, own in zip(said, named, strict=True)
        ]
        score = max(score, 0.78 * min(covered) if len(said) > 1 else 0.7 * covered[0])
    return score


def _is_money(column: Column) -> bool:
    """Whether a column is an amount of money: by its unit, or by its name."""
    unit = roles.unit(column)
    named = words.any_of(column.words, ("amount", "total", "value", "price"))
    return (
        roles.role(column) == "measure"
        and roles.behaviour(column) == "added"
        and ((unit is not None and unit[0] in ("$", "€", "£")) or (unit is None and named))
    )


def _described(column: Column) -> tuple[str, ...]:
    """The words of what a description says the column is: its first clause."""
    clause = re.split(r"[.;(]| - ", column.description, maxsplit=1)[0]
    return tuple(word for word in words.spoken(clause)[:12] if len(word) > 2)


def _missing(table: Table, phrase: Phrase) -> list[Hit]:
    """Columns whose description says that an empty value means this: "NULL where the visit was cancelled"."""
    hits = []
    said = [word for word in phrase.words if not any(words.akin(word, part) for part in table.words)]
    for column in table.columns if said else ():
        if column.stats.null_share == 0:
            continue
        for found in _EMPTY.finditer(column.description):
            told = words.spoken(found["rest"])
            covered = [max((words.likeness(word, other) for other in told), default=0.0) for word in said]
            if covered and min(covered) >= 0.7:
                hits.append(Hit(phrase, "missing", 0.8 * min(covered), (column,)))
    return hits[:1]


def _own_rows(table: Table, phrase: Phrase) -> list[Hit]:
    parts = [word for word in table.words if word not in _GENERIC and not word.isdigit()] or list(table.words)
    score = words.overlap(phrase.words, parts)
    home = words.split(table.name.rsplit(".", 2)[-2]) if "." in table.name else ()
    if phrase.proper and words.overlap(phrase.words, home) >= 0.7:
        # "in Seattle", and the data set is Seattle's.
        return [Hit(phrase, "rows", 0.9)]
    heads = [words.likeness(word, parts[-1]) for word in phrase.words] if parts else [0.0]
    if max(heads) < 0.6:
        score *= 0.8
    if (
        phrase.slot == "which"
        or phrase.aggregate in ("avg", "median", "max", "min")
        or {"value", "worth", "amount"} & set(phrase.words)
    ):
        score *= 0.65
    if phrase.slot == "by" and phrase.aggregate is None:
        # "Each product" of a table of products: the column that tells its members apart.
        entity = entity_of(table)
        return [] if entity is None else [Hit(phrase, "dimension", 0.8 * score, (entity,))]
    return [Hit(phrase, "rows", score)]


def entity_of(table: Table) -> Column | None:
    """The column that tells the things apart that a table's rows are about: its first repeated name or key."""
    named = [
        column
        for column in table.columns
        if column.kind == Kind.TEXT
        and roles.role(column) in ("dimension", "key", "name")
        and (column.stats.distinct or 0) > 1
        and not roles.is_unique(table, column)
    ]
    return min(named, key=lambda column: column.position, default=None)


def _through_lookups(table: Table, lookups: tuple[Lookup, ...], phrase: Phrase) -> list[Hit]:
    hits = []
    for lookup in lookups:
        named = 0.96 * words.overlap(phrase.words, lookup.table.words)
        own = column_score(table, lookup.column, phrase)
        hits.append(Hit(phrase, "dimension", max(named * 0.93, 0.0), (lookup.column,), lookup))
        if own >= GOOD:
            hits.append(Hit(phrase, "dimension", own + 0.005, (lookup.column,), lookup))
        for column in lookup.table.columns:
            kind = roles.role(column)
            if column.path == lookup.key.path or kind in ("time", "place", "text", "clock"):
                continue
            score = 0.88 * column_score(lookup.table, column, phrase)
            if kind == "name":
                score = max(score, 0.6 * named)
            hits.append(Hit(phrase, "field", score, (column,), lookup))
    return hits


def _companions(view: View, table: Table, lookups: tuple[Lookup, ...], phrase: Phrase) -> list[Hit]:
    """Another table of events that shares the subject's time: weather beside visits."""
    if roles.time_of(table) is None or phrase.slot in ("by", "value", "not"):
        return []
    near = {lookup.table.name for lookup in lookups}
    hits = []
    home = table.name.rsplit(".", 1)[0]
    for other in view.tables:
        if other.name == table.name or other.name in near or roles.time_of(other) is None:
            continue
        closeness = 0.66 if other.name.rsplit(".", 1)[0] == home else 0.58
        named = words.overlap(
            phrase.words, [word for word in other.words if word not in _GENERIC] or other.words
        )
        measures = measures_for(other, phrase)
        if not measures:
            continue
        fit = max(column_score(other, column, phrase) for column in measures)
        score = closeness * max(named if named >= 0.7 else 0.0, 0.95 * fit)
        hits.append(Hit(phrase, "companion", score, measures, table=other))
    return hits


def measures_for(table: Table, phrase: Phrase, most: int = 4) -> tuple[Column, ...]:
    """The figures of a table that a phrase asks for: those it names, those its field embraces, else the first ones."""
    figures = [column for column in table.columns if roles.role(column) == "measure"]
    named = [column for column in figures if column_score(table, column, phrase) >= 0.55]
    if named:
        return tuple(named[:most])
    chosen: list[Column] = []
    for word in phrase.words:
        for part in EMBRACES.get(words.stem(word), EMBRACES.get(word, "")).split():
            fitting = [
                column
                for column in figures
                if column not in chosen and words.overlap((part,), column.words) >= 0.6
            ]
            chosen += sorted(
                fitting, key=lambda column: (column.stats.null_share or 0, len(column.words), column.position)
            )[:1]
    if chosen:
        return tuple(chosen[:most])
    full = [column for column in figures if (column.stats.null_share or 0) < 0.5]
    return tuple(full[:most])
