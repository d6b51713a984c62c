"""A plan is kept for as long as it is right: until a table, the rights or the clock make it wrong."""

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from local.cloud.bigquery.memo import Memo


def _bytes(client: bigquery.Client, sql: str) -> int:
    return int(client.query(sql, job_config=bigquery.QueryJobConfig(dry_run=True)).total_bytes_processed)


def _rows(client: bigquery.Client, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.ask(sql)]


def test_a_query_sees_what_was_changed_between_two_times(client: bigquery.Client, dataset: str) -> None:
    """Rows, columns and the table itself: the same text, each time the answer of now."""
    table = f"{dataset}.changing"
    client.ask(f"CREATE TABLE {table} AS SELECT 1 AS n")
    ask = f"SELECT * FROM {table}"
    assert (_rows(client, ask), _bytes(client, ask)) == ([(1,)], 8)
    client.ask(f"INSERT INTO {table} (n) VALUES (2)")
    assert (sorted(_rows(client, ask)), _bytes(client, ask)) == ([(1,), (2,)], 16)
    client.ask(f"CREATE OR REPLACE TABLE {table} AS SELECT 'x' AS other")
    assert _rows(client, ask) == [("x",)]
    client.ask(f"DROP TABLE {table}")
    with pytest.raises(exceptions.NotFound):
        _bytes(client, ask)


def test_a_view_that_was_changed_is_planned_anew(client: bigquery.Client, dataset: str) -> None:
    """The text of the query is the same; what it stands for is not."""
    ask = f"SELECT n FROM {dataset}.seen"
    for number in (1, 2):
        client.ask(f"CREATE OR REPLACE VIEW {dataset}.seen AS SELECT {number} AS n")
        assert _rows(client, ask) == [(number,)]


def test_parameters_are_a_part_of_the_question(client: bigquery.Client) -> None:
    """The same text with another value or type has another answer."""
    for kind, value in (("INT64", 1), ("INT64", 2), ("STRING", "1")):
        config = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("p", kind, value)])
        result = client.query("SELECT @p AS p", job_config=config).result()
        assert [tuple(row) for row in result] == [(value,)]
        assert result.schema[0].field_type == {"INT64": "INTEGER"}.get(kind, kind)


def test_what_the_clock_and_chance_decide_is_decided_each_time(client: bigquery.Client) -> None:
    """The instant moves on, and no two ids are alike."""
    ask = "SELECT CURRENT_TIMESTAMP() AS at, GENERATE_UUID() AS id"
    first, second = _rows(client, ask)[0], _rows(client, ask)[0]
    assert second[0] > first[0]
    assert second[1] != first[1]


def test_a_memo_forgets_with_every_change_and_keeps_nothing_that_changed_meanwhile() -> None:
    """Also an answer that was worked out while the directory moved on: it may be of before."""
    generation = [1]
    made: list[str] = []

    def make(name: str, moves: bool = False) -> str:
        made.append(name)
        generation[0] += moves
        return name

    memo: Memo[str] = Memo(lambda: generation[0], most=2)
    assert [memo.get("a", lambda: make("a")) for _ in range(2)] == ["a", "a"]
    assert made == ["a"]
    generation[0] += 1
    memo.get("a", lambda: make("a2"))
    assert made == ["a", "a2"]
    generation[0] += 1
    memo.get("x", lambda: make("x"))
    memo.get("a", lambda: make("a3"))
    assert made[-1] == "a3", "another question came first after the change"
    memo.get("b", lambda: make("b", moves=True))
    memo.get("b", lambda: make("b2"))
    assert made[-1] == "b2"
    memo.get("c", lambda: make("c"), lambda _: False)
    memo.get("c", lambda: make("c2"))
    assert made[-1] == "c2"
    memo.get("d", lambda: make("d"))
    memo.get("b", lambda: make("b3"))
    assert made[-1] == "b3", "the oldest went first"
