"""What the analyst reads out of a sentence, before any table is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from shared.agents.protocol.model import (
    Message,
    Request,
    Stop,
    Text,
    TextDelta,
    ToolCallReady,
    ToolResult,
    ToolUse,
)
from shared.analyst.builtin import desk, edit, effort, goal, ranges, subject, words
from shared.analyst.builtin.provider import Builtin
from shared.analyst.builtin.ranges import Period
from shared.analyst.builtin.view import Column, Statistics, Table, View
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.types import Kind


@pytest.mark.parametrize(
    ("said", "named", "least"),
    [
        ("departure", "dep", 0.7), ("quantity", "qty", 0.5), ("department", "dept", 0.5), ("cancellations", "cancelled", 0.9),
        ("rainfall", "precipitation", 0.8), ("customers", "cust", 0.7), ("countries", "country", 0.95), ("revenue", "sales", 0.8),
    ],
)  # fmt: skip
def test_a_word_means_its_inflections_synonyms_and_abbreviations(said: str, named: str, least: float) -> None:
    """No list of abbreviations is needed: a short name starts the word or keeps its skeleton."""
    assert words.likeness(said, named) >= least


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("region", "revenue"),
        ("delay", "lat"),
        ("churn", "carrier"),
        ("month", "mouth"),
        ("price", "pressure"),
        ("planet", "planes"),
    ],
)
def test_unrelated_words_stay_apart(said: str, named: str) -> None:
    """A likeness below one half is none: a wrong guess would become a wrong dashboard."""
    assert words.likeness(said, named) < 0.5


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("sales in 2013", "2013-01-01", "2013-12-31"), ("sales in March 2013", "2013-03-01", "2013-03-31"),
        ("between 2011 and 2012", "2011-01-01", "2012-12-31"), ("from 2013-02-03 to 2013-02-05", "2013-02-03", "2013-02-05"),
        ("since May 2013", "2013-05-01", "2014-06-15"), ("before 2012", "2010-01-01", "2011-12-31"), ("Q2 2013", "2013-04-01", "2013-06-30"),
        ("last 30 days", "2014-05-17", "2014-06-15"), ("past two months", "2014-04-16", "2014-06-15"), ("this year", "2014-01-01", "2014-06-15"),
        ("in March", "2014-03-01", "2014-03-31"), ("2011-2012", "2011-01-01", "2012-12-31"),
    ],
)  # fmt: skip
def test_a_range_is_resolved_against_the_dates_of_the_data(text: str, start: str, end: str) -> None:
    """Relative ranges count back from the data's last date, so old data answers them too."""
    span, _ = ranges.read(text)
    data = Period(date(2010, 1, 1), date(2014, 6, 15))
    assert ranges.resolve(span, data) == Period(date.fromisoformat(start), date.fromisoformat(end))


def test_a_goal_is_read_into_figures_splits_step_and_count() -> None:
    """Each word is read once: what says the step or the count names no figure."""
    read = goal.read("Which shops have the worst average waiting time per week in 2020? top 7")
    assert [(phrase.words, phrase.slot, phrase.aggregate) for phrase in read.phrases] == [
        (("shops",), "which", None),
        (("waiting", "time"), "what", "avg"),
    ]
    assert (read.grain, read.top, read.judgement) == ("week", 7, "worst")
    assert read.span is not None
    assert read.span.start == date(2020, 1, 1)


def test_names_are_kept_apart_from_nouns() -> None:
    """A word in capitals away from a sentence's start may be a value of a column."""
    read = goal.read("Compare ABC, DEF and GHI by price")
    assert [phrase.text for phrase in read.phrases if phrase.proper] == ["ABC", "DEF", "GHI"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("make it weekly", "grain"), ("by quarter", "grain"), ("only JFK", "only"), ("without returns please", "drop"), ("drop the table", "drop"),
        ("top 20", "top"), ("show it as bars", "mark"), ("add revenue by region", "add"), ("last 90 days", "range"), ("rename it to Board", "rename"),
    ],
)  # fmt: skip
def test_a_short_wish_is_a_change(text: str, kind: str) -> None:
    """What changes the dashboard at hand is told apart from a goal of its own."""
    wish = edit.read(text)
    assert wish is not None
    assert wish.kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "Show monthly revenue by region",
        "revenue by region",
        "Compare A and B by price",
        "Which shops are best?",
    ],
)
def test_a_goal_is_no_change(text: str) -> None:
    """A goal begins a new dashboard even while one is open."""
    assert edit.read(text) is None


CARRIERS = Table(
    "p.d.flights",
    BIGQUERY,
    rows=1000,
    columns=tuple(
        Column(name, kind, position=place, stats=Statistics(distinct=20))
        for place, (name, kind) in enumerate(
            [("carrier", Kind.TEXT), ("dep_delay", Kind.INTEGER), ("origin", Kind.TEXT)]
        )
    ),
)


def steps_of(text: str, tables: int = 1) -> int:
    """How many steps it takes to see what a text is about."""
    spent = effort.Effort()
    many = tuple(replace(CARRIERS, name=f"p.d.flights_{n}") for n in range(tables))
    subject.rank(View(many, effort=spent), goal.read(text))
    return effort.STEPS - spent.left


def test_an_unknown_phrase_of_many_words_is_looked_up_once_a_part() -> None:
    """Each part of six words is tried once, however they are cut; of more words only the whole."""
    six, seven = "blorp zizzle quux frob narf glorp", "blorp zizzle quux frob narf glorp wibble"
    parts = sum(length * (7 - length) for length in range(1, 7))
    assert steps_of(six) == 2 + parts * len(CARRIERS.columns) + 1
    assert steps_of(seven) < steps_of(six)
    assert steps_of(" ".join(f"blorp{n}" for n in range(40))) < 2 * 40 * len(CARRIERS.columns)


def test_a_phrase_is_still_cut_where_its_parts_mean_something() -> None:
    """Words that mean two columns, one behind the other."""
    (found,) = subject.rank(View((CARRIERS,)), goal.read("carrier departure delay blorp"))
    assert {hit.columns[0].path for hit in found.hits} == {"carrier", "dep_delay"}


def provider_says(
    text: str, stopped: Callable[[], bool] = lambda: False, answers: Sequence[Message] = ()
) -> list[Any]:
    """The events of one call of the built-in analyst."""
    messages = (Message("user", (Text(text),)), *answers)
    return list(Builtin().stream(Request("analyst-1", (), messages, (), stopped=stopped)))


def catalog_answered(text: str, tables: int) -> list[Message]:
    """What the tools say of many tables, as far as the analyst asks before it finds its subject."""
    shapes = {
        f"p.d.t{n}": {"table": f"p.d.t{n}", "row_count": 10, "dialect": "bigquery", "columns": [{"path": f"c{n}_{m}", "type": "STRING"} for m in range(20)]}
        for n in range(tables)
    }  # fmt: skip
    said: list[Message] = []
    for _ in range(3):
        events = provider_says(text, answers=said)
        calls = [ToolUse(e.id, e.name, e.arguments) for e in events if isinstance(e, ToolCallReady)]
        answer = {
            "search_catalog": lambda _: {"hits": []},
            "list_tables": lambda _: {"tables": [{"table": name} for name in shapes], "dialect": "bigquery"},
            "get_table_schema": lambda given: shapes[given["table"]],
        }
        known = [call for call in calls if call.name in answer]
        if not known:
            break
        said.append(Message("assistant", tuple(known)))
        said.append(Message("user", tuple(ToolResult(c.id, answer[c.name](c.arguments)) for c in known)))  # type: ignore[no-untyped-call]
    return said


@pytest.mark.parametrize(
    "text",
    [
        ", ".join(f"blorp{n} zizzle{n}" for n in range(60)),
        "show " + ", ".join(" ".join(f"w{n}x{m}" for m in range(6)) for n in range(24)),
        "show " + " ".join(f"blorp{n}" for n in range(1_200)),
    ],
    ids=["many things", "many long phrases", "one endless phrase"],
)
def test_a_message_that_is_too_much_is_answered_honestly(text: str) -> None:
    """No guess and no minute of silence: the person is told what to send instead."""
    said = provider_says(text, answers=catalog_answered(text, 14))
    assert "".join(event.text for event in said if isinstance(event, TextDelta)).endswith(effort.TOO_MUCH)
    assert said[-1] == Stop("end_turn")
    assert not any(isinstance(event, ToolCallReady) for event in said)


def test_two_hundred_characters_of_a_key_are_read_like_any_words() -> None:
    """What somebody pasted by mistake is no puzzle to be solved."""
    key = "k8mgp8g/aoG6+fl/FBknne84oklfjFnA53g8Eddi7+Dd2hj018" * 4
    assert steps_of(key, tables=14) < effort.STEPS / 2
    assert all(
        len(phrase.text) <= effort.MOST_NAME for phrase in goal.read('"' + "a b " * 2_000 + '"').phrases
    )


def test_a_stopped_turn_stops_the_reading() -> None:
    """The analyst looks for the stop while it works, and says nothing more."""
    text = "show " + ", ".join(" ".join(f"w{n}x{m}" for m in range(6)) for n in range(20))
    answers = catalog_answered(text, 14)
    looks: list[int] = []

    def stopped() -> bool:
        looks.append(1)
        return len(looks) >= 3

    assert provider_says(text, stopped, answers) == []
    assert len(looks) == 3


def test_many_questions_are_asked_in_several_rounds() -> None:
    """More than one reply may hold would not be answered."""
    asked = desk.Desk({})
    with pytest.raises(desk.Waiting) as waiting:
        asked.ask(*[desk.Call("profile_column", {"column": str(n)}) for n in range(200)])
    assert len(waiting.value.calls) == effort.MOST_CALLS


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("last 3000 years", "2010-01-01"), ("last 99999999999999999999 days", "2010-01-01"), ("past 40000 months", "2010-01-01"),
        ("last 9000 quarters", "2010-01-01"), ("last " + "9" * 5000 + " weeks", "2010-01-01"), ("last 0 days", "2014-06-15"),
        ("since January 0000", "2010-01-01"), ("since Q1 0000", "2010-01-01"), ("before 0001-01-01", "0001-01-01"), ("in 0000", "2010-01-01"),
        ("since 2013-02-31", "2010-01-01"),
    ],
)  # fmt: skip
def test_a_range_beyond_the_calendar_ends_where_the_calendar_does(text: str, start: str) -> None:
    """However far back somebody asks, and for dates that there are not; no reading of a range fails."""
    span, _ = ranges.read(text)
    data = Period(date(2010, 1, 1), date(2014, 6, 15))
    found = ranges.resolve(span, data)
    assert max(found.start, date.min) == max(date.fromisoformat(start), date.min) or text.startswith("before")
    assert found.end >= date.min
    for ends in (Period(date.min, date.min), Period(date.max, date.max)):
        ranges.resolve(span, ends)


def test_an_answer_says_where_the_data_begins_when_more_was_asked_for() -> None:
    """Thousands of years back: all that there is, and that it is all."""
    data = Period(date(2010, 1, 1), date(2014, 6, 15))
    assert ranges.reaches_before(ranges.read("last 3000 years")[0], data)
    assert not ranges.reaches_before(ranges.read("last 30 days")[0], data)
    assert not ranges.reaches_before(ranges.read("since 1990")[0], data)
