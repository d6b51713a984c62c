"""Plans: the SQL that runs is the author's, guarded, with bound values, and equal questions have one key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dashboards import reading
from shared.dashboards.compiling import compiler, templates
from shared.dashboards.compiling.filters import Clock
from shared.platform.errors import ValidationFailed
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.sql import rewrites, text

NOW = datetime(2024, 3, 31, 23, 30, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("configured")


def plan(
    *queries: str, filters: str = "", extra: str = "", given: Any = None, **options: Any
) -> compiler.Plan:
    """The plan of a dashboard with these queries, q0, q1 …"""
    text = "version: 1\nkind: dashboard\nslug: s\ntitle: T\nconnection: c\n" + extra + filters + "queries:\n"
    for n, sql in enumerate(queries):
        body = sql.replace("\n", "\n      ")
        text += f"  - id: q{n}\n    sql: |\n      {body}\n"
    text += "layout:\n  - {id: t, type: table, query: q0}\n"
    parsed = reading.parse(text)
    assert parsed.document is not None, parsed.problems
    at = Clock.at(NOW, parsed.document.timezone)
    known: dict[str, Any] = {
        "dialect": BIGQUERY,
        "project": "demo",
        "allowed": {"demo.d"},
        "connection": "c1",
    }
    return compiler.compile(parsed.document, filters=given or {}, clock=at, **(known | options))


def test_refs_become_common_tables_in_order() -> None:
    """Each before those that need it, beside the query's own WITH."""
    made = plan(
        "WITH own AS (SELECT 1 AS x) SELECT * FROM own JOIN {{ ref('q1') }} ON TRUE",
        "SELECT * FROM {{ ref('q2') }}",
        "SELECT a FROM d.t;\n-- the end",
    )
    assert made.query("q0").sql == (  # type: ignore[union-attr]
        "WITH ref_q2 AS (\nSELECT a FROM d.t\n),\nref_q1 AS (\nSELECT * FROM ref_q2\n),\n"
        "own AS (SELECT 1 AS x) SELECT * FROM own JOIN ref_q1 ON TRUE\nLIMIT 10001"
    )
    assert made.stages == (("q2",), ("q1",), ("q0",))
    assert made.query("q0").tables == ("demo.d.t",)  # type: ignore[union-attr]


def test_a_recursive_with_stays_recursive() -> None:
    """The word stands once, first."""
    made = plan(
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n, {{ ref('q1') }}",
        "SELECT a FROM d.t",
    )
    assert made.query("q0").sql.startswith("WITH RECURSIVE ref_q1 AS (\nSELECT a FROM d.t\n),\nn AS (")  # type: ignore[union-attr]


def test_one_bad_query_fails_alone() -> None:
    """The others are planned; the reason is its own."""
    made = plan(
        "SELECT a FROM d.t", "DROP TABLE d.t", "SELECT * FROM other.t", "SELECT * FROM {{ ref('q1') }}"
    )
    assert [query.id for query in made.queries] == ["q0"]
    assert {id: error.code for id, error in made.failed.items()} == {
        "q1": "QUERY_NOT_READ_ONLY",
        "q2": "DATASET_NOT_ALLOWED",
        "q3": "QUERY_NOT_READ_ONLY",
    }


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "SELECT 1) UNION ALL (SELECT * FROM secret.t",
        "SELECT 'open",
        "SELECT 1 /* open",
        "SELECT a FROM d.t -- {{ ref('q0') }}\n; DELETE FROM d.t WHERE TRUE",
    ],
)
def test_text_that_tries_to_leave_its_place_is_refused(sql: str) -> None:
    """Inlined or not: the whole statement is checked after it is put together."""
    made = plan("SELECT a FROM d.t", sql, "SELECT * FROM {{ ref('q1') }}")
    assert set(made.failed) == {"q1", "q2"}


def test_the_clock_is_bound_so_that_equal_questions_have_equal_keys() -> None:
    """Today is the dashboard's day, and no text of the query changes with it."""
    made = plan(
        "SELECT a FROM d.t WHERE day = CURRENT_DATE() AND at < CURRENT_TIMESTAMP",
        extra="timezone: Asia/Tokyo\n",
    )
    query = made.query("q0")
    assert query is not None
    assert "WHERE day = @today AND at < @now" in query.sql
    assert {p.name: p.value for p in query.parameters} == {
        "today": "2024-04-01",
        "now": "2024-03-31T23:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SELECT CURRENT_DATE", "SELECT @today"),
        ("SELECT current_date ( )", "SELECT @today"),
        ("SELECT CURRENT_DATE('Europe/Paris')", "SELECT DATE(@now, 'Europe/Paris')"),
        ("SELECT CURRENT_DATETIME('Europe/Paris')", "SELECT DATETIME(@now, 'Europe/Paris')"),
        ("SELECT CURRENT_TIME( /* there */ 'Europe/Paris' )", "SELECT TIME(@now, 'Europe/Paris')"),
        ("SELECT CURRENT_DATETIME", "SELECT @now_local"),
        ("SELECT current_datetime()", "SELECT @now_local"),
        ("SELECT CURRENT_TIME", "SELECT TIME(@now_local)"),
        ("SELECT CURRENT_TIME( )", "SELECT TIME(@now_local)"),
        ("SELECT CURRENT_TIMESTAMP( /* now */ )", "SELECT @now"),
        (
            "SELECT DATE_DIFF(DATE_SUB(CURRENT_DATE, INTERVAL 1 DAY), d, DAY) FROM t WHERE x IN"
            " (SELECT y FROM u WHERE at < DATETIME_SUB(CURRENT_DATETIME(), INTERVAL 1 HOUR))",
            "SELECT DATE_DIFF(DATE_SUB(@today, INTERVAL 1 DAY), d, DAY) FROM t WHERE x IN"
            " (SELECT y FROM u WHERE at < DATETIME_SUB(@now_local, INTERVAL 1 HOUR))",
        ),
        ("SELECT @current_date, `t`.`current_time`", "SELECT @current_date, `t`.`current_time`"),
        (
            "SELECT 'CURRENT_DATE', t.current_date, `current_date`",
            "SELECT 'CURRENT_DATE', t.current_date, `current_date`",
        ),
        ("SELECT 1 AS current_date -- CURRENT_DATE", "SELECT 1 AS current_date -- CURRENT_DATE"),
    ],
)
def test_only_the_clock_is_replaced(before: str, after: str) -> None:
    """Not texts, comments, or columns of that name."""
    assert rewrites.bind_clock(before, BIGQUERY) == after


@pytest.mark.parametrize(
    ("zone", "today", "local"),
    [
        ("UTC", "2024-03-31", "2024-03-31T23:00:00"),
        ("Asia/Tokyo", "2024-04-01", "2024-04-01T08:00:00"),
        ("Asia/Kolkata", "2024-04-01", "2024-04-01T04:30:00"),
        ("America/New_York", "2024-03-31", "2024-03-31T19:00:00"),
    ],
)
def test_all_of_the_clock_follows_the_zone_of_the_dashboard(zone: str, today: str, local: str) -> None:
    """Date, date and time, and time of day are those that its readers see; the instant is the same everywhere."""
    made = plan(
        "SELECT a FROM d.t WHERE day = CURRENT_DATE() AND wall < CURRENT_DATETIME() AND at < CURRENT_TIMESTAMP()"
        " AND x IN (SELECT y FROM d.u WHERE clock < CURRENT_TIME)",
        extra=f"timezone: {zone}\n",
    )
    query = made.query("q0")
    assert query is not None, made.failed
    assert "clock < TIME(@now_local)" in query.sql
    assert {p.name: (p.kind, p.value) for p in query.parameters} == {
        "today": ("date", today),
        "now_local": ("datetime", local),
        "now": ("timestamp", "2024-03-31T23:00:00.000Z"),
    }


def test_a_limit_is_added_only_where_there_is_none() -> None:
    """The author's own limit stands; a comment at the end does not swallow ours."""
    made = plan(
        "SELECT a FROM d.t LIMIT 5",
        "SELECT a FROM d.t -- all",
        "SELECT a FROM d.t UNION ALL SELECT a FROM d.t",
    )
    assert [query.sql.splitlines()[-1] for query in made.queries] == [
        "SELECT a FROM d.t LIMIT 5",
        "LIMIT 10001",
        "LIMIT 10001",
    ]


FILTERS = """\
filters:
  - {id: period, type: date_range, default: last_7_days}
  - {id: delay, type: number_range}
  - {id: hub, type: select, options: [JFK, LGA], applies_to: [q1]}
  - {id: late, type: toggle}
"""


def test_filters_are_typed_parameters_and_null_where_they_do_not_apply() -> None:
    """Only those that a query mentions are bound to it."""
    sql = "SELECT a FROM d.t WHERE day >= @period_start AND (@hub IS NULL OR hub = @hub) AND late = @late"
    made = plan(
        sql,
        sql + " AND delay < @delay_max",
        filters=FILTERS,
        given={"hub": "JFK", "delay": "..20", "late": "true"},
    )
    first, second = ({p.name: (p.kind, p.value) for p in query.parameters} for query in made.queries)
    assert first == {"period_start": ("date", "2024-03-25"), "hub": ("text", None), "late": ("boolean", True)}
    assert second == first | {"hub": ("text", "JFK"), "delay_max": ("real", 20.0)}


@pytest.mark.parametrize(
    "value", ["１..２", "٣..", "..²", "1_0..", "nan..", "..inf", "1e400..", "0x1..", "9" * 500 + ".."]
)
def test_a_number_of_an_address_is_ascii_and_finite(value: str) -> None:
    """Digits of other scripts and numbers beyond the range are refused with the field's name."""
    filters = "filters:\n  - {id: delay, type: number_range}\n"
    with pytest.raises(ValidationFailed) as refused:
        plan("SELECT 1 FROM d.t WHERE x > @delay_min", filters=filters, given={"delay": value})
    assert (refused.value.field, refused.value.reason) == ("delay", "must be like 10..20, 10.. or ..20")


@pytest.mark.parametrize("text", ["\x00", "\ud800", "x" * 301])
def test_a_text_of_an_address_is_one_that_every_store_holds(text: str) -> None:
    """A NUL, half a surrogate pair and a long text are refused with the field's name."""
    filters = "filters:\n  - {id: word, type: search}\n"
    with pytest.raises(ValidationFailed) as refused:
        plan("SELECT 1 FROM d.t WHERE x = @word", filters=filters, given={"word": text})
    assert refused.value.field == "word"


@pytest.mark.parametrize("comparison", ["previous_period", "previous_year"])
@pytest.mark.parametrize(
    "span", ["0001-01-01..0001-01-02", "0001-01-01..9999-12-31", "0001-01-01..0001-01-31"]
)
def test_a_range_at_the_beginning_of_the_calendar_is_compared_with_nothing(
    comparison: str, span: str
) -> None:
    """The figure is shown without a change, as it is for an open range."""
    text = (
        "version: 1\nkind: dashboard\nslug: s\ntitle: T\nconnection: c\nfilters:\n  - {id: d, type: date_range}\n"
        "queries:\n  - {id: q, sql: 'SELECT COUNT(*) AS n FROM d.t WHERE day >= @d_start AND day <= @d_end'}\n"
        "layout:\n  - {id: k, type: kpi, query: q, options: {value: n, compare: " + comparison + "}}\n"
    )
    parsed = reading.parse(text)
    assert parsed.document is not None
    at = Clock.at(NOW, "UTC")
    made = compiler.compile(
        parsed.document, dialect=BIGQUERY, project="demo", allowed={"demo.d"}, filters={"d": span}, clock=at
    )
    assert [query.id for query in made.queries] == ["q"]
    assert [parameter.value for parameter in made.queries[0].parameters] == span.split("..")


def test_the_key_is_the_same_for_the_same_question_and_another_for_any_other() -> None:
    """Layout and comments don't matter; values, types, connection and credentials do."""

    def key(sql: str, given: Any = None, **options: Any) -> str:
        query = plan(sql, "SELECT 1", filters=FILTERS, given=given, **options).query("q0")
        assert query is not None
        return query.query_hash

    base = "SELECT a FROM d.t WHERE day >= @period_start"
    assert key(base) == key("select a\nFROM d.t -- why\nWHERE day >= @period_start")
    keys = [
        key(base),
        key("SELECT b FROM d.t WHERE day >= @period_start"),
        key(base, {"period": "last_8_days"}),
        key(base, connection="c2"),
        key(base, policy="masked"),
        key(base, generation=2),
        key("SELECT a FROM d.t WHERE day >= @period_end"),
    ]
    assert len(set(keys)) == len(keys)


def test_a_document_may_lower_the_cap_and_never_raise_it() -> None:
    """The platform's cap is the ceiling."""
    text = "version: 1\nkind: dashboard\nslug: s\ntitle: T\nconnection: c\nqueries:\n"
    text += "  - {id: low, sql: SELECT 1, max_bytes_billed: 10, timeout_seconds: 5}\n"
    text += "  - {id: high, sql: SELECT 1, max_bytes_billed: 999000000000, timeout_seconds: 600}\n"
    text += "layout: [{id: t, type: table, query: low}]\n"
    parsed = reading.parse(text).document
    assert parsed is not None
    prepared = compiler.prepare(parsed, dialect=BIGQUERY, project="demo", allowed=set())
    assert (prepared.queries["low"].max_bytes, prepared.queries["low"].timeout_seconds) == (10, 5)
    assert (prepared.queries["high"].max_bytes, prepared.queries["high"].timeout_seconds) == (100_000_000, 60)


def test_a_query_of_another_warehouse_is_refused() -> None:
    """A dashboard reads one connection; its kind or its name may be repeated."""
    text = "version: 1\nkind: dashboard\nslug: s\ntitle: T\nconnection: c\nqueries:\n"
    text += "".join(f"  - {{id: q_{w}, sql: SELECT 1, warehouse: {w}}}\n" for w in ("bigquery", "c", "other"))
    text += "layout: [{id: t, type: table, query: q_c}]\n"
    parsed = reading.parse(text).document
    assert parsed is not None
    prepared = compiler.prepare(parsed, dialect=BIGQUERY, project="demo", allowed=set())
    assert set(prepared.failed) == {"q_other"}


def test_what_stands_in_texts_and_comments_says_nothing() -> None:
    """Neither a parameter nor a reference."""
    sql = "SELECT '@a', \"@b\", `@c` -- @d {{ ref('x') }}\n/* @e */ FROM {{ ref(\"y\") }} WHERE @f = @f AND @@g = 1"
    assert text.parameters(sql, BIGQUERY) == ["f"]
    assert templates.refs(sql, BIGQUERY) == ["y"]


@given(st.text(alphabet="ab'\"`-#/*\n @{}()refq,", max_size=60))
def test_the_mask_keeps_every_offset(sql: str) -> None:
    """Blanking changes no length."""
    assert len(text.mask(sql, BIGQUERY)) == len(sql)


def test_queries_that_build_on_each_other_are_worth_so_many_characters_and_no_more() -> None:
    """Forty texts that each hold all before them would be read forty times over; those that fit still stand."""
    padding = "/* " + "x" * 5_000 + " */"
    queries = [f"SELECT 1 AS a {padding}"]
    queries += [f"SELECT a {padding} FROM {{{{ ref('q{n - 1}') }}}}" for n in range(1, 30)]
    made = plan(*queries)
    assert made.query("q2") is not None
    refused = {id: error.reason for id, error in made.failed.items()}
    assert set(refused.values()) <= {"the queries are too long together", "too long"}
    assert "the queries are too long together" in refused.values()


def test_a_clock_in_the_argument_of_a_clock_stays_with_its_argument() -> None:
    """The text around it is replaced once, and nothing is lost."""
    assert rewrites.bind_clock("SELECT CURRENT_DATE('a'), CURRENT_DATE", BIGQUERY) == (
        "SELECT DATE(@now, 'a'), @today"
    )


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT {{ x }}, {% if y %} 1 {% endif %}", ["{{ x }}", "{% if y %}", "{% endif %}"]),
        ("SELECT {{ ref('a') }}", []),
        ("SELECT {{ open, {% also open", []),
        ("SELECT {{{ x }}", ["{{{ x }}"]),
        ("SELECT 1 -- {{ x }}", []),
    ],
)
def test_templates_other_than_references_are_named(sql: str, found: list[str]) -> None:
    """Nothing evaluates them; one that is never closed is no template."""
    assert templates.unknown(sql, BIGQUERY) == found
