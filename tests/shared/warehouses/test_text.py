"""What a text says, by each dialect's own strings, quoted names and comments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dashboards.compiling import templates
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.dialect import Dialect
from shared.warehouses.postgres.dialect import POSTGRES
from shared.warehouses.sql import parsing, text

BOTH = pytest.mark.parametrize("dialect", [BIGQUERY, POSTGRES], ids=lambda dialect: dialect.name)


@pytest.mark.parametrize(
    ("dialect", "sql", "said"),
    [
        (BIGQUERY, "SELECT a # @x\n, @y", ["y"]),
        (BIGQUERY, "SELECT a #>> @x\n, @y", ["y"]),
        (BIGQUERY, "SELECT `@x`, '@x', \"@x\", '''@x'@x''', r'@x', @y", ["y"]),
        (BIGQUERY, "SELECT $q$ , @x $q$", ["x"]),
        (BIGQUERY, "SELECT /* a /* b */ @x /* */", ["x"]),
        (POSTGRES, "SELECT a #>> '{x,y}' = @x # @y", ["x", "y"]),
        (POSTGRES, "SELECT payload #> '{a}', payload @> @x, tags <@ @y", ["x", "y"]),
        (POSTGRES, "SELECT 'C:\\', @x", ["x"]),
        (POSTGRES, "SELECT E'it\\'s @x', @y", ["y"]),
        (POSTGRES, "SELECT 'it''s @x', \"a\"\"@x\", @y", ["y"]),
        (POSTGRES, "SELECT $$ @x $$, $q$ @x $$ @x $q$, @y, $1", ["y"]),
        (POSTGRES, "SELECT /* a /* b */ @x */ @y -- @x\n", ["y"]),
        (POSTGRES, "SELECT 'over\ntwo lines @x', @y", ["y"]),
        (POSTGRES, "SELECT price$q$ FROM t WHERE @x", ["x"]),
        (POSTGRES, "SELECT a.b@x, some@y.com", []),
    ],
)
def test_parameters_stand_outside_of_what_the_dialect_quotes(
    dialect: Dialect, sql: str, said: list[str]
) -> None:
    """`#` begins a comment in one and an operator in the other; so do quotes, backslashes and dollars differ."""
    assert text.parameters(sql, dialect) == said


def test_a_reference_behind_an_operator_of_postgres_is_one() -> None:
    """And behind a comment sign it is none."""
    sql = "SELECT a #>> '{x}' FROM {{ ref('q') }}"
    assert templates.refs(sql, POSTGRES) == ["q"]
    assert templates.refs(sql, BIGQUERY) == []


@BOTH
@given(sql=st.text(alphabet="ab'\"`-#/*\n @{}()$eE\\refq,", max_size=60))
def test_the_mask_keeps_every_offset(dialect: Dialect, sql: str) -> None:
    """Blanking changes no length, however unfinished the text is."""
    masked = text.mask(sql, dialect)
    assert len(masked) == len(sql)
    assert all(now in (" ", then) for now, then in zip(masked, sql, strict=True))


PIECES = {
    BIGQUERY: ["'a'", '"a"', "r'a\\d'", "'''a'b'''", "`a b`", "a", "1.5", "@p", "-- c\n", "# c\n", "/* c */", "(", "=", "'a\\\\'"],
    POSTGRES: ["'a'", "'it''s'", "E'a\\'b'", '"a b"', "$$a$$", "$q$a$q$", "a", "1.5", "@p", "-- c\n", "/* c */", "#>>", "(", "=", "@>"],
}  # fmt: skip


@BOTH
@given(data=st.data())
def test_the_mask_agrees_with_the_parsers_tokens(dialect: Dialect, data: st.DataObject) -> None:
    """What is blanked are the texts, quoted names and comments of the tokenizer, no more and no less."""
    sql = " ".join(data.draw(st.lists(st.sampled_from(PIECES[dialect]), max_size=8)))
    shown = {
        place
        for token in parsing.tokens(sql, dialect)
        if not parsing.is_quoted(token)
        for place in range(token.start, token.end + 1)
    }
    masked = text.mask(sql, dialect).replace("r ", "  ")  # The letter before a raw text says nothing either.
    assert {place for place, character in enumerate(masked) if not character.isspace()} == shown
