"""Wildcard tables: one name for a family of tables, each row with the rest of its table's name."""

from collections.abc import Callable

import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import bigquery

Rows = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def events(client: bigquery.Client, dataset: str) -> str:
    """Three days of events; the last day's table has a column more."""
    for day, n in (("20240101", 1), ("20240102", 2)):
        client.ask(f"CREATE TABLE {dataset}.events_{day} AS SELECT {n} AS id, 'web' AS source")
    client.ask(f"CREATE TABLE {dataset}.events_20240201 AS SELECT 3 AS id, 'app' AS source, 'new' AS kind")
    client.ask(f"CREATE TABLE {dataset}.other AS SELECT 9 AS id")
    return dataset


def _bytes(client: bigquery.Client, sql: str) -> int:
    dry = client.query(sql, job_config=bigquery.QueryJobConfig(dry_run=True, use_query_cache=False))
    return int(dry.total_bytes_processed)


def test_a_wildcard_reads_every_table_with_the_prefix(events: str, rows: Rows) -> None:
    """The newest table gives the columns, older ones have NULL where they lack one; `*` hides the suffix."""
    found = rows(f"SELECT * FROM `{events}.events_*` ORDER BY id")
    assert found == [(1, "web", None), (2, "web", None), (3, "app", "new")]


def test_the_suffix_says_which_table_a_row_is_from(events: str, rows: Rows) -> None:
    """_TABLE_SUFFIX is the table's name without the prefix, in the SELECT list and in groups."""
    sql = f"""SELECT SUBSTR(_TABLE_SUFFIX, 1, 4) AS month, COUNT(*) AS n
              FROM `bridge-local.{events}.events_2024*` AS e GROUP BY month ORDER BY month"""
    assert rows(sql) == [("0101", 1), ("0102", 1), ("0201", 1)]


def test_a_filter_on_the_suffix_leaves_tables_out_of_the_bytes(
    client: bigquery.Client, events: str, rows: Rows
) -> None:
    """A constant filter decides before anything is read: eight bytes for each INT64 that is left."""
    table = f"`{events}.events_*`"
    assert _bytes(client, f"SELECT id FROM {table}") == 24
    some = f"SELECT id FROM {table} WHERE _TABLE_SUFFIX BETWEEN '20240102' AND '20240131'"
    assert _bytes(client, some) == 8
    assert rows(some) == [(2,)]
    late = (
        f"SELECT id FROM {table} WHERE _TABLE_SUFFIX >= FORMAT_DATE('%Y%m%d', DATE '2024-01-02') ORDER BY id"
    )
    assert _bytes(client, late) == 16
    assert rows(late) == [(2,), (3,)]
    nothing = f"SELECT id, kind FROM {table} WHERE _TABLE_SUFFIX = '1999'"
    assert _bytes(client, nothing) == 0
    assert rows(nothing) == []


def test_a_filter_may_come_from_a_parameter(events: str, rows: Rows) -> None:
    """Parameters are constants too."""
    config = bigquery.QueryJobConfig(
        query_parameters=[bigquery.ScalarQueryParameter("day", "STRING", "20240201")]
    )
    assert rows(f"SELECT id FROM `{events}.events_*` WHERE _TABLE_SUFFIX = @day", config) == [(3,)]


def test_a_wildcard_that_matches_nothing_or_a_view_is_refused(client: bigquery.Client, events: str) -> None:
    """No table is not found; a view can't be read through a prefix; types that differ are not mixed."""
    with pytest.raises(NotFound, match="does not match any table"):
        client.ask(f"SELECT * FROM `{events}.nothing_*`")
    client.ask(f"CREATE VIEW {events}.shown_1 AS SELECT 1 AS x")
    with pytest.raises(BadRequest, match=r"Views cannot be queried through prefix\. First view shown_1"):
        client.ask(f"SELECT * FROM `{events}.shown_*`")
    client.ask(f"CREATE TABLE {events}.events_20240301 AS SELECT 'text' AS id")
    with pytest.raises(BadRequest, match="whose column id has different types"):
        client.ask(f"SELECT id FROM `{events}.events_*`")


def test_partitions_are_left_out_inside_a_wildcard(client: bigquery.Client, dataset: str, rows: Rows) -> None:
    """Two tables of ten days each: a filter on the partition column reads one day of each, and is a filter for
    tables that require one."""
    for name in ("a", "b"):
        client.ask(
            f"CREATE TABLE {dataset}.hits_{name} (day DATE, x INT64) PARTITION BY day OPTIONS (require_partition_filter = TRUE)"
        )
        days = "UNNEST(GENERATE_DATE_ARRAY('2024-01-01', '2024-01-10')) AS d"
        client.ask(f"INSERT INTO {dataset}.hits_{name} SELECT d, EXTRACT(DAY FROM d) FROM {days}")
    some = f"SELECT x FROM `{dataset}.hits_*` AS h WHERE h.day = '2024-01-02'"
    assert _bytes(client, some) == 2 * (8 + 8)
    assert rows(some) == [(2,), (2,)]
    assert _bytes(client, f"{some} AND _TABLE_SUFFIX = 'a'") == 8 + 8
    with pytest.raises(BadRequest, match="without a filter over column"):
        client.ask(f"SELECT x FROM `{dataset}.hits_*`")
