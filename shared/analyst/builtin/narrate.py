"""The closing words: what the dashboard says, with figures that the tools have shown in this turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from shared.analyst.builtin import titles
from shared.analyst.builtin.decide import Plan, listed
from shared.analyst.builtin.measures import Measure

Rows = list[dict[str, Any]]


def rows_of(content: Mapping[str, Any]) -> Rows:
    """A preview's rows by column name."""
    names = [column["name"] for column in content.get("columns") or ()]
    return [dict(zip(names, row, strict=False)) for row in content.get("rows") or ()]


def closing(
    plan: Plan, previews: Mapping[str, Mapping[str, Any]], document: Mapping[str, Any], url: str
) -> str:
    """What was found, what was assumed, where it is."""
    sentences = [f"**{document['title']}** is ready: [{url}]({url})."]
    sentences += _totals(plan, previews)
    sentences += _best(plan, previews)
    if plan.goal.span is None and plan.data is not None and plan.time is not None:
        first, last = plan.data.start, plan.data.end
        spoken = (
            (str(first.year), str(last.year)) if plan.time.kind == "year" else (_date(first), _date(last))
        )
        sentences.append(f"The data runs from {spoken[0]} to {spoken[1]}.")
    text = " ".join(sentences)
    if plan.notes:
        text += "\n\n" + "\n".join(f"- {note}" for note in plan.notes)
    return (
        text
        + "\n\nYou can go on from here, for example: "
        + listed([f"“{idea}”" for idea in _ideas(plan)])
        + "."
    )


def _totals(plan: Plan, previews: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = rows_of(previews.get("totals", {}))
    if not rows:
        return []
    shown = [(measure, rows[0].get(measure.id)) for measure in (*plan.figures, plan.rows)]
    parts = [
        f"{titles.lower(measure.label)} {figure(measure, value)}"
        for measure, value in dict.fromkeys(shown)
        if value is not None
    ]
    return [f"Overall: {listed(parts)}."] if parts else []


def _best(plan: Plan, previews: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The first rows of what is ranked, the extremes of what is complete."""
    for name, preview in previews.items():
        rows = rows_of(preview)
        if name in ("totals", "latest") or not rows:
            continue
        dimension = next((entry for entry in plan.dimensions if entry.id in rows[0]), None)
        if dimension is not None and (plan.step is None or plan.step.id not in rows[0]):
            measure = next(
                (entry for entry in plan.figures if entry.id in rows[0] and name.endswith(entry.id)),
                plan.figures[0],
            )
            ranked = [row for row in rows if row.get(measure.id) is not None][:3]
            parts = [f"{row[dimension.id]} ({figure(measure, row[measure.id])})" for row in ranked]
            if len(ranked) < 2:
                continue
            word = "Lowest" if plan.ascending else "Highest" if measure.is_mean else "Most"
            return [f"{word} {titles.lower(measure.label)}: {listed(parts)}."]
        if name == "extremes" and plan.step is not None:
            main = plan.figures[0]
            parts = [
                f"{_step(row[plan.step.id], plan.step.id)} ({figure(main, row.get(main.id))})"
                for row in rows[:3]
            ]
            word = "Lowest" if plan.ascending else "Highest" if main.is_mean else "Most"
            return [f"{word} {titles.lower(main.label)}: {listed(parts)}."]
        if plan.step is not None and plan.step.id in rows[0] and not preview.get("truncated"):
            found = _extremes(plan, rows)
            if found:
                return [found]
    return []


def _extremes(plan: Plan, rows: Rows) -> str:
    assert plan.step is not None
    measure = plan.figures[0]
    known = [row for row in rows if isinstance(_number(row.get(measure.id)), float)]
    if len(known) < 3:
        return ""
    high = max(known, key=lambda row: _number(row[measure.id]) or 0.0)
    low = min(known, key=lambda row: _number(row[measure.id]) or 0.0)
    step = plan.step.id
    return (
        f"{measure.label} peaks in {_step(high[step], step)} ({figure(measure, high[measure.id])}) "
        f"and is lowest in {_step(low[step], step)} ({figure(measure, low[measure.id])})."
    )


def figure(measure: Measure, value: Any) -> str:
    """A value as people write it, rounded, with its unit."""
    number = _number(value)
    if number is None:
        return str(value)
    if measure.format == "percent":
        return f"{number * 100:.1f}%"
    if measure.format == "currency":
        return f"${number:,.2f}" if abs(number) < 1000 else f"${number:,.0f}"
    text = (
        f"{number:,.0f}"
        if number == int(number) or abs(number) >= 1000
        else f"{number:,.1f}"
        if abs(number) >= 0.1
        else f"{number:,.3f}"
    )
    return f"{text} {measure.unit_words}".strip()


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _step(value: Any, step: str) -> str:
    try:
        day = datetime.fromisoformat(str(value).replace("Z", "+00:00")).date()
    except ValueError:
        return str(value)
    if step == "month":
        return f"{day:%B %Y}"
    if step == "year":
        return str(day.year)
    return _date(day) if step in ("day", "hour") else f"the {step} of {_date(day)}"


def _date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _ideas(plan: Plan) -> list[str]:
    """Follow-ups that this dashboard can take."""
    ideas: list[str] = []
    if plan.step is not None and plan.step.grain in ("month", "day"):
        ideas.append("make it weekly")
    if plan.dimensions and not plan.ascending and plan.recipe == "ranking":
        ideas.append("top 20")
    split: Sequence[Any] = [choice for choice in plan.choices if choice not in plan.dimensions]
    if split:
        ideas.append(f"add {titles.lower(plan.figures[0].label)} by {split[0].noun}")
    ideas.append("drop the table")
    return ideas[:3]
