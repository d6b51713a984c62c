"""The BigQuery adapter against the local server, through Google's own client."""

import logging
import uuid

import pytest

from local import ports
from shared.warehouses.bigquery.adapter import BigQuery
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.bigquery.errors import clean
from shared.warehouses.contract import DatasetInfo, Limits
from shared.warehouses.declared import (
    BytesCapExceeded,
    CredentialsRejected,
    PermissionMissing,
    QueryInvalid,
    QueryTimedOut,
    WarehouseUnavailable,
)
from shared.warehouses.guard import guard
from shared.warehouses.sql import rewrites
from shared.warehouses.types import Field, Kind, Parameter
from tests.shared.conftest import GRANTED, PROJECT

LIMITS = Limits(max_bytes=100_000_000, timeout_seconds=20, labels={"Team": "Ä b", "purpose": "test"})


@pytest.fixture(scope="module")
def dataset(bigquery):
    """A dataset of this module with some typed rows."""
    name = f"adapter_{uuid.uuid4().hex[:6]}"
    bigquery.query(f"CREATE SCHEMA {name}").result()
    bigquery.query(
        f"CREATE TABLE {name}.facts AS SELECT n AS id, CAST(n AS NUMERIC) / 4 AS price,"
        " DATE_ADD(DATE '2024-01-01', INTERVAL n DAY) AS day, CAST(n AS STRING) AS word"
        " FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS n"
    ).result()
    bigquery.query(f"CREATE VIEW {name}.few AS SELECT id FROM {name}.facts WHERE id < 3").result()
    return name


def _open(cloud, account="reader", **changes):
    return BigQuery(
        {
            "project_id": PROJECT,
            "client_email": f"{account}@{PROJECT}.iam.gserviceaccount.com",
            "private_key": cloud._key,
        }
        | changes
    )


@pytest.fixture
def warehouse(cloud, dataset):
    """The adapter of an account that may read."""
    return _open(cloud)


def test_a_dry_run_tells_bytes_shape_kind_and_every_table(warehouse, dataset):
    """Views are followed to their bases; nothing ran."""
    dry = warehouse.dry_run(
        f"SELECT id, day FROM {dataset}.facts WHERE word = @w", (Parameter("w", Kind.TEXT, "1"),)
    )
    assert dry.statement_type == "SELECT"
    assert dry.bytes_scanned > 0
    assert dry.schema == (Field("id", "INT64", Kind.INTEGER), Field("day", "DATE", Kind.DATE))
    assert dry.tables == (f"{PROJECT}.{dataset}.facts",)
    through_view = warehouse.dry_run(f"SELECT id FROM {dataset}.few")
    assert f"{PROJECT}.{dataset}.facts" in through_view.tables


def test_a_query_answers_json_values_with_its_cost(warehouse, dataset):
    """Typed parameters are bound, rows come as JSON values, bytes and times are told."""
    result = warehouse.query(
        f"SELECT id, price, day, word FROM {dataset}.facts WHERE day BETWEEN @a AND @b AND word IN UNNEST(@words) ORDER BY id",
        (
            Parameter("a", Kind.DATE, "2024-01-02"),
            Parameter("b", Kind.DATE, "2024-01-10"),
            Parameter("words", Kind.TEXT, ("1", "2", "500"), array=True),
        ),
        LIMITS,
    )
    assert result.rows == [(1, "0.25", "2024-01-02", "1"), (2, "0.5", "2024-01-03", "2")]
    assert [field.type for field in result.schema] == ["INT64", "NUMERIC", "DATE", "STRING"]
    assert (result.total_rows, result.truncated) == (2, False)
    assert result.bytes_scanned > 0
    assert result.duration_ms > 0


def test_a_null_parameter_is_a_typed_null(warehouse):
    """NULL means no restriction in a dashboard's filters, whatever the type."""
    sql = "SELECT @d IS NULL AS d, @s IS NULL AS s, @n IS NULL AS n, @b IS NULL AS b"
    given = (
        Parameter("d", Kind.DATE, None),
        Parameter("s", Kind.TEXT, None),
        Parameter("n", Kind.REAL, None),
        Parameter("b", Kind.BOOLEAN, None),
    )
    assert warehouse.query(sql, given, LIMITS).rows == [(True, True, True, True)]


def test_more_rows_than_allowed_are_cut_and_said_so(warehouse, dataset):
    """`truncated` and the whole count: nobody mistakes a part for all."""
    limits = Limits(LIMITS.max_bytes, LIMITS.timeout_seconds, max_rows=10)
    result = warehouse.query(f"SELECT id FROM {dataset}.facts ORDER BY id", (), limits)
    assert [row[0] for row in result.rows] == list(range(1, 11))
    assert (result.total_rows, result.truncated) == (1000, True)


def test_every_job_has_a_byte_limit_a_timeout_and_clean_labels(warehouse, dataset, bigquery):
    """What Google's records would show of the job."""
    job = warehouse.submit(f"SELECT COUNT(*) FROM {dataset}.facts", (), LIMITS)
    job.result()
    kept = bigquery.get_job(job.job_id)
    assert kept.maximum_bytes_billed == 100_000_000
    assert kept.labels == {"team": "_ b".replace(" ", "_"), "purpose": "test"}
    assert int(kept._properties["configuration"]["jobTimeoutMs"]) == 20_000


def test_a_job_submitted_twice_under_one_id_is_one_job(warehouse, dataset, bigquery):
    """The second submission finds the first: the query is billed once, and its first answer stands."""
    limits = Limits(100_000_000, 20, job_id=f"step-{uuid.uuid4().hex}")
    first = warehouse.query("SELECT 1 AS x", (), limits)
    again = warehouse.query("SELECT 2 AS x", (), limits)
    assert first.rows == again.rows == [(1,)]
    assert bigquery.get_job(limits.job_id).query == "SELECT 1 AS x"


def test_the_clock_of_a_dashboard_is_bound_as_date_instant_and_wall_time(warehouse):
    """What the clock's words become runs, also with a zone that the author names."""
    sql = rewrites.bind_clock(
        "SELECT CURRENT_DATE(), CURRENT_DATETIME(), CURRENT_TIME(), CURRENT_TIMESTAMP(),"
        " CURRENT_DATETIME('Asia/Tokyo'), CURRENT_TIME('Asia/Tokyo'), CURRENT_DATE('Asia/Tokyo')",
        BIGQUERY,
    )
    guard.check(sql, BIGQUERY, allowed=set(), project=PROJECT)
    given = (
        Parameter("today", Kind.DATE, "2024-03-31"),
        Parameter("now", Kind.TIMESTAMP, "2024-03-31T23:00:00.000Z"),
        Parameter("now_local", Kind.DATETIME, "2024-03-31T19:00:00"),
    )
    assert warehouse.query(sql, given, LIMITS).rows == [
        (
            "2024-03-31", "2024-03-31T19:00:00", "19:00:00", "2024-03-31T23:00:00Z",
            "2024-04-01T08:00:00", "08:00:00", "2024-04-01",
        )
    ]  # fmt: skip


def test_the_warehouse_itself_refuses_what_is_over_the_byte_limit(warehouse, dataset):
    """BYTES_CAP_EXCEEDED even when no dry run was made before."""
    with pytest.raises(BytesCapExceeded):
        warehouse.query(f"SELECT * FROM {dataset}.facts", (), Limits(1000, 20))


@pytest.mark.parametrize(
    "sql",
    ["SELECT no_such_column FROM {d}.facts", "SELECT * FROM {d}.no_such_table", "SELEC 1", "SELECT 1 +"],
)
def test_a_query_that_cant_run_says_why_in_the_warehouses_words(warehouse, dataset, sql):
    """QUERY_INVALID, without addresses, job ids or the client's prefixes."""
    for run in (warehouse.dry_run, lambda text: warehouse.query(text, (), LIMITS)):
        with pytest.raises(QueryInvalid) as caught:
            run(sql.format(d=dataset))
        assert caught.value.message != QueryInvalid.title()
        for noise in ("http", "POST", "GET", "Job ID", "127.0.0.1", "Traceback", "duckdb"):
            assert noise not in caught.value.message


def test_a_bad_parameter_is_the_callers_mistake(warehouse):
    """Named before anything is sent."""
    with pytest.raises(QueryInvalid):
        warehouse.dry_run("SELECT @d", (Parameter("d", Kind.DATE, "tomorrow"),))


def test_an_account_without_the_permission_gets_no_data(cloud, dataset):
    """Metadata roles see names and no rows."""
    with pytest.raises(PermissionMissing):
        _open(cloud, "no-data").query(f"SELECT * FROM {dataset}.facts", (), LIMITS)


def test_another_key_is_rejected(cloud, dataset):
    """The token is signed by the account's key, or it is nothing."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(CredentialsRejected):
        _open(cloud, private_key=other.decode()).dry_run("SELECT 1")


def test_nothing_is_called_but_the_warehouse(warehouse, monkeypatch):
    """No token endpoint, no background look-up: the only connection is to the server."""
    from urllib3.util import connection

    called = []
    real = connection.create_connection

    def watched(address, *args, **options):
        called.append(address[0])
        return real(address, *args, **options)

    monkeypatch.setattr("urllib3.util.connection.create_connection", watched)
    warehouse.dry_run("SELECT 1")
    assert set(called) <= {"127.0.0.1"}


def test_an_unreachable_warehouse_is_unavailable_soon(cloud, monkeypatch):
    """Retryable, and not after the ten minutes that the client would take by default."""
    from shared.platform import settings

    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{ports.free()}")
    monkeypatch.setattr("shared.warehouses.bigquery.retrying.RETRY_SECONDS", 0.3)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    settings.settings.cache_clear()
    with pytest.raises(WarehouseUnavailable) as caught:
        _open(cloud).dry_run("SELECT 1")
    assert caught.value.retryable


def test_a_query_that_runs_too_long_is_stopped(warehouse, dataset):
    """QUERY_TIMED_OUT, which no queue repeats."""
    slow = (
        "SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS a, UNNEST(GENERATE_ARRAY(1, 200000)) AS b"
        " WHERE MOD(a * b, 7) = 3"
    )
    with pytest.raises(QueryTimedOut) as caught:
        warehouse.query(slow, (), Limits(100_000_000, 0.5))
    assert not caught.value.retryable


def test_tables_are_read_by_a_constant_number_of_queries(warehouse, dataset, bigquery, monkeypatch):
    """Ten tables cost as many jobs as one."""
    jobs, submit = [], warehouse.client.query

    def counting(*given, **options):
        jobs.append(given)
        return submit(*given, **options)

    monkeypatch.setattr(warehouse.client, "query", counting)
    info = DatasetInfo(dataset, f"{PROJECT}.{dataset}", "US")
    warehouse.tables(info)
    few = len(jobs)
    for n in range(10):
        bigquery.query(f"CREATE OR REPLACE TABLE {dataset}.extra{n} (a INT64)").result()
    found = warehouse.tables(info)
    assert len(jobs) - few == few == 5
    assert [table.name for table in found] == sorted(table.name for table in found)


def test_an_account_with_rights_on_one_dataset_alone_sees_all_of_it_and_nothing_else(
    cloud, dataset, bigquery
):
    """What docs/connections.md asks for is enough: also rows and sizes, which region-wide metadata would deny it."""
    bigquery.query(f"CREATE SCHEMA IF NOT EXISTS {GRANTED}").result()
    bigquery.query(f"CREATE OR REPLACE TABLE {GRANTED}.sales AS SELECT 7 AS id, 'x' AS word").result()
    bigquery.query(f"CREATE OR REPLACE VIEW {GRANTED}.seen AS SELECT id FROM {GRANTED}.sales").result()
    least = _open(cloud, "least")
    least.check()
    (found,) = least.datasets()
    assert (found.name, found.location) == (GRANTED, "US")
    assert "region-us" in found.problem
    sales, seen = least.tables(found)
    assert (sales.name, sales.row_count, sales.size_bytes) == ("sales", 1, 11)
    assert sales.last_modified is not None
    assert [column.path for column in sales.columns] == ["id", "word"]
    assert (seen.name, seen.row_count, seen.size_bytes) == ("seen", None, None)
    assert least.query(f"SELECT id FROM {GRANTED}.sales", (), LIMITS).rows == [(7,)]
    with pytest.raises(PermissionMissing):
        least.dry_run(f"SELECT id FROM {dataset}.facts")


def test_the_key_is_in_no_representation(warehouse):
    """A logged object tells its project and nothing else."""
    assert repr(warehouse) == "BigQuery('bridge-local')"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            "400 POST https://bigquery.googleapis.com/bigquery/v2/projects/p/jobs?prettyPrint=false: Syntax error: x",
            "Syntax error: x",
        ),
        (
            "Unrecognized name: a; reason: invalidQuery, location: query, message: Unrecognized name: a",
            "Unrecognized name: a",
        ),
        (
            "Not found: Table p:d.t was not found in location US\n\nLocation: US\nJob ID: 123-abc",
            "Not found: Table p:d.t was not found in location US",
        ),
        ("x" * 900, "x" * 499 + "…"),
    ],
)
def test_messages_lose_the_clients_noise(raw, expected):
    """Addresses, prefixes and job ids go; the warehouse's sentence stays."""
    assert clean(raw) == expected


def test_datasets_of_every_location_are_listed_and_a_silent_location_holds_up_nobody(
    warehouse, bigquery, monkeypatch
):
    """Its datasets are there without details and say why; the others are complete."""
    mark = uuid.uuid4().hex[:6]
    for location in ("US", "EU"):
        bigquery.query(
            f"CREATE SCHEMA {location.lower()}_{mark} OPTIONS (location='{location}', description='in {location}')",
            location=location,
        ).result()
    try:
        found = {dataset.name: dataset for dataset in warehouse.datasets()}
        assert {name: found[name].location for name in (f"us_{mark}", f"eu_{mark}")} == {
            f"us_{mark}": "US",
            f"eu_{mark}": "EU",
        }
        assert found[f"eu_{mark}"].description == "in EU"
        real = warehouse.submit

        def silent_in_europe(*args, location=None, **options):
            if location == "EU":
                raise WarehouseUnavailable("BigQuery is not reachable.")
            return real(*args, location=location, **options)

        monkeypatch.setattr(warehouse, "submit", silent_in_europe)
        found = {dataset.name: dataset for dataset in warehouse.datasets()}
        assert found[f"us_{mark}"].description == "in US"
        assert found[f"us_{mark}"].problem is None
        assert found[f"eu_{mark}"].description is None
        assert "EU" in (found[f"eu_{mark}"].problem or "")
    finally:
        for location in ("us", "eu"):
            bigquery.delete_dataset(f"{location}_{mark}", not_found_ok=True)
