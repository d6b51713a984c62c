"""Data sets, tables, views and their content through the REST surface of the real client."""

import os
from collections.abc import Callable

import pytest
from google.api_core.exceptions import BadRequest, Conflict, MethodNotImplemented, NotFound
from google.cloud import bigquery

FIELD = bigquery.SchemaField


def _table(client: bigquery.Client, dataset: str, name: str = "t") -> bigquery.Table:
    table = bigquery.Table(
        f"bridge-local.{dataset}.{name}",
        [
            FIELD("id", "INT64", mode="REQUIRED", description="the key"),
            FIELD("day", "DATE"),
            FIELD("tags", "STRING", mode="REPEATED"),
            FIELD("address", "RECORD", fields=[FIELD("city", "STRING", description="a city")]),
        ],
    )
    table.description = "things"
    table.time_partitioning = bigquery.TimePartitioning(field="day", type_="MONTH")
    table.clustering_fields = ["id"]
    return client.create_table(table)


def test_a_table_keeps_what_it_was_created_with(client: bigquery.Client, dataset: str) -> None:
    """Schema, descriptions, partitioning, clustering and mode come back as given."""
    _table(client, dataset)
    found = client.get_table(f"{dataset}.t")
    assert (found.description, found.num_rows, found.num_bytes, found.table_type) == ("things", 0, 0, "TABLE")
    assert (found.time_partitioning.field, found.time_partitioning.type_) == ("day", "MONTH")
    assert found.clustering_fields == ["id"]
    assert [(f.name, f.field_type, f.mode, f.description) for f in found.schema] == [
        ("id", "INTEGER", "REQUIRED", "the key"),
        ("day", "DATE", "NULLABLE", None),
        ("tags", "STRING", "REPEATED", None),
        ("address", "RECORD", "NULLABLE", None),
    ]
    assert found.schema[3].fields[0].description == "a city"


def test_a_table_is_created_once_and_dropped_once(client: bigquery.Client, dataset: str) -> None:
    """The second create is a conflict, the second drop not found unless it says IF EXISTS."""
    _table(client, dataset)
    with pytest.raises(Conflict):
        _table(client, dataset)
    client.ask(f"DROP TABLE {dataset}.t")
    with pytest.raises(NotFound):
        client.ask(f"DROP TABLE {dataset}.t")
    client.ask(f"DROP TABLE IF EXISTS {dataset}.t")
    with pytest.raises(NotFound):
        client.get_table(f"{dataset}.t")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([{"name": "a", "type": "NOPE"}], "Invalid type"),
        ([{"name": "a", "type": "STRING"}, {"name": "A", "type": "STRING"}], "Duplicate field name"),
        ([{"name": "1 a", "type": "STRING"}], "Invalid field name"),
        ([{"name": "a", "type": "RECORD"}], "has no schema"),
        ([{"name": "a", "type": "GEOGRAPHY"}], "not supported by the local BigQuery server"),
    ],
)
def test_a_bad_schema_is_refused(fields: list, message: str, client: bigquery.Client, dataset: str) -> None:
    """Nothing is created and the message names the field."""
    body = {
        "tableReference": {"projectId": "bridge-local", "datasetId": dataset, "tableId": "bad"},
        "schema": {"fields": fields},
    }
    with pytest.raises(BadRequest, match=message):
        client._call_api(
            None, path=f"/projects/bridge-local/datasets/{dataset}/tables", method="POST", data=body
        )
    assert list(client.list_tables(dataset)) == []


def test_data_sets_are_listed_described_and_protected(client: bigquery.Client) -> None:
    """A data set keeps description, labels and location; a full one isn't deleted by accident."""
    name = f"d_{os.urandom(4).hex()}"
    made = bigquery.Dataset(f"bridge-local.{name}")
    made.description, made.labels, made.location = "about", {"k": "v"}, "EU"
    client.create_dataset(made)
    with pytest.raises(Conflict):
        client.create_dataset(made)
    found = client.get_dataset(name)
    assert (found.description, found.labels, found.location) == ("about", {"k": "v"}, "EU")
    assert name in {d.dataset_id for d in client.list_datasets()}
    _table(client, name)
    with pytest.raises(BadRequest, match="still in use"):
        client.delete_dataset(name)
    client.delete_dataset(name, delete_contents=True)
    with pytest.raises(NotFound):
        client.get_dataset(name)


def test_lists_are_paged(client: bigquery.Client, dataset: str) -> None:
    """Tables come in pages that cover all, once."""
    for index in range(5):
        client.ask(f"CREATE TABLE {dataset}.t{index} (x INT64)")
    pages = [[t.table_id for t in page] for page in client.list_tables(dataset, page_size=2).pages]
    assert pages == [["t0", "t1"], ["t2", "t3"], ["t4"]]


def test_a_view_is_its_query(client: bigquery.Client, dataset: str) -> None:
    """A view has the columns of its query, follows the table and can't be written to."""
    client.ask(f"CREATE TABLE {dataset}.t AS SELECT 1 AS x")
    client.ask(f"CREATE VIEW {dataset}.v AS SELECT x, x * 1.5 AS y FROM {dataset}.t")
    found = client.get_table(f"{dataset}.v")
    assert (found.table_type, [(f.name, f.field_type) for f in found.schema]) == (
        "VIEW",
        [("x", "INTEGER"), ("y", "FLOAT")],
    )
    client.ask(f"INSERT INTO {dataset}.t VALUES (2)")
    assert sorted(r.y for r in client.ask(f"SELECT y FROM {dataset}.v")) == [1.5, 3.0]
    with pytest.raises(BadRequest, match="is a view"):
        client.ask(f"INSERT INTO {dataset}.v (x) VALUES (1)")
    with pytest.raises(BadRequest, match="Unrecognized name: nope"):
        client.ask(f"CREATE VIEW {dataset}.w AS SELECT nope FROM UNNEST([1]) AS x")


def test_statements_make_fill_and_drop_tables(client: bigquery.Client, dataset: str) -> None:
    """CREATE … AS, INSERT and DROP do what they say and count rows."""
    client.ask(
        f"CREATE TABLE {dataset}.t (id INT64 OPTIONS(description='key'), name STRING) "
        "OPTIONS(description='d', labels=[('a','b')])"
    )
    table = client.get_table(f"{dataset}.t")
    assert (table.description, table.labels, table.schema[0].description) == ("d", {"a": "b"}, "key")
    job = client.query(f"INSERT INTO {dataset}.t (id, name) VALUES (1, 'a'), (2, DEFAULT), (3, NULL)")
    job.result()
    assert job.num_dml_affected_rows == 3
    client.ask(f"INSERT INTO {dataset}.t SELECT id + 3, 'z' FROM {dataset}.t WHERE id > 1")
    assert [tuple(r.values()) for r in client.ask(f"SELECT * FROM {dataset}.t ORDER BY id")] == [
        (1, "a"),
        (2, None),
        (3, None),
        (5, "z"),
        (6, "z"),
    ]
    client.ask(f"CREATE OR REPLACE TABLE {dataset}.t PARTITION BY day AS SELECT DATE '2024-01-01' AS day")
    assert client.get_table(f"{dataset}.t").time_partitioning.field == "day"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("(nope) VALUES (1)", "Column nope is not present"),
        ("(n, n) VALUES (1, 2)", "named more than once"),
        ("(n) VALUES (1, 2)", "wrong column count; Has 2, expected 1"),
        ("(n) SELECT 1, 2", "wrong column count; Has 2, expected 1"),
        ("(n) VALUES ('x')", "Query column has type STRING"),
        ("(n) VALUES (1.5)", "Query column has type FLOAT"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    values: str, reason: str, client: bigquery.Client, dataset: str
) -> None:
    """The message names the column, and nothing is inserted."""
    client.ask(f"CREATE TABLE {dataset}.t (n INT64)")
    with pytest.raises(BadRequest, match=reason):
        client.ask(f"INSERT INTO {dataset}.t {values}")
    assert client.get_table(f"{dataset}.t").num_rows == 0


UNSUPPORTED = {
    "UPDATE": "UPDATE {d}.t SET n = 2 WHERE TRUE",
    "DELETE": "DELETE FROM {d}.t WHERE TRUE",
    "MERGE": "MERGE {d}.t USING {d}.t AS s ON FALSE WHEN NOT MATCHED THEN INSERT ROW",
    "TRUNCATETABLE": "TRUNCATE TABLE {d}.t",
    "ALTER": "ALTER TABLE {d}.t ADD COLUMN m INT64",
    "DROP SCHEMA": "DROP SCHEMA {d}",
    "user-defined functions": "CREATE FUNCTION {d}.f(x INT64) AS (x)",
}


@pytest.mark.parametrize("sql", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_a_statement_that_nobody_sends_is_refused_by_name(
    sql: str, client: bigquery.Client, dataset: str, request: pytest.FixtureRequest
) -> None:
    """In a dry run too, and nothing changes."""
    client.ask(f"CREATE TABLE {dataset}.t AS SELECT 1 AS n")
    named = f"not supported by the local BigQuery server: .*{request.node.callspec.id}"
    for config in (None, bigquery.QueryJobConfig(dry_run=True)):
        with pytest.raises(BadRequest, match=named):
            client.query(sql.replace("{d}", dataset), job_config=config, job_retry=None).result(retry=None)
    assert [tuple(row.values()) for row in client.ask(f"SELECT * FROM {dataset}.t")] == [(1,)]


CALLS = {
    "a query in one call": lambda client, d: client.query_and_wait("SELECT 1", retry=None, job_retry=None),
    "the projects": lambda client, d: list(client.list_projects(retry=None)),
    "the jobs": lambda client, d: list(client.list_jobs(retry=None)),
    "the rows of a table": lambda client, d: list(client.list_rows(f"{d}.t", retry=None)),
    "streamed rows": lambda client, d: client.insert_rows_json(f"{d}.t", [{"n": 1}], retry=None),
    "a table's removal": lambda client, d: client.delete_table(f"{d}.t", retry=None),
    "a data set's change": lambda client, d: client.update_dataset(
        client.get_dataset(d), ["labels"], retry=None
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_that_nobody_makes_is_refused_by_name(
    call: Callable[[bigquery.Client, str], object], client: bigquery.Client, dataset: str
) -> None:
    """501 with the method and the path, and nothing changes."""
    client.ask(f"CREATE TABLE {dataset}.t AS SELECT 1 AS n")
    with pytest.raises(MethodNotImplemented, match="not supported by the local BigQuery server"):
        call(client, dataset)
    assert client.get_table(f"{dataset}.t").num_rows == 1
