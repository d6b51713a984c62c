"""Read a goal: the pieces of a sentence that say what to show, before any table is looked at.

"Which destinations have the worst arrival delays in 2013? top 10"
  range ── in 2013          top ── 10          judgement ── worst
  phrases ── [destinations] which   [arrival delays] what
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from shared.analyst.builtin import ranges, words
from shared.analyst.builtin.effort import MOST_NAME, MOST_NAMED
from shared.analyst.builtin.ranges import Span
from shared.analyst.builtin.vocabulary import CALENDAR, NUMBERS, SILENT, SOFT

Grain = Literal["hour", "day", "week", "month", "quarter", "year"]
Slot = Literal["what", "by", "which", "with", "value", "not"]
Aggregate = Literal["avg", "sum", "count", "share", "median", "max", "min"]
Cycle = Literal["weekday", "hour", "month"]

_COUNT_WORD = "|".join(NUMBERS)
_TOP = re.compile(
    rf"\b(?:top|first|leading)[ -](\d{{1,3}}|{_COUNT_WORD})\b|\b(?:bottom|last)[ -](\d{{1,3}}|{_COUNT_WORD})\b(?!\s+(?:day|week|month|quarter|year))",
    re.I,
)
_TOP_BEFORE = re.compile(
    rf"\b(\d{{1,3}}|{_COUNT_WORD})\s+(?=(?:most|least|worst|best|highest|lowest|biggest|largest|smallest|busiest|longest|shortest|fastest|slowest|cheapest)\b)",
    re.I,
)
_TOP_AFTER = re.compile(
    rf"\b(?:worst|best|most|highest|lowest|biggest|largest|busiest) (\d{{1,3}}|{_COUNT_WORD})\b", re.I
)
_JUDGEMENT = re.compile(
    r"\b(worst|best|most|least|highest|lowest|biggest|largest|greatest|smallest|fewest|longest|shortest|busiest|fastest|slowest|cheapest|"
    r"oldest|youngest|hottest|coldest|warmest|top|bottom)\b",
    re.I,
)
_DOWN = {"least", "lowest", "smallest", "fewest", "shortest", "cheapest", "bottom", "coldest", "youngest"}
_GRAINS: tuple[tuple[Grain, str], ...] = (
    ("hour", "hour|hourly|hours"), ("day", "day|daily|days|date"), ("week", "week|weekly|weeks"),
    ("month", "month|monthly|months"), ("quarter", "quarter|quarterly|quarters"),
    ("year", "year|yearly|years|annual|annually|annum"),
)  # fmt: skip
_GRAIN = {word: grain for grain, names in _GRAINS for word in names.split("|")}
_ALL = "|".join(sorted(_GRAIN, key=len, reverse=True))
_CYCLE = re.compile(
    r"\b(?:by|per|each|for each|on each|across|over the|which|what)?\s*(?:(weekdays?|days? of (?:the )?week|day-of-week)|(hours? of (?:the )?day|times? of (?:the )?day|hour-of-day|(?<=which )hours?|(?<=what )hours?)|(months? of (?:the )?year|calendar month|seasonal(?:ity|ly)?|season))\b",
    re.I,
)
_BY_GRAIN = re.compile(
    rf"\b(hourly|daily|weekly|monthly|quarterly|yearly|annual(?:ly)?)\b|\b(?:by|per|each|every|for each|for every|over the|across the|(?:day|week|month|quarter|year) (?:by|over|on))\s+({_ALL})\b"
    rf"|\b(?:that|same|each|the same)\s+(day|week|month|quarter|year)\b|\bper\s+(annum)\b|\band\s+(day|week|month|quarter|year)\b",
    re.I,
)
_TREND = re.compile(
    r"\b(over (?:the )?(?:time|course)|trends?|trending|evol\w+|develop\w*|histor\w+|time ?line|chang(?:e|ed|es|ing)|growth|grow[ns]?|grew|progress\w*|over the (?:years|months|weeks|days))\b",
    re.I,
)
_SHARE = re.compile(
    r"\b(share|breakdown|break down|proportions?|make ?up|composition|percentages?|percent|mix|split)\b", re.I
)
_SPREAD = re.compile(
    r"\b(distribut\w+|histogram|spread|variation|variance|quartiles?|boxplot|outliers?)\b", re.I
)
_RELATION = re.compile(
    r"\b(relationship|relation|correlat\w+|scatter|affects?|influences?|impacts?|depends?|related|effect of|against)\b",
    re.I,
)
_COMPARE = re.compile(r"\b(compar\w+|versus|vs\.?|differences? between|side by side)(?!\w)", re.I)
_DETAIL = re.compile(
    r"^\s*(?:please\s+)?(?:list|show (?:me )?all|show (?:me )?the rows|show (?:me )?raw)\b", re.I
)
_SINGLE = re.compile(
    r"^\s*(?:how many|how much|what(?:'s| is| was) the (?:total|average|overall|number))\b", re.I
)
_AGGREGATES: tuple[tuple[Aggregate, str], ...] = (
    ("avg", "average averages avg mean typical"), ("sum", "total totals sum overall combined"), ("median", "median"),
    ("max", "maximum max peak"), ("min", "minimum min"), ("count", "count counts"),
    ("share", "share percentage percent proportion rate rates"),
)  # fmt: skip
_AGGREGATE = {word: aggregate for aggregate, names in _AGGREGATES for word in names.split()}
_SLOTS: dict[str, Slot] = {
    **dict.fromkeys(("by", "per", "across", "each", "every"), "by"),
    **dict.fromkeys(("for", "in", "at", "from", "where", "only", "within", "inside", "on", "just", "through"), "value"),
    **dict.fromkeys(("vs", "versus", "against", "with", "affect", "affects", "influence", "alongside"), "with"),
    **dict.fromkeys(("except", "excluding", "without", "not"), "not"),
}  # fmt: skip
_TOKEN = re.compile(
    r"\"[^\"]+\"|'[^']+'(?=\W|$)|[A-Za-z0-9][A-Za-z0-9'_.&-]*[A-Za-z0-9]|[A-Za-z0-9]|[,;:?!()/&+]"
)


@dataclass(frozen=True)
class Phrase:
    """A noun of the goal, with what the words around it said about it."""

    words: tuple[str, ...]
    text: str
    slot: Slot
    aggregate: Aggregate | None = None
    proper: bool = False
    """Written like a name: quoted, or in capitals away from a sentence's start."""


@dataclass(frozen=True)
class Goal:
    """A goal as read."""

    text: str
    phrases: tuple[Phrase, ...] = ()
    grain: Grain | None = None
    cycle: Cycle | None = None
    span: Span | None = None
    top: int | None = None
    judgement: str | None = None
    intents: frozenset[str] = field(default_factory=frozenset)

    @property
    def downwards(self) -> bool:
        """Whether the small ones were asked for."""
        return self.judgement in _DOWN


def read(text: str) -> Goal:
    """The goal of a text. Pure: the same text always reads the same."""
    clean = re.sub(r"\s+", " ", text.replace("’", "'").replace("“", '"').replace("”", '"')).strip()
    used: list[tuple[int, int]] = []
    top, judged = _top(clean, used)
    span, stretches = ranges.read(_masked(clean, used))
    used += stretches
    cycle = _cycle(clean, used)
    grain = _grain(_masked(clean, used), used)
    intents = {
        name
        for name, pattern in (
            ("trend", _TREND), ("share", _SHARE), ("spread", _SPREAD), ("relation", _RELATION),
            ("compare", _COMPARE), ("detail", _DETAIL), ("single", _SINGLE),
        )
        if pattern.search(clean)
    }  # fmt: skip
    if grain is not None:
        intents.add("trend")
    if grain is None and (found := re.search(rf"\bover the ({_ALL})\b", clean, re.I)):
        grain = _GRAIN[found[1].lower()]
    phrases = _phrases(_masked(clean, used))
    return Goal(clean, phrases, grain, cycle, span, top, judged, frozenset(intents))


def with_answer(goal_text: str, answer: str) -> str:
    """The goal completed by the answer to the one question that was asked about it."""
    return f"{goal_text.rstrip(' .?!')}: {answer.strip()}"


def _masked(text: str, used: list[tuple[int, int]]) -> str:
    """The text with what was read blanked out; offsets stay."""
    letters = list(text)
    for start, end in used:
        letters[start:end] = " " * (end - start)
    return "".join(letters)


def _top(text: str, used: list[tuple[int, int]]) -> tuple[int | None, str | None]:
    count: int | None = None
    bottom = False
    for pattern in (_TOP, _TOP_BEFORE, _TOP_AFTER):
        if found := pattern.search(text):
            said = next(group for group in found.groups() if group)
            count = int(said) if said.isdigit() else NUMBERS[said.lower()]
            bottom = found[0].lower().startswith(("bottom", "last"))
            used.append(found.span((found.re.groups and found.lastindex) or 0))
            break
    judged = [found[1].lower() for found in _JUDGEMENT.finditer(text)]
    telling = [word for word in judged if word not in ("top", "bottom")] or judged
    if telling:
        return count, telling[0]
    return count, "bottom" if bottom else "top" if count else None


def _cycle(text: str, used: list[tuple[int, int]]) -> Cycle | None:
    if found := _CYCLE.search(text):
        used.append(found.span())
        return "weekday" if found[1] else "hour" if found[2] else "month"
    return None


def _grain(text: str, used: list[tuple[int, int]]) -> Grain | None:
    chosen: Grain | None = None
    for found in _BY_GRAIN.finditer(text):
        word = next(group for group in found.groups() if group).lower()
        used.append(found.span())
        if chosen is None:
            chosen = _GRAIN[word]
    return chosen


@dataclass
class _Reader:
    """The state of reading phrases from left to right."""

    slot: Slot = "what"
    aggregate: Aggregate | None = None
    words: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    proper: bool = False
    found: list[Phrase] = field(default_factory=list)

    def close(self) -> None:
        """End the phrase that is open."""
        asked = self.aggregate not in (None, "count") or self.slot in ("by", "which") or not self.found
        if self.words and (asked or any(word not in SOFT for word in self.words)):
            self.found.append(
                Phrase(
                    tuple(self.words), " ".join(self.raw)[:MOST_NAME], self.slot, self.aggregate, self.proper
                )
            )
            self.aggregate = None
        elif self.words:
            self.aggregate = None
        self.words, self.raw, self.proper = [], [], False


def _phrases(text: str) -> tuple[Phrase, ...]:
    reader = _Reader()
    first = True
    for match in _TOKEN.finditer(text):
        word = match[0]
        low = word.lower().removesuffix("'s")
        if word in ",;:?!()/&+":
            reader.close()
            if word in "?!;:":
                reader.slot, first = "what", True
            continue
        if word[0] in "\"'":
            reader.close()
            reader.words, reader.raw, reader.proper = (
                list(words.spoken(word))[:MOST_NAMED] or [word[1:-1].lower()],
                [word[1:-1]],
                True,
            )
            reader.close()
            continue
        _take(reader, word, low, first)
        first = False
    reader.close()
    return tuple(reader.found)


def _take(reader: _Reader, token: str, low: str, first: bool) -> None:
    if low in ("which", "what", "who", "whose"):
        reader.close()
        reader.slot = "which"
        return
    if (
        low in ("have", "has", "had", "get", "gets", "got", "are", "is", "was", "were", "do", "does", "did")
        and reader.slot == "which"
    ):
        reader.close()
        reader.slot = "what"
        return
    if low in _SLOTS and not _is_name(token, first):
        reader.close()
        reader.slot = _SLOTS[low]
        return
    if low in _AGGREGATE and not _is_name(token, first):
        if reader.words and low in (
            "rate",
            "rates",
            "share",
            "percentage",
            "count",
            "counts",
            "total",
            "totals",
        ):
            reader.aggregate = _AGGREGATE[low]
            reader.close()
        else:
            reader.close()
            reader.aggregate = _AGGREGATE[low]
            if reader.slot in ("value", "with") and low in ("average", "total", "mean"):
                reader.slot = "what" if reader.slot == "value" else "with"
        return
    if low == "many" or (low == "number" and not reader.words):
        reader.close()
        reader.aggregate = "count"
        reader.slot = "what"
        return
    if low in ("and", "or", "plus"):
        reader.close()
        return
    if low in SILENT and not _is_name(token, first):
        if reader.words and reader.slot == "which":
            reader.close()
            reader.slot = "what"
        reader.close()
        return
    if _is_name(token, first) and reader.words and not reader.proper:
        reader.close()
    reader.proper = reader.proper or _is_name(token, first)
    reader.words += [low] if low.replace(".", "").isalnum() else list(words.spoken(low)) or [low]
    reader.raw.append(token)


def _is_name(token: str, first: bool) -> bool:
    """Written like a name: all capitals, or a capital where no sentence starts."""
    if len(token) >= 2 and token.isupper() and token.isalpha():
        return True
    return token[:1].isupper() and not first


def is_calendar(phrase: Phrase) -> bool:
    """Whether a phrase names a calendar unit and nothing else."""
    return all(words.stem(word) in CALENDAR or word in CALENDAR for word in phrase.words)


def narrowed(goal: Goal, **changes: object) -> Goal:
    """The goal with some of its readings replaced."""
    return replace(goal, **changes)  # type: ignore[arg-type]
