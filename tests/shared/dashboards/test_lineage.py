"""Lineage names each table by its full path: tables of one name in two datasets stay apart."""

from __future__ import annotations

import pytest

from shared.dashboards import reading
from shared.dashboards.compiling import compiler, lineage
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.dialect import Dialect
from shared.warehouses.postgres.dialect import POSTGRES

ORDERS, WEB = "shop.sales.orders", "shop.web.orders"


pytestmark = pytest.mark.usefixtures("configured")


def columns(sql: str, dialect: Dialect = BIGQUERY) -> dict[str, list[str]]:
    """Table → its columns, of a dashboard with this query."""
    body = sql.replace("\n", "\n      ")
    text = "version: 1\nkind: dashboard\nslug: s\ntitle: T\nconnection: c\nqueries:\n  - id: q\n    sql: |\n      "
    parsed = reading.parse(f"{text}{body}\nlayout: [{{id: t, type: table, query: q}}]\n", lambda _: dialect)
    assert parsed.document is not None, parsed.problems
    prepared = compiler.prepare(
        parsed.document, dialect=dialect, project="shop", allowed={"shop.sales", "shop.web"}
    )
    assert not prepared.failed, prepared.failed
    found: dict[str, list[str]] = {}
    for edge in lineage.edges(prepared):
        listed = found.setdefault(edge["table_name"], [])
        if edge["column_path"]:
            listed.append(edge["column_path"])
    return found


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT s.paid, w.clicks FROM sales.orders AS s JOIN web.orders AS w ON s.id = w.order_id",
            {ORDERS: ["id", "paid"], WEB: ["clicks", "order_id"]},
        ),
        (
            "SELECT (SELECT MAX(paid) FROM sales.orders) AS a, (SELECT MAX(clicks) FROM web.orders) AS b",
            {ORDERS: ["paid"], WEB: ["clicks"]},
        ),
        (
            "WITH orders AS (SELECT paid FROM sales.orders) SELECT w.clicks, o.paid FROM web.orders AS w, orders AS o",
            {ORDERS: ["paid"], WEB: ["clicks"]},
        ),
        (
            "SELECT paid FROM sales.orders UNION ALL SELECT clicks FROM `shop.web.orders`",
            {ORDERS: ["paid"], WEB: ["clicks"]},
        ),
        ("SELECT orders.paid FROM sales.orders WHERE sales.orders.id > 0", {ORDERS: ["id", "paid"]}),
        (
            "SELECT orders.clicks, x.paid FROM web.orders, sales.orders AS x",
            {ORDERS: ["paid"], WEB: ["clicks"]},
        ),
    ],
)
def test_columns_belong_to_the_table_that_the_text_names(sql: str, expected: dict[str, list[str]]) -> None:
    """By its alias, by its own name, or as the only table of its SELECT."""
    assert columns(sql) == expected


def test_a_name_that_two_tables_share_is_in_doubt_and_their_paths_are_not() -> None:
    """Postgres lets two tables of one name stand side by side: what is called by the name alone is left open."""
    sql = "SELECT orders.id, sales.orders.paid, web.orders.clicks FROM sales.orders, web.orders"
    assert columns(sql, POSTGRES) == {ORDERS: ["paid"], WEB: ["clicks"]}
