"""Data sets, tables, views and their content through the REST surface of the real client."""

import os

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound, PreconditionFailed
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


def test_a_table_is_created_once_and_deleted_once(client: bigquery.Client, dataset: str) -> None:
    """The second create is a conflict, the second delete not found."""
    _table(client, dataset)
    with pytest.raises(Conflict):
        _table(client, dataset)
    client.delete_table(f"{dataset}.t")
    with pytest.raises(NotFound):
        client.delete_table(f"{dataset}.t")
    with pytest.raises(NotFound):
        client.get_table(f"{dataset}.t")


def test_a_table_changes_by_patch(client: bigquery.Client, dataset: str) -> None:
    """Descriptions and labels change, columns are added and described; a removed column is refused."""
    table = _table(client, dataset)
    table.description, table.labels = "other things", {"a": "b"}
    table.schema = [*table.schema, FIELD("extra", "FLOAT64", description="new")]
    client.update_table(table, ["description", "labels", "schema"])
    found = client.get_table(f"{dataset}.t")
    assert (found.description, found.labels, found.schema[-1].name) == ("other things", {"a": "b"}, "extra")
    found.schema = found.schema[1:]
    with pytest.raises(BadRequest, match="missing in new schema"):
        client.update_table(found, ["schema"])


def test_a_stale_etag_changes_nothing(client: bigquery.Client, dataset: str) -> None:
    """An update with the etag of an older state is refused."""
    stale, fresh = _table(client, dataset), client.get_table(f"{dataset}.t")
    fresh.description = "first"
    client.update_table(fresh, ["description"])
    stale.description = "second"
    with pytest.raises(PreconditionFailed):
        client.update_table(stale, ["description"])
    assert client.get_table(f"{dataset}.t").description == "first"


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
        client.query_and_wait(f"CREATE TABLE {dataset}.t{index} (x INT64)")
    pages = [[t.table_id for t in page] for page in client.list_tables(dataset, page_size=2).pages]
    assert pages == [["t0", "t1"], ["t2", "t3"], ["t4"]]


def test_rows_are_listed_with_selected_columns(client: bigquery.Client, dataset: str) -> None:
    """tabledata.list pages and narrows."""
    client.query_and_wait(
        f"CREATE TABLE {dataset}.t AS SELECT x, x * 2 AS y FROM UNNEST(GENERATE_ARRAY(1, 5)) AS x"
    )
    table = client.get_table(f"{dataset}.t")
    listed = client.list_rows(table, selected_fields=[table.schema[1]], page_size=2, max_results=3)
    assert [tuple(r.values()) for r in listed] == [(2,), (4,), (6,)]


def test_streamed_rows_arrive_or_are_refused_by_name(client: bigquery.Client, dataset: str) -> None:
    """insertAll checks fields and required ones, and stores nested values."""
    _table(client, dataset)
    row = {"id": 1, "day": "2024-01-01", "tags": ["a"], "address": {"city": "Rome"}}
    assert client.insert_rows_json(f"{dataset}.t", [row]) == []
    wrong = client.insert_rows_json(f"{dataset}.t", [{"id": 2, "nope": 1}, {"day": "2024-01-01"}])
    assert [(e["index"], e["errors"][0]["location"]) for e in wrong] == [(0, "nope"), (1, "id")]
    found = client.query_and_wait(f"SELECT id, tags, address.city AS city FROM {dataset}.t")
    assert [tuple(r.values()) for r in found] == [(1, ["a"], "Rome")]


def test_a_view_is_its_query(client: bigquery.Client, dataset: str) -> None:
    """A view has the columns of its query, follows the table and can't be written to."""
    client.query_and_wait(f"CREATE TABLE {dataset}.t AS SELECT 1 AS x")
    view = bigquery.Table(f"bridge-local.{dataset}.v")
    view.view_query = f"SELECT x, x * 1.5 AS y FROM `bridge-local.{dataset}.t`"
    client.create_table(view)
    found = client.get_table(f"{dataset}.v")
    assert (found.table_type, [(f.name, f.field_type) for f in found.schema]) == (
        "VIEW",
        [("x", "INTEGER"), ("y", "FLOAT")],
    )
    client.query_and_wait(f"INSERT INTO {dataset}.t VALUES (2)")
    assert sorted(r.y for r in client.query_and_wait(f"SELECT y FROM {dataset}.v")) == [1.5, 3.0]
    broken = bigquery.Table(f"bridge-local.{dataset}.w")
    broken.view_query = "SELECT nope FROM UNNEST([1]) AS x"
    with pytest.raises(BadRequest, match="Unrecognized name: nope"):
        client.create_table(broken)


def test_statements_change_tables(client: bigquery.Client, dataset: str) -> None:
    """CREATE … AS, INSERT, UPDATE, DELETE, TRUNCATE, ALTER and DROP do what they say and count rows."""
    run = client.query_and_wait
    run(
        f"CREATE TABLE {dataset}.t (id INT64 OPTIONS(description='key'), name STRING) OPTIONS(description='d', labels=[('a','b')])"
    )
    table = client.get_table(f"{dataset}.t")
    assert (table.description, table.labels, table.schema[0].description) == ("d", {"a": "b"}, "key")
    job = client.query(f"INSERT INTO {dataset}.t (id, name) VALUES (1, 'a'), (2, 'b'), (3, NULL)")
    job.result()
    assert job.num_dml_affected_rows == 3
    job = client.query(f"UPDATE {dataset}.t SET name = CONCAT(name, '!') WHERE id <= 2")
    job.result()
    assert job.num_dml_affected_rows == 2
    job = client.query(f"DELETE FROM {dataset}.t WHERE name IS NULL")
    job.result()
    assert job.num_dml_affected_rows == 1
    run(f"ALTER TABLE {dataset}.t ADD COLUMN size FLOAT64")
    assert [tuple(r.values()) for r in run(f"SELECT * FROM {dataset}.t ORDER BY id")] == [
        (1, "a!", None),
        (2, "b!", None),
    ]
    run(f"CREATE OR REPLACE TABLE {dataset}.t PARTITION BY day AS SELECT DATE '2024-01-01' AS day")
    assert client.get_table(f"{dataset}.t").time_partitioning.field == "day"
    run(f"TRUNCATE TABLE {dataset}.t")
    assert client.get_table(f"{dataset}.t").num_rows == 0
    run(f"DROP TABLE {dataset}.t")
    run(f"DROP TABLE IF EXISTS {dataset}.t")
    with pytest.raises(NotFound):
        client.get_table(f"{dataset}.t")


def test_a_query_writes_into_the_table_that_it_names(client: bigquery.Client, dataset: str) -> None:
    """A destination is filled, appended to, replaced, or protected when it must be empty."""
    target = f"bridge-local.{dataset}.out"

    def write(disposition: str) -> None:
        config = bigquery.QueryJobConfig(destination=target, write_disposition=disposition)
        client.query("SELECT 1 AS x", job_config=config, job_retry=None).result()

    write("WRITE_EMPTY")
    write("WRITE_APPEND")
    assert client.get_table(target).num_rows == 2
    with pytest.raises(Conflict):
        write("WRITE_EMPTY")
    write("WRITE_TRUNCATE")
    assert client.get_table(target).num_rows == 1
