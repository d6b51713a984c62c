"""What a query costs: dry runs, the bytes limit, partition filters, the cache."""

import pytest
from google.api_core.exceptions import BadRequest, GoogleAPICallError
from google.cloud import bigquery


@pytest.fixture
def events(client: bigquery.Client, dataset: str) -> str:
    """Twelve months with one row each."""
    client.ask(
        f"CREATE TABLE {dataset}.events (day DATE, at TIMESTAMP, n INT64) PARTITION BY DATE_TRUNC(day, MONTH) AS "
        "SELECT day, TIMESTAMP(day) AS at, 1 AS n FROM UNNEST(GENERATE_DATE_ARRAY('2024-01-15', '2024-12-15', INTERVAL 1 MONTH)) AS day"
    )
    return f"{dataset}.events"


def _bytes(client: bigquery.Client, sql: str, *parameters: object) -> int:
    config = bigquery.QueryJobConfig(dry_run=True, query_parameters=list(parameters))
    return int(client.query(sql, job_config=config).total_bytes_processed)


@pytest.mark.parametrize(
    ("condition", "months"),
    [
        ("day = '2024-03-15'", 1),
        ("day BETWEEN '2024-03-01' AND '2024-05-31'", 3),
        ("day >= '2024-11-01'", 2),
        ("'2024-02-01' > day", 1),
        ("day IN ('2024-01-02', '2024-06-02')", 2),
        ("day = '2024-01-01' OR day = '2024-12-01'", 2),
        ("day >= DATE_SUB(DATE '2024-12-31', INTERVAL 1 MONTH)", 2),
        ("DATE_TRUNC(day, MONTH) = DATE '2024-07-01'", 1),
        ("day > '2024-06-01' AND n = 1", 7),
        ("day > '2024-06-01' OR n = 1", 12),
        ("EXTRACT(MONTH FROM day) = 3", 12),
        ("NOT day = '2024-03-15'", 12),
        ("day = (SELECT MAX(day) FROM {table})", 12),
        ("day < '2020-01-01'", 0),
    ],
)
def test_a_filter_prunes_the_partitions_that_it_excludes(
    condition: str, months: int, events: str, client: bigquery.Client
) -> None:
    """Only constant conditions on the partition column reduce the bytes, month by month."""
    row = 24 if "n = 1" in condition else 16  # at and day, and n where it is read
    size = _bytes(client, f"SELECT at FROM {events} WHERE {condition.replace('{table}', events)}")
    assert size == months * row


def test_a_null_parameter_means_no_filter_and_a_given_one_prunes(
    events: str, client: bigquery.Client
) -> None:
    """The filters of a dashboard are parameters that may be NULL."""
    sql = f"SELECT at FROM {events} WHERE (@from IS NULL OR day >= @from)"
    assert _bytes(client, sql, bigquery.ScalarQueryParameter("from", "DATE", None)) == 12 * 16
    assert _bytes(client, sql, bigquery.ScalarQueryParameter("from", "DATE", "2024-12-01")) == 16


def test_an_unbilled_dry_run_starts_no_job(events: str, client: bigquery.Client) -> None:
    """A dry run answers statement, tables, schema and bytes at once, and no rows."""
    job = client.query(f"SELECT day, n FROM {events}", job_config=bigquery.QueryJobConfig(dry_run=True))
    assert (job.state, job.statement_type) == ("DONE", "SELECT")
    assert [t.table_id for t in job.referenced_tables] == ["events"]
    assert [(f.name, f.field_type) for f in job.schema] == [("day", "DATE"), ("n", "INTEGER")]


def test_a_query_over_its_bytes_limit_does_not_run(events: str, client: bigquery.Client) -> None:
    """Ten mebibytes are the least that a query is billed; a lower limit refuses it with the service's reason."""
    config = bigquery.QueryJobConfig(maximum_bytes_billed=10 * 1024 * 1024 - 1, use_query_cache=False)
    with pytest.raises(GoogleAPICallError) as refused:
        client.query(f"SELECT n FROM {events}", job_config=config, job_retry=None).result(retry=None)
    assert refused.value.errors[0]["reason"] == "bytesBilledLimitExceeded"
    assert "10485760 or higher required" in refused.value.errors[0]["message"]


def test_a_query_at_its_bytes_limit_runs_and_is_billed(events: str, client: bigquery.Client) -> None:
    """The limit is inclusive, and the job says what it was billed."""
    config = bigquery.QueryJobConfig(maximum_bytes_billed=10 * 1024 * 1024, use_query_cache=False)
    job = client.query(f"SELECT n FROM {events}", job_config=config)
    assert len(list(job.result())) == 12
    assert (job.total_bytes_processed, job.total_bytes_billed) == (96, 10485760)


def test_the_same_query_over_unchanged_tables_is_free(events: str, client: bigquery.Client) -> None:
    """The cache answers identical text, and forgets when the table changes."""
    sql = f"SELECT SUM(n) AS total FROM {events}"
    client.query(sql).result()
    again = client.query(sql)
    assert [r.total for r in again.result()] == [12]
    assert (again.cache_hit, again.total_bytes_billed) == (True, 0)
    client.ask(f"INSERT INTO {events} (day, n) VALUES (DATE '2024-01-16', 5)")
    changed = client.query(sql)
    assert [r.total for r in changed.result()] == [17]
    assert not changed.cache_hit


@pytest.mark.parametrize("expression", ["RAND()", "CURRENT_DATE()", "CURRENT_TIMESTAMP()", "GENERATE_UUID()"])
def test_what_changes_by_itself_is_never_cached(expression: str, client: bigquery.Client) -> None:
    """A function of the moment makes a query uncacheable."""
    sql = f"SELECT {expression} AS x"
    client.query(sql).result()
    again = client.query(sql)
    again.result()
    assert not again.cache_hit


def test_the_cache_can_be_refused(client: bigquery.Client) -> None:
    """useQueryCache=false runs the query again."""
    client.query("SELECT 41 + 1").result()
    job = client.query("SELECT 41 + 1", job_config=bigquery.QueryJobConfig(use_query_cache=False))
    job.result()
    assert not job.cache_hit


def test_a_table_can_require_a_partition_filter(client: bigquery.Client, dataset: str) -> None:
    """Without a usable condition on the partition column the query is refused, with one it runs."""
    client.ask(
        f"CREATE TABLE {dataset}.big (day DATE, n INT64) PARTITION BY day OPTIONS(require_partition_filter=true)"
    )
    for sql in (f"SELECT n FROM {dataset}.big", f"SELECT n FROM {dataset}.big WHERE n > 1"):
        with pytest.raises(BadRequest, match=r"without a filter over column\(s\) 'day'"):
            client.ask(sql)
    assert list(client.ask(f"SELECT n FROM {dataset}.big WHERE day > '2024-01-01'")) == []


def test_range_partitions_prune(client: bigquery.Client, dataset: str) -> None:
    """Integer ranges are partitions too."""
    client.ask(
        f"CREATE TABLE {dataset}.r (k INT64) PARTITION BY RANGE_BUCKET(k, GENERATE_ARRAY(0, 100, 10)) AS "
        "SELECT k FROM UNNEST(GENERATE_ARRAY(0, 99)) AS k"
    )
    assert _bytes(client, f"SELECT k FROM {dataset}.r WHERE k < 10") == 80
    assert _bytes(client, f"SELECT k FROM {dataset}.r WHERE k = 35") == 80


def test_metadata_queries_cost_ten_mebibytes(client: bigquery.Client, dataset: str) -> None:
    """INFORMATION_SCHEMA is billed at the minimum."""
    assert _bytes(client, f"SELECT table_name FROM {dataset}.INFORMATION_SCHEMA.TABLES") == 10485760


def test_a_view_that_changed_is_not_answered_from_the_cache(client: bigquery.Client, dataset: str) -> None:
    """The same text over the same tables means something else when the view between them is another."""
    client.ask(f"CREATE TABLE {dataset}.t AS SELECT 1 AS x UNION ALL SELECT 2")
    for bound, wanted in ((1, [2]), (0, [1, 2])):
        client.ask(f"CREATE OR REPLACE VIEW {dataset}.v AS SELECT x FROM {dataset}.t WHERE x > {bound}")
        assert [r.x for r in client.ask(f"SELECT x FROM {dataset}.v ORDER BY x")] == wanted


def test_an_array_that_is_only_counted_is_read(client: bigquery.Client, cases: str) -> None:
    """The length of an array costs its elements; those of a struct's field cost that field alone."""
    assert _bytes(client, f"SELECT (SELECT COUNT(*) FROM UNNEST(tags)) FROM {cases}.sales") == 4 * 3
    assert _bytes(client, f"SELECT (SELECT MAX(i.units) FROM UNNEST(items) AS i) FROM {cases}.sales") == 4 * 8
