"""The Postgres dialect on a real server: its pieces of SQL give the days, counts and rows that they promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from sqlglot import exp

from shared.analyst.builtin import sql as builder
from shared.analyst.builtin.measures import Measure
from shared.analyst.builtin.roles import Times
from shared.analyst.builtin.trees import Cut, Dimension, Scope, Step
from shared.analyst.builtin.view import Table, read_table
from shared.warehouses.dialect import Grain
from shared.warehouses.guard import guard
from shared.warehouses.postgres.dialect import POSTGRES
from shared.warehouses.sql import rewrites
from shared.warehouses.types import Kind, Parameter

SPECIFIED = Path(__file__).resolve().parents[2] / "guard" / "postgres_allowed.sql"
Run = Callable[..., list[tuple[Any, ...]]]

pytestmark = [pytest.mark.slow]


@pytest.fixture
def run(servers: dict[str, Any]) -> Iterator[Run]:
    """Statements on the server, in a transaction that is rolled back, over a small schema."""
    import pg8000.native

    url = urlsplit(servers["owner"])
    connection = pg8000.native.Connection(
        unquote(url.username or ""),
        host=url.hostname,
        port=url.port,
        database=url.path.strip("/"),
        password=unquote(url.password or ""),
    )
    connection.run("BEGIN")
    connection.run("SET LOCAL TimeZone = 'UTC'")
    connection.run("CREATE SCHEMA sales")
    connection.run(
        "CREATE TABLE sales.orders AS SELECT i AS id, i % 3 AS customer_id, i * 1.5 AS total, i % 2 = 0 AS paid,"
        " DATE '2024-01-01' + i AS day, TIMESTAMPTZ '2024-01-01 22:30:00Z' + i * INTERVAL '1 day' AS placed_at,"
        " TIMESTAMP '2024-01-01 23:30:00' + i * INTERVAL '1 hour' AS wall, i AS a, i AS b, i % 5 AS x, i AS y,"
        ' ARRAY[\'a\'] AS tags, \'name \' || i AS name, \'{"items": [{"sku": 1}], "side": "left"}\'::jsonb AS payload'
        " FROM generate_series(0, 99) AS i"
    )
    connection.run(
        "CREATE TABLE sales.customers AS SELECT i AS id, 'C' || i AS name, true AS paid FROM generate_series(0, 2) i"
    )
    connection.run("CREATE TABLE sales.returns AS SELECT id, total, a FROM sales.orders WHERE id < 3")

    def ask(sql: str, *parameters: Parameter) -> list[tuple[Any, ...]]:
        bound = POSTGRES.bound(sql, parameters)
        values = [
            list(parameter.value) if isinstance(parameter.value, tuple) else parameter.value
            for parameter in bound.parameters
        ]
        context = connection.execute_unnamed(bound.sql, vals=values)
        return [tuple(row) for row in context.rows]

    yield ask
    connection.run("ROLLBACK")
    connection.close()


def value(run: Run, tree: Any, *parameters: Parameter) -> Any:
    """What an expression is worth."""
    return run(f"SELECT {POSTGRES.write(tree)}", *parameters)[0][0]


@pytest.mark.parametrize("sql", [line for line in SPECIFIED.read_text().splitlines() if line and not line.startswith("--")])  # fmt: skip
def test_what_the_guard_lets_through_is_sql_that_the_server_runs(run: Run, sql: str) -> None:
    """So the list of what is allowed is about statements that there are."""
    given = {
        "ids": Parameter("ids", Kind.INTEGER, (1, 2), array=True),
        "now_local": Parameter("now_local", Kind.DATETIME, "2024-04-01T08:00:00"),
    }
    run(sql.replace("shop.sales", "sales"), *[given[name] for name in given if f"@{name}" in sql])


@pytest.mark.parametrize(
    ("grain", "first"),
    [("week", date(2024, 2, 26)), ("month", date(2024, 2, 1)), ("quarter", date(2024, 1, 1)), ("year", date(2024, 1, 1))],
)  # fmt: skip
def test_a_step_of_time_begins_on_its_first_day(run: Run, grain: Grain, first: date) -> None:
    """Weeks on Monday, and what comes out is a date."""
    assert value(run, POSTGRES.start_of(grain, POSTGRES.read("DATE '2024-02-29'"))) == first


def test_days_hours_and_weekdays_of_a_moment(run: Run) -> None:
    """2024-02-29 was a Thursday, the fifth day from Sunday on."""
    moment = POSTGRES.read("TIMESTAMP '2024-02-29 23:45:10'")
    assert value(run, POSTGRES.day_of(moment)) == date(2024, 2, 29)
    assert value(run, POSTGRES.hour_of(moment.copy())) == datetime(2024, 2, 29, 23)
    assert value(run, POSTGRES.part("hour", moment.copy())) == 23
    assert value(run, POSTGRES.part("month", moment.copy())) == 2
    assert value(run, POSTGRES.weekday(POSTGRES.day_of(moment.copy()))) == 5
    assert value(run, POSTGRES.weekday(POSTGRES.read("DATE '2024-03-03'"))) == 1


def test_a_step_can_be_taken_back_to_the_day_that_it_was_made_from() -> None:
    """So that another step can be made from it."""
    day = POSTGRES.read("CAST(placed_at AS DATE)")
    for grain in ("week", "month", "quarter", "year"):
        again = POSTGRES.read(POSTGRES.write(POSTGRES.start_of(grain, day.copy())))
        assert POSTGRES.write(POSTGRES.day_in(again)) == "CAST(placed_at AS DATE)"
    hour = POSTGRES.read(POSTGRES.write(POSTGRES.hour_of(exp.column("placed_at"))))
    assert POSTGRES.write(POSTGRES.day_in(hour)) == "CAST(placed_at AS DATE)"


@pytest.mark.parametrize(
    ("kind", "column", "expected"),
    [(Kind.DATE, "day", 3), (Kind.TIMESTAMP, "placed_at", 3), (Kind.DATETIME, "wall", 49)],
)
def test_a_range_of_days_holds_its_last_day_whole(run: Run, kind: Kind, column: str, expected: int) -> None:
    """From the second to the fourth of January, and everything while both ends are open."""
    first, last = (POSTGRES.write(bound) for bound in POSTGRES.bounds(kind, "p_start", "p_end"))
    below = "<=" if kind == Kind.DATE else "<"
    sql = f"SELECT count(*) FROM sales.orders WHERE {column} >= {first} AND {column} {below} {last}"
    ends = [Parameter("p_start", Kind.DATE, "2024-01-02"), Parameter("p_end", Kind.DATE, "2024-01-04")]
    if kind == Kind.DATETIME:
        ends[1] = Parameter("p_end", Kind.DATE, "2024-01-03")
        expected = 48
    assert run(sql, *ends) == [(expected,)]
    opened = [Parameter("p_start", Kind.DATE, None), Parameter("p_end", Kind.DATE, None)]
    assert run(sql, *opened) == [(100,)]


def test_counting_and_the_middle(run: Run) -> None:
    """Counting what is true gives 0 for no rows, where a sum would give nothing."""
    count, distinct = (
        POSTGRES.count_where(exp.column("paid")),
        POSTGRES.count_distinct_roughly(exp.column("x")),
    )
    shown = ", ".join(map(POSTGRES.write, (count, distinct, POSTGRES.median(exp.column("a")))))
    assert run(f"SELECT {shown} FROM sales.orders") == [(50, 5, 49.5)]
    assert run(f"SELECT {POSTGRES.write(count)} FROM sales.orders WHERE id < 0") == [(0,)]


def test_texts_and_names_keep_every_letter(run: Run) -> None:
    """Quotes, backslashes and semicolons among them."""
    for odd in ["it's", 'a"b', "C:\\x", "$$", "; DROP", "@a", "--"]:
        assert run(f"SELECT {POSTGRES.text(odd)} AS {POSTGRES.quoted(odd)}") == [(odd,)]
    assert POSTGRES.write(POSTGRES.column("order")) == '"order"'
    assert POSTGRES.write(POSTGRES.column("a.Left", "t")) == '(t.a)."Left"'
    with pytest.raises(ValueError, match="can't be a name"):
        POSTGRES.quoted("")


def test_parameters_are_bound_by_type_and_name_and_never_inside_texts(run: Run) -> None:
    """One place for each name, and each kind as itself."""
    given = [
        Parameter("t", Kind.TEXT, "a'b"),
        Parameter("n", Kind.INTEGER, 2**40),
        Parameter("r", Kind.REAL, 0.5),
        Parameter("b", Kind.BOOLEAN, True),
        Parameter("d", Kind.DATE, "2024-02-29"),
        Parameter("l", Kind.DATETIME, "2024-02-29T08:00:00"),
        Parameter("i", Kind.TIMESTAMP, "2024-02-29T08:00:00Z"),
        Parameter("many", Kind.TEXT, ("x", "y"), array=True),
        Parameter("none", Kind.DATE, None),
    ]
    sql = "SELECT @t, @t || '@n', @n, @r, @b, @d, @l, @i, 'y' = ANY(@many), @none IS NULL -- @nobody"
    wall = datetime(2024, 2, 29, 8)
    assert run(sql, *given) == [
        ("a'b", "a'b@n", 2**40, 0.5, True, date(2024, 2, 29), wall, wall.replace(tzinfo=UTC), True, True)
    ]


def test_what_asks_for_the_time_is_told_the_time_of_the_document(run: Run) -> None:
    """With brackets and a precision or without; a column of such a name is left alone."""
    sql = (
        "SELECT CURRENT_DATE, LOCALTIMESTAMP(0), LOCALTIME, now(), CURRENT_TIMESTAMP, clock_timestamp(), t.now,"
        " 'now()' FROM (SELECT 1 AS now) AS t WHERE statement_timestamp() < (SELECT transaction_timestamp() + '1 s')"
    )
    wall = datetime(2024, 4, 1, 8)
    now = datetime(2024, 3, 31, 23, tzinfo=UTC)
    given = [
        Parameter("today", Kind.DATE, "2024-04-01"),
        Parameter("now", Kind.TIMESTAMP, "2024-03-31T23:00:00Z"),
        Parameter("now_local", Kind.DATETIME, "2024-04-01T08:00:00"),
    ]
    bound = rewrites.bind_clock(sql, POSTGRES)
    assert bound.endswith("WHERE @now < (SELECT @now + '1 s')")
    assert run(bound, *given) == [(wall.date(), wall, wall.time(), now, now, now, 1, "now()")]


@pytest.fixture
def orders() -> Table:
    """The table as the analyst sees it."""
    types = {
        "id": "bigint",
        "customer_id": "integer",
        "total": "numeric",
        "paid": "boolean",
        "day": "date",
        "name": "text",
    }
    types |= {"placed_at": "timestamp with time zone", "wall": "timestamp without time zone"}
    columns = [{"path": name, "type": kind} for name, kind in types.items()]
    return read_table({"table": "shop.sales.orders", "dialect": "postgres", "columns": columns})


def test_the_analysts_queries_run_in_postgres_as_they_do_elsewhere(run: Run, orders: Table) -> None:
    """Steps of each grain over each kind of time, weekdays, shares, medians, leaders and the rest."""
    column = orders.column
    sums = Measure("total", "Total", "column", "sum", column("total"))
    middle = Measure("middle", "Middle", "column", "median", column("total"))
    share = Measure("share", "Share", "flagged_share", column=column("paid"))
    who = Dimension("who", "who", column("customer_id"))
    ends = [Parameter("period_start", Kind.DATE, "2024-01-01"), Parameter("period_end", Kind.DATE, None)]

    def ask(kind: str, path: str, step: Step, **cut: Any) -> list[tuple[Any, ...]]:
        scope = Scope(orders, Times(column(path), kind))  # type: ignore[arg-type]
        sql = builder.write(builder.aggregate(scope, Cut((sums, middle, share), step, **cut)), POSTGRES)
        checked = guard.check(sql, POSTGRES, allowed={"shop.sales"}, project="shop")
        assert checked.tables == ("shop.sales.orders",)
        return run(sql.replace('"shop"."sales"', '"sales"'), *ends)

    months = [(date(2024, 1, 1), 697.5, 22.5, 16 / 31)]
    assert [(m, float(t), k, s) for m, t, k, s in ask("date", "day", Step("month", "month"))[:1]] == months
    for kind, path in (("date", "day"), ("timestamp", "placed_at"), ("datetime", "wall")):
        for grain in ("hour", "day", "week", "month", "quarter", "year"):
            rows = ask(kind, path, Step(grain, grain))
            assert sum(float(row[1]) for row in rows) == 7425.0
    weekdays = ask("timestamp", "placed_at", Step("weekday", cycle="weekday"))
    assert [row[0] for row in weekdays] == ["1 Mon", "2 Tue", "3 Wed", "4 Thu", "5 Fri", "6 Sat", "7 Sun"]
    leaders = ask("date", "day", Step("month", "month"), dimensions=(who,), leaders=1)
    assert {row[1] for row in leaders} == {"0", "Other"}
