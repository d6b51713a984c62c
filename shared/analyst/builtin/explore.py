"""Learn what the goal needs to know: which tables there are, their shapes, their values, whether joins hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.analyst.builtin import joins, roles, sql, subject, values, words
from shared.analyst.builtin.desk import Answer, Call, Desk
from shared.analyst.builtin.goal import Goal, Phrase
from shared.analyst.builtin.subject import Subject
from shared.analyst.builtin.trees import Restriction
from shared.analyst.builtin.view import Table, View, read_table, with_profiles
from shared.analyst.builtin.vocabulary import IRREGULAR, SOFT
from shared.warehouses.types import Kind

ALL_TABLES = 14
"""A catalog of so many tables is read whole."""
CANDIDATES = 10
NEIGHBOURS = 8
_FOUND_SHARE = 0.5


@dataclass(frozen=True)
class Offer:
    """A table as a list shows it: its name and what is said of it."""

    name: str
    description: str
    rows: int | None


def offers(desk: Desk, goal: Goal) -> tuple[list[Offer], list[str]]:
    """Every table, and those that a search for the goal's words found first."""
    query = (
        " ".join(dict.fromkeys(word for phrase in goal.phrases for word in phrase.words))[:180]
        or goal.text[:180]
    )
    found, listed = desk.ask(Call("search_catalog", {"query": query}), Call("list_tables"))
    tables = [
        Offer(str(entry["table"]), str(entry.get("description") or ""), entry.get("row_count"))
        for entry in listed.get("tables") or ()
    ]
    known = {offer.name for offer in tables}
    hits = [str(hit["table"]) for hit in found.get("hits") or ()]
    tables += [Offer(name, "", None) for name in hits if name not in known]
    return tables, hits


def view(desk: Desk, goal: Goal, tables: Sequence[Offer], hits: Sequence[str]) -> View:
    """The shapes of the tables that could matter: all of a small catalog, else the likely ones and their neighbours."""
    chosen = [offer.name for offer in tables]
    if len(chosen) > ALL_TABLES:
        chosen = _likely(desk, goal, tables, hits)
    shapes = _shapes(desk, chosen)
    if len(tables) > ALL_TABLES:
        shapes += _shapes(desk, _neighbours(shapes, tables))
    return View(tuple(shapes), desk.effort)


def _likely(desk: Desk, goal: Goal, tables: Sequence[Offer], hits: Sequence[str]) -> list[str]:
    rank = {name: 1.0 - index / (len(hits) + 1) for index, name in enumerate(hits)}

    words_said = sum(len(phrase.words) for phrase in goal.phrases)

    def score(offer: Offer) -> float:
        desk.effort.spend(25 * words_said)
        own = words.split(offer.name.rsplit(".", 1)[-1])
        told = words.spoken(offer.description)[:20]
        named = [words.overlap(phrase.words, own) for phrase in goal.phrases] or [0.0]
        described = [words.overlap(phrase.words, told) for phrase in goal.phrases] if told else [0.0]
        return 2.0 * max(named) + max(described) + 1.5 * rank.get(offer.name, 0.0)

    ranked = sorted(tables, key=lambda offer: (-round(score(offer), 4), offer.name))
    return [offer.name for offer in ranked[:CANDIDATES]]


def _neighbours(shapes: Sequence[Table], tables: Sequence[Offer]) -> list[str]:
    """Tables that the likely ones seem to point at: `customer_id` at customers."""
    known = {table.name for table in shapes}
    pointed: dict[str, float] = {}
    for table in shapes:
        for column in table.columns:
            if roles.role(column) not in ("key", "dimension"):
                continue
            own = [
                part for part in column.words if part not in ("id", "key", "code", "no", "number")
            ] or list(column.words)
            for offer in tables:
                if offer.name in known:
                    continue
                near = 0.1 if offer.name.rsplit(".", 1)[0] == table.name.rsplit(".", 1)[0] else 0.0
                likeness = words.overlap(own, words.split(offer.name.rsplit(".", 1)[-1])) + near
                if likeness >= 0.75:
                    pointed[offer.name] = max(pointed.get(offer.name, 0.0), likeness)
    return sorted(pointed, key=lambda name: (-pointed[name], name))[:NEIGHBOURS]


def _shapes(desk: Desk, names: Sequence[str]) -> list[Table]:
    answers = desk.ask(*[Call("get_table_schema", {"table": name}) for name in names])
    return [read_table(answer.content) for answer in answers if not answer.failed and answer.get("columns")]


def settle(desk: Desk, goal: Goal, found: Subject) -> tuple[Subject, list[Restriction], list[Phrase]]:
    """Profile what the plan rests on, look named values up, prove the joins.

    Answers the subject with what was learnt, the restrictions that named values mean, and the phrases that
    nothing in the data answers.
    """
    time = roles.time_of(found.table, tuple(word for phrase in goal.phrases for word in phrase.words))
    profiles = (
        []
        if time is None
        else [Call("profile_column", {"table": found.table.name, "column": time.column.path})]
    )
    wanted = [phrase for phrase in found.unknown if _may_be_a_value(phrase)]
    searches = {
        (place.table.name, place.column.path, values.said(phrase)): Call(
            "profile_column",
            {"table": place.table.name, "column": place.column.path, "matching": values.said(phrase)},
        )
        for phrase in wanted
        for place in values.places(found)
    }
    proofs = {
        lookup.column.path: Call("preview_query", {"sql": _proof(found.table, lookup)})
        for lookup in _used(found, wanted)
    }
    answers = desk.ask(*profiles, *searches.values(), *proofs.values())
    by_key = dict(
        zip([call.key for call in (*profiles, *searches.values(), *proofs.values())], answers, strict=True)
    )
    held = tuple(
        lookup
        for lookup in found.lookups
        if lookup.column.path in proofs and _holds(by_key[proofs[lookup.column.path].key])
    )
    table = found.table
    if time is not None and not by_key[profiles[0].key].failed:
        table = with_profiles(table, {time.column.path: by_key[profiles[0].key].content})
    matches = {key: _matches(by_key[call.key]) for key, call in searches.items()}
    settled = replace(
        found, table=table, lookups=held, hits=tuple(hit for hit in found.hits if _stands(hit, held))
    )
    restrictions, left = values.resolve(settled, wanted, matches)
    left += [phrase for phrase in found.unknown if phrase not in wanted]
    restrictions = _present(desk, settled, restrictions)
    return settled, [*restrictions, *_overlaps(desk, settled, restrictions)], left


def _present(desk: Desk, found: Subject, restrictions: list[Restriction]) -> list[Restriction]:
    """Names of a lookup table, told by the columns that lead to it: the one in which most rows have them."""
    asked: list[tuple[Restriction, Restriction, Call]] = []
    for restriction in restrictions:
        if not restriction.dimension.uses_lookup or restriction.dimension.lookup is None:
            continue
        for lookup in found.lookups:
            if lookup.table.name == restriction.dimension.lookup.table.name:
                option = replace(
                    restriction, dimension=replace(restriction.dimension, column=lookup.column, lookup=lookup)
                )
                text = sql.write(
                    sql.counted(found.table, option.dimension, option.values), found.table.dialect
                )
                asked.append((restriction, option, Call("preview_query", {"sql": text})))
    answers = desk.ask(*[call for _, _, call in asked])
    best: dict[int, tuple[int, Restriction]] = {}
    for (restriction, option, _), answer in zip(asked, answers, strict=True):
        rows = [] if answer.failed else answer.get("rows") or []
        total = sum(int(row[1]) for row in rows)
        place = restrictions.index(restriction)
        if rows and total > best.get(place, (0, restriction))[0]:
            best[place] = (total, replace(option, values=tuple(str(row[0]) for row in rows)))
    return [
        best[place][1] if place in best else restriction for place, restriction in enumerate(restrictions)
    ]


_WHOLE = re.compile(r"(?<![.:] )(?<!^)\b(World|Total|All|Overall|Global|Everyone|Everything)\b")


def _overlaps(desk: Desk, found: Subject, restrictions: list[Restriction]) -> list[Restriction]:
    """Columns with a member that holds all the others ("World" beside countries): adding them up would count twice."""
    named = {hit.columns[0].path for hit in found.hits if hit.columns} | {
        entry.dimension.column.path for entry in restrictions
    }
    candidates = [
        (column, match[1])
        for column in found.table.columns
        if column.kind == Kind.TEXT
        and column.path not in named
        and (match := _WHOLE.search(column.description))
    ]
    calls = [
        Call("profile_column", {"table": found.table.name, "column": column.path, "matching": word})
        for column, word in candidates
    ]
    answers = desk.ask(*calls)
    return [
        Restriction(values.own_dimension(found, column, by_code=True), (word,))
        for (column, word), answer in zip(candidates, answers, strict=True)
        if any(value == word for value, _ in _matches(answer))
    ]


def _used(found: Subject, wanted: Sequence[Phrase]) -> list[joins.Lookup]:
    """The lookups that a dashboard about this subject would use: those the goal names, and those of small dimensions."""
    named = {hit.lookup.column.path for hit in found.hits if hit.lookup is not None}
    named |= {hit.columns[0].path for hit in found.hits if hit.kind == "dimension" and hit.columns}
    small = [
        lookup
        for lookup in found.lookups
        if 1 < (lookup.column.stats.distinct or 0) <= 60 and lookup.label is not None
    ]
    small.sort(key=lambda lookup: (lookup.column.stats.distinct or 0, lookup.column.position))
    chosen = {*named, *(lookup.column.path for lookup in small[:2])}
    if wanted:
        # A name that is looked for may stand in any of the tables that name keys.
        chosen |= {lookup.column.path for lookup in found.lookups}
    return [lookup for lookup in found.lookups if lookup.column.path in chosen]


def _proof(table: Table, lookup: joins.Lookup) -> str:
    return sql.write(sql.fan_out(table, lookup), table.dialect)


def _holds(answer: Answer) -> bool:
    """Whether a join keeps every row once and finds enough of its keys."""
    rows = answer.get("rows") or []
    if answer.failed or not rows:
        return False
    row = dict(zip([column["name"] for column in answer.get("columns")], rows[0], strict=False))
    keys, found, after = (
        int(row.get(name) or 0) for name in ("keys_in_subject", "keys_found", "rows_after_join")
    )
    return after == keys and keys > 0 and found >= _FOUND_SHARE * keys


def _stands(hit: subject.Hit, held: tuple[joins.Lookup, ...]) -> bool:
    return hit.kind != "field" or hit.lookup is None or hit.lookup in held


def _matches(answer: Answer) -> list[tuple[str, int]]:
    entries: Sequence[Mapping[str, Any]] = [] if answer.failed else answer.get("top_values") or []
    return [(str(entry["value"]), int(entry["count"])) for entry in entries if entry.get("value") is not None]


def _may_be_a_value(phrase: Phrase) -> bool:
    return phrase.proper or phrase.slot in ("value", "not") or len(phrase.words) <= 3


_VERB = re.compile(r"(ed|ing|ly)$")


def is_noise(phrase: Phrase, found: Subject) -> bool:
    """Whether a word that nothing answers can be left out: a verb or an adverb beside what was understood."""
    if phrase.proper or phrase.slot in ("value", "not", "by"):
        return False
    if not found.hits:
        return False
    beside = any(
        set(hit.phrase.words) & set(hit.phrase.words) and hit.phrase.slot == "which" for hit in found.hits
    )
    loose = all(_VERB.search(word) or word in IRREGULAR or word in SOFT for word in phrase.words)
    return loose or (phrase.slot == "which" and beside)
