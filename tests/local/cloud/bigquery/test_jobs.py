"""Jobs: ids, waiting, stopping, paging, locations, labels, restarts."""

import contextlib
import io
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound
from google.cloud import bigquery

HEAVY = (
    "SELECT COUNT(*) AS n FROM UNNEST(GENERATE_ARRAY(1, 60000)) AS a, UNNEST(GENERATE_ARRAY(1, 60000)) AS b "
    "WHERE MOD(a * b, 7) = 3"
)


def test_a_job_id_is_accepted_once(client: bigquery.Client) -> None:
    """A second submission with the same id is a conflict, and the first job answers under its id."""
    name = f"job-{os.urandom(4).hex()}"
    client.query("SELECT 1 AS x", job_id=name, job_retry=None).result()
    with pytest.raises(Conflict):
        client._call_api(
            None,
            path="/projects/bridge-local/jobs",
            method="POST",
            data={
                "jobReference": {"jobId": name},
                "configuration": {"query": {"query": "SELECT 2", "useLegacySql": False}},
            },
        )
    assert [r.x for r in client.get_job(name).result()] == [1]


def test_one_of_many_racing_submissions_wins(client: bigquery.Client) -> None:
    """Idempotency holds when the same id arrives at once."""
    name = f"race-{os.urandom(4).hex()}"
    body = {
        "jobReference": {"jobId": name},
        "configuration": {"query": {"query": "SELECT 1", "useLegacySql": False}},
    }

    def submit(_index: int) -> str:
        try:
            client._call_api(None, path="/projects/bridge-local/jobs", method="POST", data=body)
        except Conflict:
            return "conflict"
        return "won"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(submit, range(8))) == ["conflict"] * 7 + ["won"]


def test_pages_hold_the_rows_in_order(client: bigquery.Client) -> None:
    """maxResults and the page token walk the whole result once."""
    result = client.query("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 100)) AS x ORDER BY x").result(page_size=30)
    pages = [[row.x for row in page] for page in result.pages]
    assert [len(page) for page in pages] == [30, 30, 30, 10]
    assert [x for page in pages for x in page] == list(range(1, 101))
    assert result.total_rows == 100


def test_a_heavy_query_does_not_hold_up_others_and_can_be_cancelled(client: bigquery.Client) -> None:
    """Another query answers while one runs, and cancelling ends it with the reason stopped."""
    job = client.query(HEAVY, job_config=bigquery.QueryJobConfig(use_query_cache=False), job_retry=None)
    assert next(iter(client.ask("SELECT 7 AS x"))).x == 7
    assert client.get_job(job.job_id).state == "RUNNING"
    job.cancel()
    with pytest.raises(GoogleAPICallError) as stopped:
        job.result(timeout=20, retry=None)
    assert stopped.value.errors[0]["reason"] == "stopped"


def test_a_job_stops_at_its_timeout(client: bigquery.Client) -> None:
    """jobTimeoutMs interrupts the query."""
    config = bigquery.QueryJobConfig(job_timeout_ms=300, use_query_cache=False)
    job = client.query(HEAVY, job_config=config, job_retry=None)
    with pytest.raises(GoogleAPICallError) as stopped:
        job.result(timeout=20, retry=None)
    assert stopped.value.errors[0]["reason"] == "stopped"
    assert "timed out" in stopped.value.errors[0]["message"]


def test_labels_and_text_stay_with_the_job(client: bigquery.Client) -> None:
    """What the caller said about the job can be read back."""
    job = client.query("SELECT 1", job_config=bigquery.QueryJobConfig(labels={"team": "demo"}))
    job.result()
    found = client.get_job(job.job_id)
    assert (found.labels, found.query, found.state) == ({"team": "demo"}, "SELECT 1", "DONE")


def test_a_job_runs_only_where_its_data_set_is(client: bigquery.Client) -> None:
    """A data set of another location is not found, as in the service."""
    name = f"eu_{os.urandom(4).hex()}"
    eu = bigquery.Dataset(f"bridge-local.{name}")
    eu.location = "EU"
    client.create_dataset(eu)
    client.ask(f"CREATE TABLE {name}.t AS SELECT 1 AS x")
    assert next(iter(client.ask(f"SELECT x FROM {name}.t"))).x == 1
    with pytest.raises(NotFound, match="was not found in location US"):
        client.query(f"SELECT x FROM {name}.t", location="US", job_retry=None).result()
    job = client.query(f"SELECT x FROM {name}.t", location="EU")
    job.result()
    assert job.location == "EU"
    with pytest.raises(NotFound):
        client.get_job(job.job_id, location="US")
    schemata = "SELECT schema_name FROM `region-{}`.INFORMATION_SCHEMA.SCHEMATA"
    assert name in {r.schema_name for r in client.ask(schemata.format("eu"))}
    assert name not in {r.schema_name for r in client.ask(schemata.format("us"))}
    client.delete_dataset(name, delete_contents=True)


def test_typed_parameters_reach_the_query(client: bigquery.Client) -> None:
    """Scalars, NULL, arrays and structs, by name and by position, keep their types."""
    scalar, array = bigquery.ScalarQueryParameter, bigquery.ArrayQueryParameter
    config = bigquery.QueryJobConfig(
        query_parameters=[
            scalar("i", "INT64", -5), scalar("s", "STRING", "it's; DROP TABLE x --"), scalar("d", "DATE", "2024-02-29"),
            scalar("f", "FLOAT64", 1.5), scalar("b", "BOOL", False), scalar("n", "STRING", None),
            array("a", "INT64", [1, 2]), array("e", "STRING", []),
            bigquery.StructQueryParameter("r", scalar("x", "INT64", 7)),
        ]
    )  # fmt: skip
    sql = "SELECT @i, @s, @d, @f, @b, @n, @a, ARRAY_LENGTH(@e), @r.x, 2 IN UNNEST(@a)"
    (row,) = client.ask(sql, job_config=config)
    values = [v.isoformat() if hasattr(v, "isoformat") else v for v in row.values()]
    assert values == [-5, "it's; DROP TABLE x --", "2024-02-29", 1.5, False, None, [1, 2], 0, 7, True]
    positional = bigquery.QueryJobConfig(
        query_parameters=[scalar(None, "INT64", 2), scalar(None, "STRING", "x")]
    )
    (row,) = client.ask("SELECT ? + 1, ?", job_config=positional)
    assert row.values() == (3, "x")


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(own_server, tmp_path: Path) -> None:
    """After SIGKILL tables, rows, sizes, descriptions and finished jobs are as they were."""
    client = own_server.client()
    client.create_dataset("d")
    table = bigquery.Table("bridge-local.d.t", [bigquery.SchemaField("x", "INT64", description="an x")])
    client.create_table(table)
    for index in range(20):
        client.ask(f"INSERT INTO d.t VALUES ({index})")
    path = tmp_path / "more.parquet"
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT 100 AS x) TO '{path}' (FORMAT parquet)")
    config = bigquery.LoadJobConfig(source_format="PARQUET")
    client.load_table_from_file(io.BytesIO(path.read_bytes()), "d.more", job_config=config).result()
    job = client.query("SELECT SUM(x) AS s FROM (SELECT x FROM d.t UNION ALL SELECT x FROM d.more)")
    assert [r.s for r in job.result()] == [290]
    own_server.stop(signal.SIGKILL)
    own_server.start()
    client = own_server.client()
    found = client.get_table("d.t")
    assert (found.num_rows, found.num_bytes, found.schema[0].description) == (20, 160, "an x")
    again = client.get_job(job.job_id)
    assert (again.state, [r.s for r in again.result()]) == ("DONE", [290])


@pytest.mark.slow
def test_a_write_that_was_promised_is_applied_once_across_a_kill(own_server) -> None:
    """A statement accepted and then cut off by SIGKILL is finished at the next start, never twice."""
    client = own_server.client()
    client.create_dataset("d")
    client.ask("CREATE TABLE d.t (x INT64)")
    jobs = [
        client.query(f"INSERT INTO d.t VALUES ({i})", job_id=f"write-{i}", job_retry=None) for i in range(10)
    ]
    for i in range(5):
        jobs.append(
            client.query(f"CREATE TABLE d.c{i} AS SELECT {i} AS x", job_id=f"make-{i}", job_retry=None)
        )
    own_server.stop(signal.SIGKILL)
    own_server.start()
    client = own_server.client()
    for job in jobs:
        client.get_job(job.job_id).result()
    assert [r.x for r in client.ask("SELECT x FROM d.t ORDER BY x")] == list(range(10))
    assert [t.table_id for t in client.list_tables("d")] == ["c0", "c1", "c2", "c3", "c4", "t"]


def test_a_text_parameter_is_a_date_where_one_is_wanted(client: bigquery.Client, cases: str) -> None:
    """Parameters coerce as literals do; a text is still no number."""
    given = [bigquery.ScalarQueryParameter("day", "STRING", "2024-01-02")]
    config = bigquery.QueryJobConfig(query_parameters=given)
    found = client.ask(f"SELECT id FROM {cases}.sales WHERE day = @day", job_config=config)
    assert [r.id for r in found] == [2]
    with pytest.raises(GoogleAPICallError, match="No matching signature for operator ="):
        client.query(
            f"SELECT id FROM {cases}.sales WHERE id = @day", job_config=config, job_retry=None
        ).result()


def _forget(server, name: str) -> None:
    """What a day does: the job is no longer answered."""
    assert server.stop() == 0
    with contextlib.closing(sqlite3.connect(server.data / "directory.sqlite")) as directory, directory:
        assert directory.execute("UPDATE jobs SET created = 0 WHERE job = ?", (name,)).rowcount == 1
    server.start()


def test_the_id_of_an_applied_job_is_taken_also_when_the_job_is_forgotten(own_server) -> None:
    """A write is never repeated under its id, and never skipped without a word."""
    client, dataset = own_server.client(), "d"
    client.create_dataset(dataset)
    client.ask(f"CREATE TABLE {dataset}.t (n INT64)")
    name = f"write-{os.urandom(4).hex()}"
    insert = f"INSERT INTO {dataset}.t (n) VALUES (1)"
    client.query(insert, job_id=name, job_retry=None).result()
    _forget(own_server, name)
    body = {
        "jobReference": {"jobId": name},
        "configuration": {"query": {"query": insert, "useLegacySql": False}},
    }
    with pytest.raises(Conflict, match="Already Exists: Job"):
        client._call_api(None, path="/projects/bridge-local/jobs", method="POST", data=body)
    assert [r.n for r in client.ask(f"SELECT n FROM {dataset}.t")] == [1]


def test_an_option_that_is_not_followed_is_refused(client: bigquery.Client, dataset: str) -> None:
    """What would change the answer and isn't known here ends the job with its name."""
    body = {"configuration": {"query": {"query": "SELECT 1", "useLegacySql": False, "createSession": True}}}
    with pytest.raises(GoogleAPICallError, match="the query option createSession"):
        client._call_api(None, path="/projects/bridge-local/jobs", method="POST", data=body)
