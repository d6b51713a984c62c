"""A list arrives in Postgres as it was sent, whatever its texts look like."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.platform.postgres import pool, values

HARD = [
    "null", "NULL", "Null", "nULL", "", " ", "\t", "\n", "a,b", ",", "{", "}", "{}", "{a,b}", '"', '""', 'a"b', "\\", "\\\\", '\\"', "'", "''",
    "a\\", "true", "0", "-", "é", "\u00a0", "\u2028", "😀", "\x1f", "\x7f", "x" * 3_000, "{null}", '{"null"}', "[1:2]={a,b}", "NULL,NULL", "%s", ":a", "$1",
]  # fmt: skip
TEXTS = st.lists(
    st.one_of(
        st.none(),
        st.sampled_from(HARD),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
        st.text(st.sampled_from(list("{}\",\\ nulNUL'")), max_size=12),
    ),
    max_size=12,
)


def test_a_text_in_an_array_is_always_quoted() -> None:
    """Nothing is left to what the other side takes an unquoted word for."""
    assert values.array(["null", 'a"b', "c\\", "", None]) == '{"null","a\\"b","c\\\\","",NULL}'
    assert values.array([]) == "{}"


def test_what_a_list_becomes_is_told_by_the_statement() -> None:
    """A parameter that is cast to an array is one; every other list is JSON."""
    statement = (
        "SELECT :a::text[], :b::uuid[], :c::jsonb, :d, :e::text, x::text[] FROM t WHERE y = ANY(:a::text[])"
    )
    id = uuid4()
    bound = values.bound(statement, {"a": ["null"], "b": {id}, "c": [], "d": [{"x": "null"}], "e": "{a}"})
    assert bound == {"a": '{"null"}', "b": f'{{"{id}"}}', "c": "[]", "d": '[{"x":"null"}]', "e": "{a}"}


@pytest.mark.parametrize("value", [[1], [["a"]], [{"a": 1}], [b"a"], [True]])
def test_an_array_of_anything_but_texts_and_ids_is_an_error(value: list[Any]) -> None:
    """It would arrive as something else."""
    with pytest.raises(TypeError):
        values.bound("SELECT :a::text[]", {"a": value})


@pytest.mark.parametrize("value", [{"a"}, object(), iter([])])
def test_a_value_without_a_form_is_an_error(value: Any) -> None:
    """The driver is not asked to guess."""
    with pytest.raises(TypeError):
        values.bound("SELECT :a", {"a": value})


@given(TEXTS)
def test_no_container_reaches_the_driver(texts: list[str | None]) -> None:
    """Neither as an array nor as JSON."""
    bound = values.bound("SELECT :a::text[], :b::jsonb", {"a": texts, "b": {"texts": texts}})
    assert {type(value) for value in bound.values()} == {str}
    assert json.loads(bound["b"]) == {"texts": texts}


@pytest.mark.slow
@pytest.mark.usefixtures("directory")
class TestOverPostgres:
    """The same over the real thing, prepared and unprepared."""

    @settings(suppress_health_check=["function_scoped_fixture"])
    @given(TEXTS)
    @example(HARD)
    @example([*HARD, None])
    def test_texts_arrive_as_they_were_sent(self, texts: list[str | None]) -> None:
        """As an array, as JSON, and turned from the one into the other by Postgres itself."""
        with pool.transaction() as tx:
            row = tx.one(
                "SELECT :a::text[] AS texts, cardinality(:a::text[]) AS n, :b::jsonb AS json,"
                " ARRAY(SELECT jsonb_array_elements_text(:b::jsonb)) AS made",
                a=texts,
                b=texts,
            )
        assert row == {"texts": texts, "n": len(texts), "json": texts, "made": texts}

    @pytest.mark.parametrize("text", HARD)
    def test_a_text_is_found_among_others(self, text: str) -> None:
        """`= ANY` and `<> ALL` mean what they say also for a table that is called null."""
        with pool.transaction() as tx:
            row = tx.one(
                "SELECT :one::text = ANY(:all::text[]) AS there, :one::text <> ALL(:others::text[]) AS apart",
                one=text,
                all=["first", text, "last"],
                others=[other for other in HARD if other != text],
            )
        assert row == {"there": True, "apart": True}

    def test_ids_arrive_as_ids(self) -> None:
        """As texts or as UUIDs, in a list, a tuple or a set."""
        ids = sorted(str(uuid4()) for _ in range(3))
        for given_ids in (ids, tuple(ids), set(ids), [UUID(id) for id in ids]):
            with pool.transaction() as tx:
                row = tx.one("SELECT ARRAY(SELECT unnest(:ids::uuid[]) ORDER BY 1) AS ids", ids=given_ids)
            assert [str(id) for id in row["ids"]] == ids
