"""A document is read strictly, every problem is told at once with its place, and it is written back as it was."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.dashboards import reading
from shared.dashboards.document.model import Document
from shared.dashboards.document.problems import MOST, Problems
from shared.platform.text import safe_yaml

_place = Path(__file__).with_name("document_strategies.py")
_spec = importlib.util.spec_from_file_location("document_strategies", _place)
assert _spec is not None
assert _spec.loader is not None
strategies: Any = importlib.util.module_from_spec(_spec)
sys.modules["document_strategies"] = strategies
_spec.loader.exec_module(strategies)

MINIMAL = """\
version: 1
kind: dashboard
slug: flights
title: Flights
connection: demo
queries:
  - id: monthly
    sql: SELECT month, flights FROM d.t
layout:
  - id: trend
    type: chart
    query: monthly
    options: {mark: line, x: month, y: flights}
"""


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(strategies.documents())
def test_every_field_survives_being_written_and_read(data: dict[str, Any]) -> None:
    """render and parse are inverse: a field that is dropped or changed on the way is a red test."""
    made = Document.model_validate(data)
    text = reading.render(made)
    parsed = reading.parse(text)
    read = Document.model_validate(safe_yaml.load(text)[0])
    assert read == made
    assert reading.render(read) == text
    if parsed.document is not None:
        assert parsed.document == made


@given(strategies.documents(), st.sampled_from(["ada@example.com", "o'neil: #1@example.com"]))
def test_stamps_change_nothing_else(data: dict[str, Any], owner: str) -> None:
    """The store's lines are set in place; the rest of the text stays as it was written."""
    made = Document.model_validate(data)
    text = reading.render(made)
    stamped = reading.stamp(text, made, {"owner_email": owner, "updated_at": "2026-01-01T00:00:00.000Z"})
    read = Document.model_validate(safe_yaml.load(stamped)[0])
    assert (read.owner_email, read.updated_at) == (owner, "2026-01-01T00:00:00.000Z")
    assert reading.same_content(read, made)


def test_comments_and_order_survive_the_stamps() -> None:
    """Also where a stamp stood before."""
    text = "# mine\nowner_email: old@example.com  # replaced\n" + MINIMAL
    made = reading.parse(text).document
    assert made is not None
    stamped = reading.stamp(text, made, {"owner_email": "new@example.com", "created_at": "now"})
    assert stamped.startswith('# mine\nowner_email: "new@example.com"\nversion: 1')
    assert 'slug: flights\ncreated_at: "now"\n' in stamped


def test_a_text_in_one_flow_mapping_is_stamped_by_rendering() -> None:
    """Line by line is not possible there."""
    made = reading.parse(MINIMAL).document
    assert made is not None
    text = json.dumps(reading.as_data(made))
    stamped = reading.stamp(text, made, {"owner_email": "new@example.com"})
    again = reading.parse(stamped).document
    assert again is not None
    assert again.owner_email == "new@example.com"


def _problems(text: str) -> list[tuple[str, int | None, str, str | None]]:
    return [(p.path, p.line, p.message, p.hint) for p in reading.parse(text).problems]


def test_all_problems_are_told_at_once_with_places_and_hints() -> None:
    """An author, or a model, mends the document in one go."""
    text = (
        MINIMAL.replace("title:", "titel:")
        .replace("mark: line", "mark: lines")
        .replace("query: monthly", "query: monthly\n    colour: success")
    )
    found = _problems(text)
    assert found == [
        ("title", 1, "title is required.", None),
        ("titel", 4, "There is no field titel here.", "Did you mean title?"),
        ("layout[0].colour", 13, "There is no field colour here.", "Did you mean color?"),
        (
            "layout[0].options.mark",
            14,
            "mark: input should be 'line', 'area', 'bar', 'stacked_bar', 'point', 'heatmap', 'arc', "
            "'histogram', 'boxplot' or 'geoshape'.",
            "Did you mean line?",
        ),
    ]


@pytest.mark.parametrize(
    ("change", "path", "message", "hint"),
    [
        (("query: monthly", "query: montly"), "layout[0].query", "There is no query montly.", "Did you mean monthly?"),
        (("type: chart", "type: grafic"), "layout[0]", "'grafic' is not a known type.", None),
        (("FROM d.t", "FROM {{ ref('nothing') }}"), "queries[0].sql", "There is no query nothing.", None),
        (("FROM d.t", "FROM {{ ref('monthly') }}"), "queries[0]", "circle: monthly → monthly", None),
        (("FROM d.t", "FROM {{ env('X') }}"), "queries[0].sql", "is not understood", "Only {{ ref('query_id') }}"),
        (("FROM d.t", "FROM d.t WHERE x = @perod"), "queries[0].sql", "@perod belongs to no filter.", None),
        (("mark: line", "mark: arc"), None, None, None),
        (("mark: line, x: month", "mark: line"), "layout[0].options.x", "a line needs x.", None),
        (("title: Flights", "title: 2013"), "title", "title: input should be a valid string.", "quotes"),
        (("slug: flights", "slug: Flights!"), "slug", "characters that are not accepted", "It must match"),
        (("version: 1", "version: 7"), "version", "version: input should be 1.", None),
        (("- id: trend", "- id: trend\n    position: {x: 8, y: 0, w: 6, h: 2}"), "layout[0].position", "14", None),
        (("connection: demo", "connection: demo\ntimezone: Mars/Base"), "timezone", "IANA", None),
        (("connection: demo", "connection: demo\nrefresh: {schedule: hourly}"), "refresh.schedule", "cron", None),
        (("connection: demo", "connection: demo\nrefresh: {schedule: '0 0 31 2 *'}"), "refresh.schedule", "never fires", None),
        (("connection: demo", "connection: demo\ncurrency: dollars"), "currency", "not accepted", None),
        (("mark: line", "mark: line, top: 0x" + "f" * 9_000), "", "longer than 400", None),
        (("mark: line", "mark: line, top: 99999999999999999999"), "", "2^63", None),
        (("mark: line", "mark: line, top: 1" + ":0" * 173 + ":0.0"), "", "out of range", None),
        (("mark: line", "mark: line, format: '.٣f'"), "layout[0].options.format", "number pattern", None),
        (("mark: line, x: month, y: flights", "vega_lite: {mark: bar, width: 0x" + "f" * 9_000 + "}"), "", "longer", None),
        (("mark: line, x: month, y: flights", 'vega_lite: {mark: bar, "\\0": 1}'), "", "NUL", None),
        (("title: Flights", 'title: "\\ud800"'), "", "surrogate", None),
        (("connection: demo", "connection: demo\nfilters: [{id: d, type: date_range, default: last_٣_days}]"), "filters[0].default", "range such as", None),
        (("connection: demo", "connection: demo\nfilters: [{id: d, type: date_range, default: {start: 2013-W01-1}}]"), "filters[0].default.start", "YYYY-MM-DD", None),
    ],
)  # fmt: skip
def test_each_kind_of_mistake_is_named(
    change: tuple[str, str], path: str | None, message: str | None, hint: str | None
) -> None:
    """By path, reason and what to do."""
    found = _problems(MINIMAL.replace(*change))
    if path is None:
        assert found == []
        return
    assert any(p == path and (message or "") in m and (hint or "") in (h or "") for p, _, m, h in found), (
        found
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "just words", "a: &x 1\nb: *x", "a: !!python/object:os.system {}", "a: 1\na: 2", "{" * 100,
        "a: .nan", "a:\n" + "  - " * 3000, "\x00", "a: 1\n---\nb: 2", "'", "x" * 300_000, "? [a]\n: 1",
    ],
)  # fmt: skip
def test_yaml_that_is_not_plain_data_is_a_problem_and_never_a_crash(text: str) -> None:
    """Aliases, tags, duplicate keys, several documents, bombs."""
    parsed = reading.parse(text)
    assert parsed.document is None
    assert parsed.errors


@given(st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    """With problems, or (never here) a document."""
    assert reading.parse(text).document is None


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(strategies.documents(), st.integers(0, 30))
def test_a_document_with_one_thing_broken_is_refused_where_it_is_broken(
    data: dict[str, Any], at: int
) -> None:
    """An unknown field anywhere is an error whose path ends with it."""
    data = json.loads(json.dumps(data))
    places: list[dict[str, Any]] = [data, *data["queries"], *data["layout"], *data["filters"]]
    places[at % len(places)]["surprise"] = 1
    found = reading.parse(safe_yaml.dump(data))
    assert found.document is None
    assert [p.path.split(".")[-1] for p in found.errors if p.line] == ["surprise"]


def test_two_filters_can_not_share_a_parameter() -> None:
    """period_start belongs to the range called period, and @today to the clock."""
    text = MINIMAL.replace(
        "queries:",
        "filters:\n  - {id: period, type: date_range}\n  - {id: period_start, type: search}\n"
        "  - {id: today, type: search}\n  - {id: limit, type: search}\nqueries:",
    )
    assert [m for _, _, m, _ in _problems(text)] == [
        "Its parameter @period_start belongs to period already.",
        "Its parameter @today belongs to the clock already.",
        "limit has a meaning in addresses.",
    ]


def test_a_comparison_needs_a_date_range_that_its_query_uses() -> None:
    """Otherwise there is no period before."""
    text = (
        MINIMAL
        + "  - {id: k, type: kpi, query: monthly, options: {value: flights, compare: previous_period}}\n"
    )
    assert "needs a date_range filter" in _problems(text)[0][2]


def test_a_link_that_readers_see_as_text_is_a_warning() -> None:
    """The author learns it where it stands; the document is still valid."""
    text = (
        MINIMAL
        + "  - {id: t, type: text, options: {markdown: '[a](/dash/x) [b](//evil.example/x) [c](/\\evil.example)'}}\n"
    )
    parsed = reading.parse(text)
    assert parsed.document is not None
    assert [(p.path, p.severity) for p in parsed.problems] == [("layout[1].options.markdown", "warning")] * 2
    assert "//evil.example/x" in parsed.problems[0].message


def test_a_query_that_nothing_shows_is_a_warning() -> None:
    """It would cost and show nothing; the document is still valid."""
    parsed = reading.parse(MINIMAL.replace("layout:", "  - id: idle\n    sql: SELECT 1\nlayout:"))
    assert parsed.document is not None
    assert [p.severity for p in parsed.problems] == ["warning"]


def test_of_very_many_problems_the_first_are_told_and_the_others_counted() -> None:
    """Twelve thousand unknown fields: a hundred in the order of the text, the number of the rest, a short answer."""
    text = MINIMAL + "".join(f"key{n}: 1\n" for n in range(12_000))
    parsed = reading.parse(text)
    assert parsed.document is None
    *told, last = parsed.errors
    assert len(told) == MOST
    assert [problem.line for problem in told] == sorted(problem.line or 0 for problem in told)
    assert "11,9" in last.message
    assert last.message.endswith("more errors.")
    assert last.code == "MORE_PROBLEMS"
    assert sum(len(problem.model_dump_json()) for problem in parsed.errors) < 40_000


def test_what_a_problem_quotes_is_short() -> None:
    """A field's name of a hundred thousand letters does not come back whole, nor in its path or hint."""
    parsed = reading.parse(MINIMAL + f"{'k' * 100_000}: 1\n")
    assert all(len(problem.model_dump_json()) < 2_000 for problem in parsed.errors)


def test_warnings_are_counted_apart_from_errors() -> None:
    """Many warnings do not crowd out the error that refuses the document."""
    problems = Problems()
    for n in range(300):
        problems.warning(("queries", n), "hm")
    problems.error(("title",), "no")
    assert len(problems.warnings) == MOST + 1
    assert problems.warnings[-1].message == "There are 200 more warnings."
    assert [problem.message for problem in problems.errors] == ["no"]
