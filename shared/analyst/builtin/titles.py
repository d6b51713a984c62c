"""Titles and subtitles in plain language: what is counted, by what, for which range."""

from __future__ import annotations

import re

from shared.analyst.builtin import measures, ranges
from shared.analyst.builtin.decide import Plan, listed
from shared.analyst.builtin.measures import Measure
from shared.analyst.builtin.trees import Dimension

_ADVERBS = {
    "hour": "hourly",
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
    "quarter": "quarterly",
    "year": "yearly",
}


def upper(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]


def lower(text: str) -> str:
    """With a small first letter, unless the word is written in capitals."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def dashboard(plan: Plan) -> str:
    """The title of the whole."""
    figures = listed([lower(measure.label) for measure in plan.figures[:3]])
    split = f" by {listed([dimension.noun for dimension in plan.dimensions])}" if plan.dimensions else ""
    match plan.recipe:
        case "ranking":
            things = measures.plural(plan.dimensions[0].noun)
            first = plan.figures[0]
            if plan.goal.judgement or plan.goal.top:
                text = f"{upper(things)} with the {'lowest' if plan.ascending else 'most' if not first.is_mean else 'highest'} {lower(first.label)}"
            else:
                text = f"{upper(figures)}{split}"
        case "compare":
            members = next(
                (
                    restriction.values
                    for restriction in plan.restrictions
                    if restriction.dimension.id == plan.dimensions[0].id
                ),
                (),
            )
            named = (
                listed(list(members))
                if 0 < len(members) <= 5
                else upper(measures.plural(plan.dimensions[0].noun))
            )
            text = f"{named} compared: {figures}"
        case "beside":
            assert plan.companion is not None
            figures = lower(plan.figures[0].label)
            text = f"{upper(_ADVERBS.get(plan.step.grain or '', '') if plan.step else '')} {figures} and {plan.companion.table.short.replace('_', ' ')}".strip()
        case "share":
            text = f"Share of {figures}{split}"
        case "spread":
            assert plan.figures[0].column is not None
            text = f"Distribution of {measures.readable(plan.figures[0].column, None)}"
        case "relation":
            text = f"{upper(lower(plan.figures[1].label))} against {lower(plan.figures[0].label)}"
        case "cycle":
            assert plan.step is not None
            text = f"{upper(figures)} by {plan.step.id.replace('_', ' ')}{split.replace(' by ', ' and ')}"
        case "trend":
            grain = _ADVERBS.get(plan.step.grain or "", "") if plan.step else ""
            text = upper(f"{grain} {figures}{split}".strip())
        case _:
            text = f"{upper(figures)}{split}"
    text += f" in {plan.place}" if plan.place else ""
    only = _restricted(plan)
    text += f", {only}" if only and plan.recipe != "compare" else ""
    if plan.goal.span is not None and plan.period is not None:
        text += f", {ranges.spoken(plan.period)}"
    return upper(re.sub(r"\s+", " ", text))[:160]


def _restricted(plan: Plan) -> str:
    parts = []
    for restriction in plan.restrictions:
        if plan.recipe == "compare" and restriction.dimension.id == plan.dimensions[0].id:
            continue
        values = restriction.said or restriction.spoken
        parts.append(f"{'without' if restriction.operator == 'not_in' else 'only'} {values}")
    return ", ".join(parts)


def slug(title: str) -> str:
    """A name for addresses from a title."""
    text = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    if len(text) > 60:
        text = text[:60].rpartition("-")[0]
    return text.rstrip("-") or "dashboard"


def description(plan: Plan) -> str:
    """What the dashboard answers, from which table, under which assumptions."""
    lines = [f"Answers: {plan.goal.text}", f"Source: {plan.table.name}."]
    if plan.companion is not None:
        lines.append(
            f"Beside it: {plan.companion.table.name}, brought to one row a {plan.step.id if plan.step else 'step'} first."
        )
    joined = {
        dimension.lookup.table.name
        for dimension in (*plan.dimensions, *plan.choices)
        if dimension.uses_lookup and dimension.lookup
    }
    if joined:
        lines.append(f"Names from {listed(sorted(joined))}.")
    if plan.data is not None:
        lines.append(f"The data runs from {_day(plan.data)}.")
    lines += [f"Assumption: {note}" for note in plan.notes]
    return "\n".join(lines)[:1900]


def _day(period: ranges.Period) -> str:
    return f"{period.start.isoformat()} to {period.end.isoformat()}"


def spoken_range(plan: Plan) -> str:
    """The range that the dashboard opens with."""
    if plan.period is None:
        return "all data"
    if plan.goal.span is None:
        return (
            f"since {plan.period.start.year}"
            if plan.period.start.month == 1 and plan.period.start.day == 1
            else f"since {plan.period.start:%b %Y}"
        )
    return ranges.spoken(plan.period)


def range_note(plan: Plan, text: str) -> str:
    """A subtitle with the range."""
    only = _restricted(plan)
    return upper(f"{text}{f', {only}' if only else ''}, {spoken_range(plan)}")[:190]


def kpi(plan: Plan, held: bool) -> str:
    """What a figure counts."""
    if held and plan.step is not None:
        return f"In the last {plan.step.id} of the range"
    only = _restricted(plan)
    return upper(f"{f'{only}, ' if only else ''}{spoken_range(plan)}")[:190]


def axis(measure: Measure) -> str:
    """The figure's name with its unit."""
    return (
        f"{measure.label} ({measure.unit_words})"
        if measure.unit_words and measure.format != "currency"
        else measure.label
    )


def trend(plan: Plan, measure: Measure, dimension: Dimension | None) -> str:
    """The title of a chart over time."""
    step = plan.step.id.replace("_", " ") if plan.step else "time"
    return f"{measure.label} by {step}{f' and {dimension.noun}' if dimension else ''}"


def _things(plan: Plan) -> str:
    """What is averaged: the table's things, or just values where rows are readings."""
    return measures.noun_of(plan.table) if measures.is_event(plan.table) else "values"


def trend_note(plan: Plan, measure: Measure, dimension: Dimension | None, leaders: int | None) -> str:
    """What its points are."""
    step = plan.step.id.replace("_", " ") if plan.step else "step"
    text = {
        "avg": f"Average of all {_things(plan)} of the {step}", "sum": f"Sum over the {step}", "count": f"Count a {step}",
        "median": f"Median of the {step}", "max": f"Highest of the {step}", "min": f"Lowest of the {step}",
    }[measure.aggregate]  # fmt: skip
    if measure.unit_words and measure.format != "currency":
        text += f", in {measure.unit_words}"
    if dimension is not None and leaders is not None:
        by = board_weight(plan, measure)
        leading = f"the {'highest' if by.is_mean else 'most'} {lower(by.label)}"
        text += (
            f"; the {leaders} {measures.plural(dimension.noun)} with {leading}, the rest together as Other"
        )
    return range_note(plan, text)


def board_weight(plan: Plan, measure: Measure) -> Measure:
    """By what members lead, as the chart's query does it."""
    amount = next((entry for entry in plan.figures[:2] if not entry.is_mean), None)
    return amount or (plan.rows if measures.is_event(plan.table) else measure)


def ranking(plan: Plan, measure: Measure, dimension: Dimension, few: bool) -> str:
    """The title of ranked bars."""
    if few:
        return f"{measure.label} by {dimension.noun}"
    words = "lowest" if plan.ascending else "most" if not measure.is_mean else "highest"
    return f"The {plan.top} {measures.plural(dimension.noun)} with the {words} {lower(measure.label)}"


def ranking_note(plan: Plan, measure: Measure, least: int | None, at_end: bool, dimension: Dimension) -> str:
    """What counts, and who is too small to be ranked."""
    text = axis(measure)
    if least:
        text += f"; {measures.plural(dimension.noun)} with at least {least} {measures.noun_of(plan.table)}"
    return last_note(plan, text) if at_end else range_note(plan, text)


def last_note(plan: Plan, text: str) -> str:
    """A subtitle of figures at the end of the range."""
    step = plan.step.id if plan.step else "step"
    return upper(f"{text}, in the last {step} of the range")[:190]


def table_note(plan: Plan, at_end: bool = False) -> str:
    """The range of a table."""
    text = f"From {plan.table.short.replace('_', ' ')}"
    return last_note(plan, text) if at_end else range_note(plan, text)


def season_note(plan: Plan) -> str:
    """What a season's bar is."""
    return range_note(plan, f"Average of all {_things(plan)} of the month in every year")


def companion_note(plan: Plan, reading: Measure) -> str:
    """Where a companion's figure comes from."""
    assert plan.companion is not None
    unit = f" in {reading.unit_words}" if reading.unit_words else ""
    return range_note(plan, f"From {plan.companion.table.short.replace('_', ' ')}{unit}")
