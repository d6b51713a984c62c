"""Load jobs: CSV, newline-delimited JSON and Parquet, multipart and resumable."""

import io
from pathlib import Path

import duckdb
import pytest
from google.api_core.exceptions import BadRequest, Conflict
from google.cloud import bigquery

FIELD = bigquery.SchemaField


def _csv(client: bigquery.Client, table: str, text: str, **options: object) -> bigquery.LoadJob:
    config = bigquery.LoadJobConfig(source_format="CSV", **options)
    job = client.load_table_from_file(io.BytesIO(text.encode()), table, job_config=config)
    job.result()
    return job


def _rows(client: bigquery.Client, table: str) -> list[tuple[object, ...]]:
    return [tuple(r.values()) for r in client.query_and_wait(f"SELECT * FROM {table} ORDER BY 1")]


def test_csv_loads_with_a_schema(client: bigquery.Client, dataset: str) -> None:
    """Header lines are skipped, an empty number is NULL, an empty text is empty, quotes and line breaks stay."""
    schema = [FIELD("id", "INT64"), FIELD("name", "STRING"), FIELD("x", "FLOAT64"), FIELD("b", "BOOL")]
    job = _csv(
        client,
        f"{dataset}.t",
        'id,name,x,b\n1,"a,""b""",1.5,true\n2,,,\n',
        schema=schema,
        skip_leading_rows=1,
    )
    assert job.output_rows == 2
    assert _rows(client, f"{dataset}.t") == [(1, 'a,"b"', 1.5, True), (2, "", None, None)]


def test_csv_loads_with_detected_types(client: bigquery.Client, dataset: str) -> None:
    """autodetect finds names and types."""
    _csv(client, f"{dataset}.t", "id,day,at,word\n1,2024-01-02,2024-01-02 10:00:00,x\n", autodetect=True)
    found = client.get_table(f"{dataset}.t")
    assert [(f.name, f.field_type) for f in found.schema] == [
        ("id", "INTEGER"), ("day", "DATE"), ("at", "TIMESTAMP"), ("word", "STRING"),
    ]  # fmt: skip


def test_other_delimiters_and_null_markers(client: bigquery.Client, dataset: str) -> None:
    """The options of the job decide how a file is read."""
    schema = [FIELD("a", "STRING"), FIELD("b", "INT64")]
    _csv(client, f"{dataset}.t", "x|NA\nNA|2\n", schema=schema, field_delimiter="|", null_marker="NA")
    assert sorted(_rows(client, f"{dataset}.t"), key=str) == [("x", None), (None, 2)]


def test_a_bad_row_loads_nothing(client: bigquery.Client, dataset: str) -> None:
    """All rows or none: the error says what could not be read."""
    schema = [FIELD("id", "INT64")]
    _csv(client, f"{dataset}.t", "1\n", schema=schema)
    with pytest.raises(BadRequest, match="Error while reading data"):
        _csv(client, f"{dataset}.t", "2\nx\n", schema=schema)
    assert _rows(client, f"{dataset}.t") == [(1,)]


def test_json_loads_nested_rows(client: bigquery.Client, dataset: str) -> None:
    """Records, arrays, dates and bytes arrive as their types; an unknown field is refused."""
    schema = [
        FIELD("id", "INT64"), FIELD("at", "TIMESTAMP"), FIELD("raw", "BYTES"),
        FIELD("items", "RECORD", mode="REPEATED", fields=[FIELD("sku", "STRING"), FIELD("units", "INT64")]),
    ]  # fmt: skip
    rows = [
        {"id": 1, "at": "2024-01-01T10:00:00Z", "raw": "aGk=", "items": [{"sku": "a", "units": 2}]},
        {"id": 2},
    ]
    config = bigquery.LoadJobConfig(schema=schema)
    client.load_table_from_json(rows, f"{dataset}.t", job_config=config).result()
    found = _rows(client, f"{dataset}.t")
    assert found[0][2:] == (b"hi", [{"sku": "a", "units": 2}])
    assert found[1] == (2, None, None, [])
    with pytest.raises(BadRequest, match="No such field: nope"):
        client.load_table_from_json([{"nope": 1}], f"{dataset}.t", job_config=config).result()


def test_parquet_brings_its_own_schema(client: bigquery.Client, dataset: str, tmp_path: Path) -> None:
    """Instants, local times and decimals keep their kind; the table is made by the load."""
    path = tmp_path / "x.parquet"
    with duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT 1::BIGINT AS id, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS at, TIMESTAMP '2024-01-01' AS local_at, "
            f"1.5::DECIMAL(38,9) AS n, ['a'] AS tags) TO '{path}' (FORMAT parquet)"
        )
    config = bigquery.LoadJobConfig(source_format="PARQUET")
    with path.open("rb") as file:
        client.load_table_from_file(file, f"{dataset}.t", job_config=config).result()
    found = client.get_table(f"{dataset}.t")
    assert [(f.name, f.field_type, f.mode) for f in found.schema] == [
        ("id", "INTEGER", "NULLABLE"), ("at", "TIMESTAMP", "NULLABLE"), ("local_at", "DATETIME", "NULLABLE"),
        ("n", "NUMERIC", "NULLABLE"), ("tags", "STRING", "REPEATED"),
    ]  # fmt: skip
    assert found.num_rows == 1


def test_a_large_file_goes_up_in_chunks(client: bigquery.Client, dataset: str) -> None:
    """A resumable upload of several chunks loads every row once."""
    text = "\n".join(f"{i},{'x' * 50}" for i in range(20_000))
    config = bigquery.LoadJobConfig(schema=[FIELD("id", "INT64"), FIELD("t", "STRING")], source_format="CSV")
    stream = io.BytesIO(text.encode())
    response = client._do_resumable_upload(
        stream, {"configuration": {"load": config.to_api_repr()["load"] | {"destinationTable": {"projectId": "bridge-local", "datasetId": dataset, "tableId": "t"}}}},
        num_retries=0, timeout=None, project="bridge-local",
    )  # fmt: skip
    assert len(text) > 1024 * 1024
    client.job_from_resource(response.json()).result()
    (row,) = client.query_and_wait(f"SELECT COUNT(DISTINCT id) AS n, SUM(id) AS s FROM {dataset}.t")
    assert (row.n, row.s) == (20_000, 199_990_000)


def test_dispositions_append_replace_or_protect(client: bigquery.Client, dataset: str) -> None:
    """WRITE_APPEND adds, WRITE_TRUNCATE replaces, WRITE_EMPTY refuses a table with rows."""
    schema = [FIELD("id", "INT64")]
    _csv(client, f"{dataset}.t", "1\n", schema=schema)
    _csv(client, f"{dataset}.t", "2\n", schema=schema, write_disposition="WRITE_APPEND")
    assert _rows(client, f"{dataset}.t") == [(1,), (2,)]
    with pytest.raises(Conflict):
        _csv(client, f"{dataset}.t", "3\n", schema=schema, write_disposition="WRITE_EMPTY")
    _csv(client, f"{dataset}.t", "4\n", schema=schema, write_disposition="WRITE_TRUNCATE")
    assert _rows(client, f"{dataset}.t") == [(4,)]
    with pytest.raises(BadRequest, match="does not match Table"):
        _csv(client, f"{dataset}.t", "x\n", schema=[FIELD("id", "STRING")], write_disposition="WRITE_APPEND")


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        (b"12.5\n", "INT64", "Bad int64 value: 12.5"),
        (b"2024/01/01\n", "DATE", "Invalid date: '2024/01/01'"),
        (b'{"v": 1.5}\n', "INT64", "Bad int64 value: 1.5"),
        (b'{"v": "maybe"}\n', "BOOL", "Bad bool value: maybe"),
        (b'{"s": {"x": 1, "y": 2}}\n', "RECORD", "No such field: s.y"),
        (b'{"r": [1, null]}\n', "REPEATED", "Array cannot have a null element"),
    ],
)
def test_a_value_of_a_file_that_does_not_fit_is_refused(
    line: bytes, kind: str, reason: str, client: bigquery.Client, dataset: str
) -> None:
    """Nothing is rounded, guessed or left out, at no depth."""
    fields = {
        "RECORD": bigquery.SchemaField("s", "RECORD", fields=[bigquery.SchemaField("x", "INT64")]),
        "REPEATED": bigquery.SchemaField("r", "INT64", mode="REPEATED"),
    }
    config = bigquery.LoadJobConfig(
        schema=[fields.get(kind) or bigquery.SchemaField("v", kind)],
        source_format="CSV" if not line.startswith(b"{") else "NEWLINE_DELIMITED_JSON",
    )
    with pytest.raises(BadRequest, match=reason):
        client.load_table_from_file(io.BytesIO(line), f"{dataset}.t", job_config=config).result(retry=None)
