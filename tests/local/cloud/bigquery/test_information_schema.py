"""INFORMATION_SCHEMA in the forms that a catalog scan uses."""

import os

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import bigquery


@pytest.fixture
def shop(client: bigquery.Client, dataset: str) -> str:
    run = client.ask
    run(
        f"CREATE TABLE {dataset}.orders (id INT64 NOT NULL OPTIONS(description='key'), day DATE, "
        "items ARRAY<STRUCT<sku STRING OPTIONS(description='article'), units INT64>>) PARTITION BY day CLUSTER BY id "
        "OPTIONS(description='All orders', require_partition_filter=true)"
    )
    run(
        f"INSERT INTO {dataset}.orders VALUES (1, DATE '2024-01-01', [STRUCT('a', 1)]), (2, DATE '2024-01-02', [])"
    )
    run(f"CREATE VIEW {dataset}.recent AS SELECT id FROM {dataset}.orders WHERE day > '2024-01-01'")
    return dataset


@pytest.mark.parametrize(
    "source",
    [
        "`bridge-local.{d}.INFORMATION_SCHEMA.TABLES`",
        "`bridge-local`.{d}.INFORMATION_SCHEMA.TABLES",
        "{d}.INFORMATION_SCHEMA.TABLES",
        "`region-us`.INFORMATION_SCHEMA.TABLES",
        "`bridge-local`.`region-us`.INFORMATION_SCHEMA.TABLES",
        "`bridge-local.region-us.INFORMATION_SCHEMA.TABLES`",
    ],
)
def test_tables_are_found_in_every_spelling(source: str, shop: str, client: bigquery.Client) -> None:
    """By data set and by region, quoted in parts or whole."""
    sql = (
        f"SELECT table_name, table_type FROM {source.format(d=shop)} WHERE table_schema = '{shop}' ORDER BY 1"
    )
    assert [tuple(r.values()) for r in client.ask(sql)] == [
        ("orders", "BASE TABLE"),
        ("recent", "VIEW"),
    ]


def test_columns_say_how_the_table_is_laid_out(shop: str, client: bigquery.Client) -> None:
    """Partitioning, clustering, nullability and types, in order."""
    sql = (
        "SELECT column_name, ordinal_position, is_nullable, data_type, is_partitioning_column, clustering_ordinal_position "
        f"FROM {shop}.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'orders' ORDER BY ordinal_position"
    )
    assert [tuple(r.values()) for r in client.ask(sql)] == [
        ("id", 1, "NO", "INT64", "NO", 1),
        ("day", 2, "YES", "DATE", "YES", None),
        ("items", 3, "YES", "ARRAY<STRUCT<sku STRING, units INT64>>", "NO", None),
    ]


def test_field_paths_reach_into_records(shop: str, client: bigquery.Client) -> None:
    """Nested fields have paths and descriptions."""
    sql = f"SELECT field_path, data_type, description FROM {shop}.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS WHERE table_name = 'orders'"
    assert {tuple(r.values()) for r in client.ask(sql)} == {
        ("id", "INT64", "key"),
        ("day", "DATE", None),
        ("items", "ARRAY<STRUCT<sku STRING, units INT64>>", None),
        ("items.sku", "STRING", "article"),
        ("items.units", "INT64", None),
    }


def test_options_and_storage(shop: str, client: bigquery.Client) -> None:
    """Descriptions and filters are options; rows and bytes are in the storage view, which has no views."""
    options = f"SELECT option_name, option_value FROM {shop}.INFORMATION_SCHEMA.TABLE_OPTIONS ORDER BY 1"
    assert [tuple(r.values()) for r in client.ask(options)] == [
        ("description", '"All orders"'),
        ("require_partition_filter", "true"),
    ]
    storage = (
        "SELECT table_name, total_rows, total_partitions, total_logical_bytes, deleted FROM "
        f"`region-us`.INFORMATION_SCHEMA.TABLE_STORAGE WHERE table_schema = '{shop}'"
    )
    assert [tuple(r.values()) for r in client.ask(storage)] == [("orders", 2, 2, 43, False)]
    legacy = f"SELECT table_id, row_count, size_bytes, type FROM {shop}.__TABLES__ ORDER BY 1"
    assert [tuple(r.values()) for r in client.ask(legacy)] == [
        ("orders", 2, 43, 1),
        ("recent", 0, 0, 2),
    ]


def test_schemata_and_their_options(client: bigquery.Client) -> None:
    """Data sets of the region with their descriptions."""
    shop = f"d_{os.urandom(4).hex()}"
    client.ask(f"CREATE SCHEMA {shop} OPTIONS (description='A shop')")
    sql = f"SELECT option_value FROM `region-us`.INFORMATION_SCHEMA.SCHEMATA_OPTIONS WHERE schema_name = '{shop}'"
    assert [r.option_value for r in client.ask(sql)] == ['"A shop"']
    places = f"SELECT location FROM `region-us`.INFORMATION_SCHEMA.SCHEMATA WHERE schema_name = '{shop}'"
    assert [r.location for r in client.ask(places)] == ["US"]
    client.delete_dataset(shop)


@pytest.mark.parametrize("view", ["TABLE_STORAGE", "SCHEMATA", "NO_SUCH_VIEW"])
def test_views_of_a_region_are_not_in_a_data_set(view: str, shop: str, client: bigquery.Client) -> None:
    """What the service has only by region isn't offered by data set here either."""
    with pytest.raises(NotFound):
        client.ask(f"SELECT * FROM {shop}.INFORMATION_SCHEMA.{view}")


def test_a_change_shows_at_once(shop: str, client: bigquery.Client) -> None:
    """The views follow the directory: new tables, new columns, new rows."""
    names = f"SELECT table_name FROM {shop}.INFORMATION_SCHEMA.TABLES ORDER BY 1"
    assert len(list(client.ask(names))) == 2
    client.ask(f"CREATE TABLE {shop}.added AS SELECT 1 AS x")
    assert [r.table_name for r in client.ask(names)] == ["added", "orders", "recent"]
    rows = f"SELECT total_rows FROM `region-us`.INFORMATION_SCHEMA.TABLE_STORAGE WHERE table_schema = '{shop}' AND table_name = 'added'"
    assert [r.total_rows for r in client.ask(rows)] == [1]
    client.ask(f"INSERT INTO {shop}.added VALUES (2)")
    assert [r.total_rows for r in client.ask(rows)] == [2]
    client.ask(f"DROP TABLE {shop}.added")
    assert len(list(client.ask(names))) == 2


@pytest.mark.slow
def test_a_scan_of_many_tables_finds_each_of_them_in_its_own_data_set(own_server) -> None:
    """Three data sets of fifty tables: every view of a scan has one data set's rows, all of them."""
    client = own_server.client()
    sizes = {"TABLES": 50, "COLUMNS": 600, "COLUMN_FIELD_PATHS": 600}
    for d in range(3):
        client.create_dataset(f"d{d}")
        for t in range(50):
            schema = [bigquery.SchemaField(f"c{c}", "INT64") for c in range(12)]
            client.create_table(bigquery.Table(f"bridge-local.d{d}.t{t}", schema))
    for d in range(3):
        for view, size in sizes.items():
            rows = list(client.ask(f"SELECT * FROM `bridge-local`.d{d}.INFORMATION_SCHEMA.{view}"))
            assert (len(rows), {row.table_schema for row in rows}) == (size, {f"d{d}"})
        storage = f"SELECT * FROM `region-us`.INFORMATION_SCHEMA.TABLE_STORAGE WHERE table_schema = 'd{d}'"
        assert len(list(client.ask(storage))) == 50
