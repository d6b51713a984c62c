"""What the analyst reads out of a sentence, before any table is looked at."""

from __future__ import annotations

from datetime import date

import pytest

from shared.analyst.builtin import edit, goal, ranges, words
from shared.analyst.builtin.ranges import Period


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
