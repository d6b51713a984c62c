"""An invented shop, and awkward catalogs, for the built-in analyst."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault(name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


small_world = _load("small_world")

ORDERS = """
    SELECT 1000 + i AS order_id, DATE '2024-01-01' + CAST(i * 366 // 4000 AS INTEGER) AS order_date, i % 40 + 1 AS customer_id,
           'P' || lpad(CAST(i % 12 + 1 AS VARCHAR), 3, '0') AS prod_code, 1 + i % 4 AS qty, round(5 + (i * 7 % 90) / 1.5, 2) AS amt_usd,
           CASE WHEN i % 10 = 0 THEN 'returned' WHEN i % 3 = 0 THEN 'pending' ELSE 'shipped' END AS status,
           CASE WHEN i % 10 = 0 THEN NULL ELSE CAST(1 + i % 6 AS DOUBLE) END AS delivery_days, i % 25 = 0 AS is_gift
      FROM range(4000) AS t(i)
"""
CUSTOMERS = """
    SELECT i AS id, 'Customer ' || i AS name, ['North', 'South', 'East', 'West'][i % 4 + 1] AS region FROM range(1, 41) AS t(i)
"""
PRODUCTS = """
    SELECT 'P' || lpad(CAST(i AS VARCHAR), 3, '0') AS code, 'Product ' || chr(CAST(64 + i AS INTEGER)) AS title, ['Tools', 'Toys', 'Books'][i % 3 + 1] AS category
      FROM range(1, 13) AS t(i)
"""
VISITS = """
    SELECT DATE '2024-01-01' + CAST(i // 24 AS INTEGER) AS visit_date, i % 24 AS hour, ['web', 'app'][i % 2 + 1] AS channel, 50 + i * 13 % 97 AS visitors
      FROM range(24 * 366) AS t(i)
"""


@pytest.fixture
def shop() -> Any:
    """Orders with customers and products, and visits that share only the calendar."""
    return small_world.SmallWorld(
        {
            "sales.orders": (ORDERS, "One row for each order line", {
                "order_date": "Day of the order", "customer_id": "Who ordered", "prod_code": "What was ordered: code of the product",
                "qty": "Pieces", "amt_usd": "Amount in US dollars", "delivery_days": "Delivery time in days; NULL when the order was lost",
                "is_gift": "Whether it was a gift"}),
            "sales.customers": (CUSTOMERS, "Who buys", {}),
            "sales.products": (PRODUCTS, "What is sold", {"code": "Code of the product"}),
            "web.visits": (VISITS, "Visitors of the shop's pages by hour", {"visitors": "Number of visitors"}),
        },
        partitions={"sales.orders": "order_date"},
    )  # fmt: skip


@pytest.fixture
def talk(shop: Any) -> Any:
    """A conversation about the shop."""
    return small_world.Conversation(shop)


@pytest.fixture
def bare() -> Any:
    """A schema without a description, with abbreviated names."""
    return small_world.SmallWorld(
        {
            "raw.fct_emp_hrs": (
                "SELECT i AS emp_no, DATE '2023-01-01' + CAST(i % 365 AS INTEGER) AS wrk_dt, 'D' || i % 5 AS dept_cd, 4.0 + i % 5 AS hrs FROM range(2000) AS t(i)",
                "", {}),
            "raw.dim_dept": ("SELECT 'D' || i AS dept_cd, 'Department ' || i AS dept_nm FROM range(5) AS t(i)", "", {}),
        }
    )  # fmt: skip


@pytest.fixture
def twins() -> Any:
    """Two tables of one name in two data sets."""
    query = "SELECT DATE '2024-01-01' + CAST(i % 100 AS INTEGER) AS day, 'S' || i % 3 AS shop, i % 50 AS revenue FROM range(500) AS t(i)"
    return small_world.SmallWorld({"europe.sales": (query, "", {}), "asia.sales": (query, "", {})})
