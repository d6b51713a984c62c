"""How BigQuery's dialect writes texts and names: what comes out is read back as what went in, and passes the guard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from shared.warehouses import registry
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.guard import guard
from shared.warehouses.sql import parsing
from shared.warehouses.types import Kind

ODD = st.text(alphabet="ab'\"`\\\n\r;-#@ é", max_size=12)


@given(ODD)
def test_a_text_is_read_back_letter_by_letter(value: str) -> None:
    """With quotes of either kind, backslashes and ends of lines, and always as one token."""
    (token,) = parsing.tokens(BIGQUERY.text(value), BIGQUERY)
    assert token.text == value


@given(ODD)
def test_a_value_with_a_quote_passes_the_guard(value: str) -> None:
    """O'Hare is a name like any other, also in a query that the analyst writes."""
    tree = exp.select(exp.Literal.string(value).as_("a")).from_(exp.table_("t", db="sales", catalog="shop"))
    checked = guard.check(BIGQUERY.write(tree), BIGQUERY, allowed={"shop.sales"}, project="shop")
    assert checked.tree.expressions[0].this.name == value


def test_texts_without_a_quote_are_written_as_ever() -> None:
    """And the others in the other kind of quotes."""
    written = [BIGQUERY.write(exp.Literal.string(value)) for value in ("JFK", 'a "b"', "O'Hare")]
    assert written == ["'JFK'", "'a \"b\"'", '"O\'Hare"']


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("INT64", Kind.INTEGER), ("integer", Kind.INTEGER), ("NUMERIC(10, 2)", Kind.DECIMAL), ("BIGNUMERIC", Kind.DECIMAL),
        ("ARRAY<STRUCT<a INT64>>", Kind.LIST), ("STRUCT<a ARRAY<INT64>>", Kind.RECORD), ("INTERVAL", Kind.INTERVAL),
        ("STRING(30)", Kind.TEXT), ("RANGE<DATE>", Kind.OTHER), ("TIMESTAMP", Kind.TIMESTAMP), ("DATETIME", Kind.DATETIME),
    ],
)  # fmt: skip
def test_a_types_name_tells_its_kind(name: str, kind: Kind) -> None:
    """Whatever stands behind it in brackets; an interval is no integer."""
    assert BIGQUERY.kind(name) is kind


def test_the_registry_knows_who_speaks_what() -> None:
    """By the names that warehouses and tools tell."""
    assert {registry.dialect(name).name for name in ("bigquery", "postgres")} == {"bigquery", "postgres"}
    assert registry.usual() is BIGQUERY
    with pytest.raises(ValueError, match="no dialect"):
        registry.dialect("esperanto")
