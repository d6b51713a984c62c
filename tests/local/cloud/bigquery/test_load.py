"""Load jobs: a Parquet file that is sent with the job."""

import io
from pathlib import Path

import duckdb
import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

FIELD = bigquery.SchemaField


def _rows(client: bigquery.Client, table: str) -> list[tuple[object, ...]]:
    return [tuple(r.values()) for r in client.ask(f"SELECT * FROM {table} ORDER BY 1")]


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


def _parquet(folder: Path, query: str) -> io.BytesIO:
    path = folder / "x.parquet"
    with duckdb.connect() as database:
        database.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return io.BytesIO(path.read_bytes())


def test_a_schema_decides_over_the_file(client: bigquery.Client, dataset: str, tmp_path: Path) -> None:
    """Types and order are the job's; a column that the file lacks is NULL; the table says what it was told."""
    schema = [FIELD("price", "NUMERIC"), FIELD("id", "INT64", description="the key"), FIELD("none", "STRING")]
    config = bigquery.LoadJobConfig(
        source_format="PARQUET",
        schema=schema,
        clustering_fields=["id"],
        destination_table_description="things",
    )
    file = _parquet(tmp_path, "SELECT 1::BIGINT AS id, 2::BIGINT AS price, 'x' AS other")
    client.load_table_from_file(file, f"{dataset}.t", job_config=config).result()
    assert _rows(client, f"{dataset}.t") == [(2, 1, None)]
    found = client.get_table(f"{dataset}.t")
    assert (found.description, found.clustering_fields, found.schema[1].description) == (
        "things",
        ["id"],
        "the key",
    )


def test_a_large_file_goes_up_in_chunks(client: bigquery.Client, dataset: str, tmp_path: Path) -> None:
    """A resumable upload of several chunks loads every row once."""
    file = _parquet(tmp_path, "SELECT range AS id, md5(range::VARCHAR) AS t FROM range(100000)")
    assert len(file.getvalue()) > 2 * 1024 * 1024
    config = bigquery.LoadJobConfig(source_format="PARQUET")
    client.load_table_from_file(file, f"{dataset}.t", job_config=config).result()
    (row,) = client.ask(f"SELECT COUNT(DISTINCT id) AS n, SUM(id) AS s FROM {dataset}.t")
    assert (row.n, row.s) == (100_000, 4_999_950_000)


def test_a_load_replaces_a_table_or_leaves_it(client: bigquery.Client, dataset: str, tmp_path: Path) -> None:
    """WRITE_TRUNCATE puts the file in the place of what was there; a file that can't be read changes nothing."""
    replacing = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")

    def load(file: io.BytesIO, config: bigquery.LoadJobConfig = replacing) -> None:
        client.load_table_from_file(file, f"{dataset}.t", job_config=config).result(retry=None)

    load(_parquet(tmp_path, "SELECT 1 AS id"))
    load(_parquet(tmp_path, "SELECT 2 AS id"))
    assert _rows(client, f"{dataset}.t") == [(2,)]
    with pytest.raises(BadRequest, match="Error while reading data"):
        load(io.BytesIO(b"no Parquet"))
    with pytest.raises(BadRequest, match="not supported by the local BigQuery server: a load into a table"):
        load(_parquet(tmp_path, "SELECT 3 AS id"), bigquery.LoadJobConfig(source_format="PARQUET"))
    assert _rows(client, f"{dataset}.t") == [(2,)]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"source_format": "CSV"}, "load jobs of format CSV"),
        ({"source_format": "NEWLINE_DELIMITED_JSON"}, "load jobs of format NEWLINE_DELIMITED_JSON"),
        ({"source_format": "PARQUET", "max_bad_records": 3}, "the load option maxBadRecords"),
        ({"source_format": "PARQUET", "autodetect": True}, "the load option autodetect"),
    ],
    ids=str,
)
def test_a_load_that_nobody_makes_is_refused_by_name(
    options: dict[str, object], named: str, client: bigquery.Client, dataset: str
) -> None:
    """And no table is made."""
    config = bigquery.LoadJobConfig(**options)
    with pytest.raises(BadRequest, match=f"not supported by the local BigQuery server: {named}"):
        client.load_table_from_file(io.BytesIO(b"1\n"), f"{dataset}.t", job_config=config).result(retry=None)
    assert list(client.list_tables(dataset)) == []
