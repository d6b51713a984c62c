"""The guard, specified by two files of statements and by what no file can hold."""

from pathlib import Path

import pytest

from shared.platform.errors import BridgeError
from shared.warehouses.contract import DryRun
from shared.warehouses.declared import DatasetNotAllowed, QueryNotReadOnly
from shared.warehouses.guard import guard

SPECIFIED = Path(__file__).resolve().parents[2] / "guard"
OFFERED = {"shop.sales", "shop.web_events", "open-data.weather"}


def _lines(name: str) -> list[str]:
    lines = (SPECIFIED / name).read_text().splitlines()
    comments = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    return [line for line in lines[comments:] if line.strip()]


ALLOWED = _lines("allowed.sql")
REFUSED = [tuple(line.rsplit(" => ", 1)) for line in _lines("refused.sql")]


def _check(sql: str) -> guard.Checked:
    return guard.check(sql, "bigquery", allowed=OFFERED, project="shop")


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


def test_a_fault_of_the_parser_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard fails closed: an exception that nobody foresaw does not let the statement through."""
    import sqlglot

    def broken(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sqlglot, "parse", broken)
    with pytest.raises(QueryNotReadOnly):
        _check("SELECT 1")


def test_other_dialects_wait_for_their_own_rules() -> None:
    """A dialect without an allow-list of its own is refused rather than judged by BigQuery's."""
    with pytest.raises(QueryNotReadOnly):
        guard.check("SELECT 1", "postgres", allowed=None, project="shop")


def test_layout_comments_and_case_of_reserved_words_do_not_change_the_fingerprint() -> None:
    """The cache key of a statement survives what a formatter does to it."""
    one = guard.fingerprint("SELECT a, b FROM sales.orders WHERE a = 'x'", "bigquery")
    two = guard.fingerprint("select a,\n  b -- why\nfrom sales.orders\n/* c */ where a='x';", "bigquery")
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
    ],
)
def test_statements_that_could_answer_differently_have_different_fingerprints(one: str, two: str) -> None:
    """Sharing a fingerprint would serve one statement's result for the other."""
    assert guard.fingerprint(one, "bigquery") != guard.fingerprint(two, "bigquery")


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
