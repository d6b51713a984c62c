"""Ask one clear question, or say honestly what is not there. Both name what there is instead."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from shared.analyst.builtin import explore, measures, roles, words
from shared.analyst.builtin import goal as goals
from shared.analyst.builtin.decide import listed
from shared.analyst.builtin.desk import Desk
from shared.analyst.builtin.goal import Goal, Phrase
from shared.analyst.builtin.subject import Subject
from shared.analyst.builtin.trees import Restriction
from shared.analyst.builtin.view import Table, View
from shared.warehouses.types import Kind

_ENOUGH = 0.5


_LEAVE, _SPLIT = "Leave it out", "Split it by"


def answered(goal_text: str, question: Mapping[str, Any], answer: str) -> tuple[str, bool]:
    """The goal after the person's answer, and whether what is not there may be left out."""
    said = answer.strip()
    if re.match(r"(leave|drop|skip|ignore) (it|them|that)\b", said, re.I):
        return goal_text, True
    if said.lower().startswith(_SPLIT.lower()):
        return f"{goal_text.rstrip(' .?!')} {said[len('Split it ') :]}", True
    options = [str(option) for option in question.get("options") or ()]
    chosen = next((option for option in options if option.lower() == said.lower()), None)
    if chosen is not None and not re.fullmatch(r"[\w-]+\.[\w-]+", chosen):
        return chosen, False
    if len(said.split()) > 4:
        return said, False
    return goals.with_answer(goal_text, said), False


def decline(desk: Desk, reason: str, message: str, available: Sequence[str]) -> NoReturn:
    """End the turn without a dashboard, with the reason."""
    desk.ask_one("decline", reason=reason, message=message, available=list(available)[:12])
    desk.finish(message)
    raise AssertionError


def question(desk: Desk, text: str, options: Sequence[str]) -> NoReturn:
    """End the turn with the one question whose answer is missing."""
    desk.ask_one("ask_user", question=text, options=list(options)[:8])
    lines = "".join(f"\n- {option}" for option in list(options)[:8])
    desk.finish(f"{text}{lines}")
    raise AssertionError


def greet(desk: Desk, tables: Sequence[explore.Offer]) -> NoReturn:
    """The message names nothing to look for."""
    names = [offer.name.rsplit(".", 1)[-1].replace("_", " ") for offer in tables]
    question(
        desk,
        f"What would you like to see? This connection has data about {listed(names[:8])}.",
        [f"Give me an overview of {name}" for name in names[:4]],
    )


def require_subject(desk: Desk, goal: Goal, ranked: Sequence[Subject], view: View) -> None:
    """Stop where the goal matches nothing, or two tables equally well."""
    best = ranked[0]
    head = [phrase for phrase in goal.phrases if phrase.slot not in ("value", "not") and not phrase.proper]
    if not best.hits or (head and not any(hit.score >= 0.55 for hit in best.hits)):
        named = listed([f"“{phrase.text}”" for phrase in goal.phrases[:3]])
        decline(
            desk,
            "unanswerable",
            f"I found nothing about {named} in this connection, so I did not make a dashboard of something else. {_offer(view)}",
            _available(view),
        )
    twins = [other for other in ranked[1:4] if _equal(best, other, goal)]
    if twins:
        options = [_full(entry.table) for entry in (best, *twins)]
        question(desk, f"Several tables fit equally well: {listed(options)}. Which one do you mean?", options)


def _equal(best: Subject, other: Subject, goal: Goal) -> bool:
    """Two tables of one name that answer alike: the goal can't tell them apart, only the person can."""
    if abs(best.score - other.score) > 0.03 or best.table.short.lower() != other.table.short.lower():
        return False
    said = {word for phrase in goal.phrases for word in phrase.words} | set(words.spoken(goal.text))
    mine, theirs = (set(words.split(entry.table.name.rsplit(".", 2)[-2])) for entry in (best, other))
    return not (said & (mine ^ theirs))


def _full(table: Table) -> str:
    return ".".join(table.name.split(".")[-2:])


def require_known(desk: Desk, found: Subject, left: list[Phrase], restrictions: list[Restriction]) -> None:
    """Stop where a thing that was asked for is not there; words that only decorate are left in `left`."""
    missing = [phrase for phrase in left if not explore.is_noise(phrase, found)]
    if not missing:
        return
    table = found.table
    wanted = listed([f"“{phrase.text}”" for phrase in missing])
    if all(phrase.proper or phrase.slot in ("value", "not") for phrase in missing):
        columns = [
            column
            for column in table.columns
            if column.kind == Kind.TEXT and roles.role(column) in ("dimension", "key", "name")
        ]
        near = listed([measures.readable(column, None) for column in columns[:4]])
        question(
            desk, f"I can’t find {wanted} among the values of {table.short.replace('_', ' ')}" + (f" ({near})" if near else "") + ". What should I use instead?",
            [_LEAVE, *[f"{_SPLIT} {measures.readable(column, None)}" for column in columns[:3]]],
        )  # fmt: skip
    understood = listed([f"“{hit.phrase.text}”" for hit in found.hits[:3]])
    available = _available(View((table, *[lookup.table for lookup in found.lookups])))
    text = (
        f"I found {understood} in {_full(table)}, but nothing there is {wanted}, so I did not guess. "
        + _columns_line(found)
    )
    if any(hit.kind in ("measure", "flag", "missing", "rows") for hit in found.hits) and not any(
        restriction for restriction in restrictions
    ):
        question(desk, text + " What should I show instead?", _alternatives(found, missing))
    decline(desk, "unanswerable", text, available)


def _alternatives(found: Subject, missing: Sequence[Phrase]) -> list[str]:
    """Goals that the data can answer, closest to what was asked."""
    subject = next(
        (hit.phrase.text for hit in found.hits if hit.kind in ("measure", "flag", "missing", "rows")),
        measures.noun_of(found.table),
    )
    splits = [
        measures.readable(column, None)
        for column in found.table.columns
        if column.kind == Kind.TEXT
        and roles.role(column) in ("dimension", "key")
        and 1 < (column.stats.distinct or 0) <= 500
    ]
    by = [phrase for phrase in missing if phrase.slot == "by"]
    if by or not splits:
        return [f"{subject} by {split}" for split in splits[:4]] or [subject]
    return [subject, *[f"{subject} by {split}" for split in splits[:3]]]


def _columns_line(found: Subject) -> str:
    figures = [
        measures.readable(column, None)
        for column in found.table.columns
        if roles.role(column) in ("measure", "flag")
    ]
    splits = [
        measures.readable(column, None)
        for column in found.table.columns
        if roles.role(column) in ("dimension", "key", "name") and column.kind == Kind.TEXT
    ]
    parts = [
        f"figures: {listed(figures[:6])}" if figures else "",
        f"splits: {listed(splits[:6])}" if splits else "",
    ]
    return f"It has {'; '.join(part for part in parts if part)}."


def _offer(view: View) -> str:
    lines = []
    for table in view.tables[:8]:
        figures = [
            measures.readable(column, None)
            for column in table.columns
            if roles.role(column) in ("measure", "flag")
        ][:4]
        name = table.short.replace("_", " ")
        lines.append(f"{name} ({listed(figures)})" if figures else name)
    return f"There is data about {listed(lines)}."


def _available(view: View) -> list[str]:
    return [_full(table) for table in view.tables[:12]]


def understood(found: Subject) -> str:
    """What the analyst takes the goal to mean, in a line."""
    parts: list[str] = []
    for hit in found.hits:
        if hit.kind == "rows" and (hit.phrase.proper or not measures.is_event(found.table)):
            continue
        name = (
            measures.noun_of(found.table)
            if hit.kind == "rows"
            else listed([column.path for column in hit.columns])
        )
        if hit.kind == "companion" and hit.table is not None:
            name = f"{hit.table.short} ({name})"
        elif hit.lookup is not None:
            name = (
                f"{name}, named by {hit.lookup.table.short}"
                if hit.kind == "dimension"
                else f"{hit.lookup.table.short}.{name}"
            )
        if hit.phrase.text.lower() != name.lower():
            parts.append(f"“{hit.phrase.text}” is `{name}`")
    text = f"The subject is `{_full(found.table)}`"
    return text + (f"; {'; '.join(parts)}" if parts else "") + ".\n\n"
