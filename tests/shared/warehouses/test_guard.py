"""The guard, specified by two files of statements and by what no file can hold."""

from pathlib import Path

import pytest

from shared.platform.errors import BridgeError
from shared.warehouses.bigquery.dialect import BIGQUERY, BigQueryDialect
from shared.warehouses.contract import DryRun
from shared.warehouses.declared import DatasetNotAllowed, QueryNotReadOnly
from shared.warehouses.guard import guard
from shared.warehouses.postgres.dialect import POSTGRES

SPECIFIED = Path(__file__).resolve().parents[2] / "guard"
OFFERED = {"shop.sales", "shop.web_events", "open-data.weather"}


def _lines(name: str) -> list[str]:
    lines = (SPECIFIED / name).read_text().splitlines()
    comments = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    return [line for line in lines[comments:] if line.strip()]


ALLOWED = _lines("allowed.sql")
REFUSED = [tuple(line.rsplit(" => ", 1)) for line in _lines("refused.sql")]


POSTGRES_ALLOWED = _lines("postgres_allowed.sql")
POSTGRES_REFUSED = [tuple(line.rsplit(" => ", 1)) for line in _lines("postgres_refused.sql")]


def _check(sql: str) -> guard.Checked:
    return guard.check(sql, BIGQUERY, allowed=OFFERED, project="shop")


@pytest.mark.parametrize("sql", ALLOWED)
def test_a_read_only_statement_over_offered_datasets_passes(sql: str) -> None:
    """Every line of allowed.sql passes, and all tables it names are in the offered datasets."""
    checked = _check(sql)
    assert all(table.rpartition(".")[0] in OFFERED for table in checked.tables)


@pytest.mark.parametrize(("sql", "code"), REFUSED)
def test_everything_else_is_refused_with_field_and_reason(sql: str, code: str) -> None:
    """Every line of refused.sql raises the error it names, with a reason a person can act on."""
    with pytest.raises((QueryNotReadOnly, DatasetNotAllowed)) as caught:
        _check(sql)
    assert caught.value.code == code
    assert caught.value.field == "sql"
    assert caught.value.reason


@pytest.mark.parametrize("sql", POSTGRES_ALLOWED)
def test_a_read_only_statement_of_postgres_passes_by_its_own_rules(sql: str) -> None:
    """Its operators, FILTER, DISTINCT ON, LATERAL and casts; #>> begins no comment."""
    checked = guard.check(sql, POSTGRES, allowed={"shop.sales"}, project="shop")
    assert all(table.startswith("shop.sales.") for table in checked.tables)


@pytest.mark.parametrize(("sql", "code"), POSTGRES_REFUSED)
def test_everything_else_in_postgres_is_refused(sql: str, code: str) -> None:
    """Files, settings, catalogs, locks, sequences, names of objects, and whatever is no SELECT."""
    with pytest.raises((QueryNotReadOnly, DatasetNotAllowed)) as caught:
        guard.check(sql, POSTGRES, allowed={"shop.sales"}, project="shop")
    assert (caught.value.code, bool(caught.value.reason)) == (code, True)


def test_the_specification_is_read_whole() -> None:
    """A loader that skipped lines would make the two tests above pass for nothing."""
    assert len(ALLOWED) > 60
    assert len(REFUSED) > 100


def test_tables_are_named_in_full_and_once() -> None:
    """Names without a project get the connection's; the names of a WITH are no tables."""
    sql = "WITH t AS (SELECT * FROM sales.b) SELECT * FROM t, sales.a, `shop.sales.a`, open-data.weather.days"
    assert _check(sql).tables == ("open-data.weather.days", "shop.sales.a", "shop.sales.b")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1\x00",
        "SELECT 1 -- a\x0b, SESSION_USER()",
        "SELECT\u2028 1",
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT " + "+".join(["1"] * 30_000),
        "SELECT '" + "x" * 100_001 + "'",
        "",
    ],
    ids=["nul", "vertical tab", "line separator", "deep", "wide", "long", "empty"],
)
def test_hostile_text_is_refused_and_nothing_else_happens(sql: str) -> None:
    """Control characters, depth, width and length end in the same clean refusal."""
    with pytest.raises(QueryNotReadOnly):
        _check(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "STRUCT(" * 12 + "1" + ")" * 12,
        "SELECT " + "SAFE.ABS(" * 12 + "1" + ")" * 12,
        "SELECT " + "DATE(" * 12 + "'2024-01-01'" + ")" * 12,
        "SELECT " + "ARRAY[" * 12 + "1" + "]" * 12,
        "SELECT * FROM " + "(SELECT * FROM " * 12 + "sales.orders" + ")" * 12,
        "SELECT " + "CASE WHEN x > 1 THEN " * 12 + "1" + " END" * 12 + " FROM sales.orders",
        "SELECT DATE '2024-01-01', TIMESTAMP('2024-01-01'), STRUCT<a INT64>(1).a, ARRAY<INT64>[1, 2][OFFSET(0)], date[OFFSET(0)] FROM sales.orders",
        "SELECT NUMERIC '1.5', CAST(x AS NUMERIC(10, 2)), SAFE.PARSE_DATE('%Y', s) AS d, NET.HOST(url) FROM sales.orders",
        "SELECT SUM(x) FROM sales.orders WHERE id IN (" + ", ".join(map(str, range(4_000))) + ")",
    ],
    ids=["structs", "safe", "dates", "arrays", "subqueries", "cases", "types", "more types", "many values"],
)
def test_what_people_nest_is_read_once_and_passes(sql: str) -> None:
    """Twelve levels are more than anybody writes; each was read twice by the parser alone."""
    assert _check(sql).fingerprint


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT " + "(" * 60 + "1" + ")" * 60, "nested too deeply"),
        ("SELECT " + "ARRAY<INT64>[1][" * 30 + "1" + "]" * 30, "nested too deeply"),
        ("SELECT " + "NOT " * 2_000 + "TRUE", "nested too deeply"),
        ("SELECT " + "1," * 15_000 + "1", "too many parts"),
        ("FROM sales.orders" + " |> SELECT x" * 30, "too many pipe operators"),
        ("SELECT a" + ".b" * 60 + " FROM sales.orders", "a name of too many parts"),
        ("SELECT f(1)" + ".f(1)" * 30, "too many calls on calls"),
        ("SELECT STRUCT(" * 5 + "1", "it can't be parsed: a bracket stands alone"),
        ("SELECT INTERVAL '" + " " * 5_000 + "'", "an INTERVAL that is too long"),
        ("SELECT " + "AI.F(" * 20 + "1" + ")" * 20, "functions of AI are not allowed"),
    ],
)
def test_what_would_take_too_much_work_is_refused_with_the_reason(sql: str, reason: str) -> None:
    """Before it is tried, or as soon as it has taken more steps than its length allows."""
    with pytest.raises(QueryNotReadOnly) as caught:
        _check(sql)
    assert caught.value.reason == reason
    assert caught.value.message


def test_a_name_of_a_with_is_seen_where_it_stands() -> None:
    """By the query that carries it, by those behind it in the same WITH, and by whatever is inside these."""
    seen = "WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b UNION ALL (SELECT * FROM (SELECT * FROM a))"
    assert _check(seen).tables == ()
    recursive = "WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a"
    assert _check(recursive).tables == ()
    for unseen in (
        "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a",
        "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a), a",
        "WITH a AS (SELECT * FROM a) SELECT * FROM a",
    ):
        with pytest.raises(DatasetNotAllowed):
            _check(unseen)


def test_a_fault_of_the_parser_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard fails closed: an exception that nobody foresaw does not let the statement through."""
    from sqlglot.parser import Parser

    def broken(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Parser, "parse", broken)
    with pytest.raises(QueryNotReadOnly):
        _check("SELECT 1")


def test_a_dialect_without_rules_of_its_own_runs_nothing() -> None:
    """It is refused rather than judged by another one's lists."""

    class Foreign(BigQueryDialect):
        name = "foreign"

    with pytest.raises(QueryNotReadOnly) as caught:
        guard.check("SELECT 1", Foreign(), allowed=None, project="shop")
    assert caught.value.reason == "dialect"


def test_layout_comments_and_case_of_reserved_words_do_not_change_the_fingerprint() -> None:
    """The cache key of a statement survives what a formatter does to it."""
    one = guard.fingerprint("SELECT a, b FROM sales.orders WHERE a = 'x'", BIGQUERY)
    two = guard.fingerprint("select a,\n  b -- why\nfrom sales.orders\n/* c */ where a='x';", BIGQUERY)
    assert one == two


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("SELECT 'a'", "SELECT 'A'"),
        ("SELECT 'a'", "SELECT `a`"),
        ("SELECT 'a'", "SELECT r'a'"),
        ("SELECT 1 AS date", "SELECT 1 AS Date"),
        ("SELECT a FROM sales.T", "SELECT a FROM sales.t"),
        ("SELECT 'a, b'", "SELECT 'a', 'b'"),
        ("SELECT 1", "SELECT 1.0"),
        ("SELECT @a", "SELECT @b"),
        ("SELECT a FROM sales.t WHERE side = 'left'", "SELECT a FROM sales.t WHERE side = 'LEFT'"),
        ('SELECT "not"', 'SELECT "NOT"'),
        ("SELECT `order` FROM sales.t", "SELECT `ORDER` FROM sales.t"),
        ("SELECT r'in'", "SELECT r'IN'"),
        ("SELECT b'in'", "SELECT b'IN'"),
        ("SELECT '''end'''", "SELECT '''END'''"),
        (r"SELECT 'a\x41'", r"SELECT 'a\\x41'"),
        ("SELECT t.left FROM sales.t AS t", "SELECT t.LEFT FROM sales.t AS t"),
        ("SELECT doc.end FROM sales.t", "SELECT doc.END FROM sales.t"),
    ],
)
def test_statements_that_could_answer_differently_have_different_fingerprints(one: str, two: str) -> None:
    """Sharing a fingerprint would serve one statement's result for the other."""
    assert guard.fingerprint(one, BIGQUERY) != guard.fingerprint(two, BIGQUERY)


def _dry(*tables: str, kind: str = "SELECT") -> DryRun:
    return DryRun(bytes_scanned=1, statement_type=kind, schema=(), tables=tables)


def test_a_dry_run_within_the_offer_agrees() -> None:
    """The warehouse names the same tables, or bases of views that are offered too."""
    guard.agree(_check("SELECT * FROM sales.orders"), _dry("shop.sales.orders", "shop.web_events.e"), OFFERED)


@pytest.mark.parametrize(
    "dry_run",
    [
        _dry("shop.secrets.users"),
        _dry("shop.sales.orders", "shop.secrets.base_of_a_view"),
        _dry("shop.sales.INFORMATION_SCHEMA.TABLES"),
        _dry("shop.sales.__TABLES__"),
        _dry("shop.sales.orders", kind="EXPORT_DATA"),
        _dry("shop.sales.orders", kind="SCRIPT"),
        _dry("shop.sales.orders", kind=""),
        _dry(),
    ],
)
def test_a_dry_run_that_would_do_more_is_refused(dry_run: DryRun) -> None:
    """A view that leads out of the offer, another kind of statement, or silence about tables."""
    with pytest.raises(BridgeError) as caught:
        guard.agree(_check("SELECT * FROM sales.orders"), dry_run, OFFERED)
    assert caught.value.status == 400
