"""Decide what a dashboard shows: figures, splits, time, range, restrictions. The steps after it only carry it out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from shared.analyst.builtin import measures, ranges, roles, timing, values, words
from shared.analyst.builtin.goal import Goal, Phrase
from shared.analyst.builtin.measures import Measure
from shared.analyst.builtin.ranges import Period
from shared.analyst.builtin.roles import Times
from shared.analyst.builtin.subject import GOOD, Hit, Subject, column_score
from shared.analyst.builtin.trees import Dimension, Restriction, Step
from shared.analyst.builtin.view import Column, Table
from shared.warehouses.types import Kind

Recipe = Literal[
    "trend", "ranking", "compare", "share", "spread", "relation", "beside", "cycle", "detail", "overview"
]
MOST_FIGURES = 4
_STEADY_SAMPLE = 30


@dataclass(frozen=True)
class Companion:
    """Another table of events, read beside the subject step by step."""

    table: Table
    time: Times
    readings: tuple[Measure, ...]


@dataclass(frozen=True)
class Plan:
    """A dashboard before its queries and tiles."""

    goal: Goal
    table: Table
    recipe: Recipe
    figures: tuple[Measure, ...]
    dimensions: tuple[Dimension, ...] = ()
    time: Times | None = None
    data: Period | None = None
    """From the first to the last date of the data."""
    period: Period | None = None
    """What the range opens with."""
    step: Step | None = None
    restrictions: tuple[Restriction, ...] = ()
    choices: tuple[Dimension, ...] = ()
    companion: Companion | None = None
    top: int = 10
    ascending: bool = False
    least_rows: int | None = None
    place: str = ""
    """What the data set is of, where the goal named it: Seattle."""
    notes: tuple[str, ...] = ()
    """Assumptions that the person should know."""

    @property
    def rows(self) -> Measure:
        """The count of the subject's rows."""
        return measures.rows(self.table)


def decide(subject: Subject, goal: Goal, restrictions: list[Restriction]) -> Plan:
    """The plan for a goal about a subject."""
    notes: list[str] = []
    figures, dimensions, companion = _read_hits(subject, goal, notes)
    dimensions = _with_compared(goal, dimensions, restrictions)
    time = roles.time_of(subject.table, tuple(word for phrase in goal.phrases for word in phrase.words))
    data = timing.data_period(time)
    if time is not None and data is None and time.kind != "year":
        notes.append(f"I could not tell which dates {time.column.path} covers.")
    period = ranges.resolve(goal.span, data) if data else None
    if goal.span and data and period and (goal.span.last or goal.span.this):
        notes.append(
            f"“{goal.span.text.strip()}” is counted back from the last date of the data, {_day(data.end)}, not from today."
        )
    if data and ranges.reaches_before(goal.span, data):
        notes.append(f"The data begins on {_day(data.start)}, so that is as far back as I show.")
    if period and data and goal.span and (period.start > data.end or period.end < data.start):
        notes.append(
            f"There is no data for {ranges.spoken(period)}: it runs from {_day(data.start)} to {_day(data.end)}, so that is what I show."
        )
        period, goal = data, replace(goal, span=None)
    step = timing.step_of(goal, subject.table, time, period, notes)
    if not figures:
        figures = _default_figures(subject.table, goal)
    recipe = _recipe(goal, figures, dimensions, time, companion, step)
    if (
        recipe == "beside"
        and step is not None
        and (step.cycle is not None or ("relation" in goal.intents and goal.grain is None))
    ):
        step = Step("day", "day")
    figures = figures[:MOST_FIGURES]
    split = _distinctly_named(dimensions, figures, step)
    choices = _choices(subject, split, restrictions)
    return Plan(
        goal, subject.table, recipe, tuple(figures), split, time, data, period, step, tuple(restrictions), choices, companion,
        top=min(goal.top or 10, 100), ascending=_ascending(goal, figures[0]),
        place=next((hit.phrase.text for hit in subject.hits if hit.kind == "rows" and hit.phrase.proper), ""), least_rows=_least_rows(subject.table, split, figures[0], companion), notes=tuple(notes),
    )  # fmt: skip


def _read_hits(
    subject: Subject, goal: Goal, notes: list[str]
) -> tuple[list[Measure], list[Dimension], Companion | None]:
    figures: list[Measure] = []
    dimensions: list[Dimension] = []
    companion: Companion | None = None
    for hit in subject.hits:
        phrase = hit.phrase
        if hit.kind == "rows":
            if phrase.slot not in ("value", "not") and not phrase.proper and _is_countable(subject, hit):
                figures += _of_rows(subject.table, phrase)
        elif hit.kind == "measure":
            if (
                phrase.slot == "by"
                and "compare" not in goal.intents
                and (hit.columns[0].stats.distinct or 99) <= 12
                and hit.columns[0].kind == Kind.INTEGER
            ):
                dimensions.append(values.own_dimension(subject, hit.columns[0], phrase))
                continue
            made = [measures.of_column(column, phrase, subject.table) for column in hit.columns]
            figures += made
            if len(made) > 1:
                notes.append(
                    f"“{phrase.text}” fits {listed([measure.label.lower() for measure in made])}; I show all of them."
                )
        elif hit.kind == "flag":
            figures += _flag_figures(measures.flagged(hit.columns[0], subject.table), phrase)
        elif hit.kind == "missing":
            figures += _flag_figures(measures.missing(hit.columns[0], phrase, subject.table), phrase)
            notes.append(
                f"{phrase.text.capitalize()} are counted where {hit.columns[0].path} is empty, as its description says."
            )
        elif hit.kind == "companion" and hit.table is not None:
            companion = companion or _companion(hit)
        elif hit.kind in ("dimension", "field"):
            if phrase.aggregate == "count" and hit.kind == "dimension":
                figures.append(
                    measures.distinct(
                        hit.columns[0],
                        measures.plural(" ".join(map(measures.singular, phrase.words))).capitalize(),
                    )
                )
            elif phrase.slot not in ("value", "not"):
                dimensions.append(_dimension(subject, hit))
    if any(measure.kind == "rows" for measure in figures) and any(
        measure.kind in ("flagged", "missing") for measure in figures
    ):
        figures = [measure for measure in figures if measure.kind != "rows"]
    return _unique(figures), _unique_dimensions(dimensions), companion


def _of_rows(table: Table, phrase: Phrase) -> list[Measure]:
    """A table's own name asks for its things, or where its rows are readings, for what they read."""
    named = [column for column in table.columns if roles.role(column) == "measure"]
    if phrase.aggregate == "count" or measures.is_event(table) or not named:
        return [measures.rows(table)]
    scored = [(column_score(table, column, phrase), -column.position, column) for column in named]
    meant = [
        column
        for score, _, column in sorted(scored, key=lambda entry: entry[:2], reverse=True)
        if score >= GOOD
    ]
    return [
        measures.of_column(column, replace(phrase, words=()), table) for column in (meant[:1] or named[:3])
    ]


def _is_countable(subject: Subject, hit: Hit) -> bool:
    """Whether a table's name in the goal asks to count its rows: not when it only says whose figures are meant."""
    others = [
        other
        for other in subject.hits
        if other.kind in ("measure", "flag", "missing") and other.phrase is not hit.phrase
    ]
    beside = any(measure_hit.phrase.slot == hit.phrase.slot for measure_hit in others)
    return not others or (beside and measures.is_event(subject.table)) or hit.phrase.aggregate == "count"


def _flag_figures(pair: tuple[Measure, Measure], phrase: Phrase) -> list[Measure]:
    return [pair[1], pair[0]] if phrase.aggregate == "share" else list(pair)


def _dimension(subject: Subject, hit: Hit) -> Dimension:
    if hit.kind == "field" and hit.lookup is not None:
        label = hit.lookup.label
        if label is not None and label.path == hit.columns[0].path:
            return _named(values.own_dimension(subject, hit.lookup.column, hit.phrase), hit.phrase)
        noun = measures.readable(hit.columns[0], hit.phrase)
        return Dimension(
            values.identifier(noun),
            noun,
            hit.lookup.column,
            hit.lookup,
            hit.columns[0],
            hit.columns[0].stats.distinct,
        )
    return _named(values.own_dimension(subject, hit.columns[0], hit.phrase), hit.phrase)


def _named(dimension: Dimension, phrase: Phrase) -> Dimension:
    """Called as the person called it, where that is one or two words."""
    noun = " ".join(measures.singular(word) for word in phrase.words)
    return replace(dimension, noun=noun, id=values.identifier(noun)) if len(phrase.words) <= 2 else dimension


def _companion(hit: Hit) -> Companion | None:
    assert hit.table is not None
    time = roles.time_of(hit.table)
    if time is None or time.kind == "year":
        return None
    entity = next(
        (column for column in hit.table.columns
         if column.kind == Kind.TEXT and roles.role(column) in ("dimension", "key") and 1 < (column.stats.distinct or 0) <= 5_000),
        None,
    )  # fmt: skip
    readings = [measures.reading(column, entity) for column in hit.columns[:MOST_FIGURES]]
    named = words.overlap(hit.phrase.words, hit.table.words) >= 0.7
    if named and measures.is_event(hit.table):
        readings = [measures.rows(hit.table), *[entry for entry in readings if entry.aggregate == "sum"][:1]]
    return Companion(hit.table, time, tuple(readings))


def _with_compared(
    goal: Goal, dimensions: list[Dimension], restrictions: list[Restriction]
) -> list[Dimension]:
    """Members that are named to be compared are the dimension."""
    for restriction in restrictions:
        compared = restriction.operator == "in" and (len(restriction.values) > 1 or "compare" in goal.intents)
        known = {dimension.column.path for dimension in dimensions}
        if compared and restriction.dimension.column.path not in known and len(dimensions) < 2:
            dimensions = [restriction.dimension, *dimensions]
    return dimensions[:2]


def _recipe(
    goal: Goal,
    figures: list[Measure],
    dimensions: list[Dimension],
    time: Times | None,
    companion: Companion | None,
    step: Step | None,
) -> Recipe:
    if companion is not None and time is not None and time.kind != "year":
        return "beside"
    if ("relation" in goal.intents or ("compare" in goal.intents and not dimensions)) and len(
        [measure for measure in figures if measure.kind == "column"]
    ) >= 2:
        return "relation"
    if "spread" in goal.intents and figures[0].kind == "column":
        return "spread"
    if step is not None and step.cycle is not None:
        return "cycle"
    if "detail" in goal.intents and not dimensions:
        return "detail"
    if "share" in goal.intents and dimensions and figures[0].kind == "rows":
        return "share"
    if ("trend" in goal.intents) and time is not None and not (goal.judgement and goal.top and dimensions):
        return "trend"
    if "compare" in goal.intents and dimensions:
        return "compare"
    if dimensions:
        return "ranking"
    return "trend" if time is not None and figures else "overview"


def _default_figures(table: Table, goal: Goal) -> list[Measure]:
    """Nothing was named: the rows, and where rows are readings and not events, their figures."""
    named = [
        measures.of_column(column, None, table) for column in table.columns if roles.role(column) == "measure"
    ]
    if not measures.is_event(table) and named:
        return named[:3]
    return [measures.rows(table), *named[:2]] if not goal.judgement else [measures.rows(table)]


def _ascending(goal: Goal, measure: Measure) -> bool:
    """Worst delays are the long ones, worst ratings the low ones."""
    if goal.judgement == "worst":
        return measure.good == "up"
    if goal.judgement == "best":
        return measure.good == "down"
    return goal.downwards


def _least_rows(
    table: Table, dimensions: tuple[Dimension, ...], measure: Measure, companion: Companion | None
) -> int | None:
    """How many rows a member needs for its average to be ranked; None where groups are too small to ask for it."""
    if not measure.is_mean or not dimensions or companion is not None or not table.rows:
        return None
    groups = max(1, dimensions[0].distinct or 1)
    return _STEADY_SAMPLE if table.rows / groups >= 5 * _STEADY_SAMPLE else None


def _choices(
    subject: Subject, dimensions: tuple[Dimension, ...], restrictions: list[Restriction]
) -> tuple[Dimension, ...]:
    """What readers can choose from: the first dimension, and one more with few members."""
    fixed = {
        restriction.dimension.column.path for restriction in restrictions if restriction.operator == "in"
    }
    chosen = [
        dimension
        for dimension in dimensions[:1]
        if dimension.column.path not in fixed and 1 < (dimension.distinct or 0) <= 300
    ]
    used = {dimension.column.path for dimension in (*chosen, *dimensions)} | fixed
    others = [
        values.own_dimension(subject, column)
        for column in subject.table.columns
        if column.kind == Kind.TEXT and roles.role(column) in ("dimension", "key") and column.path not in used
        and 2 <= (column.stats.distinct or 0) <= 60 and (column.stats.null_share or 0) < 0.3
    ]  # fmt: skip
    others.sort(key=lambda dimension: (not dimension.uses_lookup, dimension.distinct or 0))
    taken = {dimension.id for dimension in dimensions}
    return (*chosen, *[dimension for dimension in others if dimension.id not in taken][: 2 - len(chosen)])


def _distinctly_named(
    dimensions: list[Dimension], figures: list[Measure], step: Step | None
) -> tuple[Dimension, ...]:
    taken = {measure.id for measure in figures} | {"period", "today", "now"} | ({step.id} if step else set())
    out = []
    for dimension in dimensions:
        name = dimension.id if dimension.id not in taken else f"{dimension.id}_name"
        taken.add(name)
        out.append(replace(dimension, id=name))
    return tuple(out)


def _unique(figures: list[Measure]) -> list[Measure]:
    return list({measure.id: measure for measure in figures}.values())


def _unique_dimensions(dimensions: list[Dimension]) -> list[Dimension]:
    return list(
        {
            (dimension.column.path, dimension.field.path if dimension.field else ""): dimension
            for dimension in dimensions
        }.values()
    )


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def listed(items: list[str]) -> str:
    """a, b and c."""
    return "".join(items) if len(items) < 2 else f"{', '.join(items[:-1])} and {items[-1]}"


def columns_of(plan: Plan) -> tuple[Column, ...]:
    """The subject's columns that the plan reads."""
    used = [measure.column for measure in plan.figures if measure.column is not None]
    used += [dimension.column for dimension in plan.dimensions]
    return tuple({column.path: column for column in used}.values())
