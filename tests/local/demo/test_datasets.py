"""The demo data: loaded once, complete, described, and costly enough for the cap on bytes to mean something."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from local import ports
from local.demo import datasets, tables

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bigquery.Client]:
    """A server with the demo data in it."""
    port = ports.free()
    data = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "local.cloud.bigquery", "--port", str(port), "--data", str(data)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    made = bigquery.Client(
        project="bridge-local",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": f"http://127.0.0.1:{port}"},
    )
    assert len(datasets.load(made, "bridge-local")) == sum(len(d.tables) for d in tables.DATASETS)
    yield made
    process.terminate()
    process.wait()
    process.stdout.close()


def test_a_second_load_does_nothing(client: bigquery.Client) -> None:
    """The loader runs at every start and leaves what is there alone."""
    before = client.get_table("nycflights.flights").modified
    assert datasets.load(client, "bridge-local") == []
    assert client.get_table("nycflights.flights").modified == before


def test_every_row_of_the_flights_is_there(client: bigquery.Client) -> None:
    """336,776 flights, of which 8,255 did not depart; the date agrees with its parts."""
    (row,) = client.query(
        "SELECT COUNT(*) AS n, COUNTIF(cancelled) AS c, COUNTIF(flight_date != DATE(year, month, day)) AS wrong, "
        "COUNT(DISTINCT carrier) AS carriers, MIN(flight_date) AS first, MAX(flight_date) AS last, "
        "COUNTIF(carrier_name IS NULL OR origin_name IS NULL OR dest_name IS NULL) AS unnamed FROM nycflights.flights"
    )
    assert (row.n, row.c, row.wrong, row.carriers, row.unnamed) == (336_776, 8_255, 0, 16, 0)
    assert (str(row.first), str(row.last)) == ("2013-01-01", "2013-12-31")


def test_flights_join_the_weather_of_their_hour(client: bigquery.Client) -> None:
    """time_hour is the same instant in both tables."""
    (row,) = client.query(
        "SELECT COUNT(*) AS n FROM nycflights.flights JOIN nycflights.weather USING (origin, time_hour)"
    )
    assert row.n == 335_220


@pytest.mark.parametrize("dataset", tables.DATASETS, ids=lambda d: d.name)
def test_everything_is_described(dataset: tables.Dataset, client: bigquery.Client) -> None:
    """Data sets name licence and source; tables and columns say what they mean."""
    about = client.get_dataset(dataset.name).description
    assert dataset.licence in about
    assert dataset.attribution in about
    for item in client.list_tables(dataset.name):
        found = client.get_table(item.reference)
        assert found.num_rows
        assert found.description
        assert [f.name for f in found.schema if not f.description] == []


def test_the_cap_on_bytes_means_something(client: bigquery.Client) -> None:
    """All columns of all flights come near 100,000,000 bytes; a question's columns and a date filter don't."""

    def size(sql: str) -> int:
        return int(client.query(sql, job_config=bigquery.QueryJobConfig(dry_run=True)).total_bytes_processed)

    assert 80_000_000 < size("SELECT * FROM nycflights.flights") < 100_000_000
    assert (
        size(
            "SELECT f.*, p.* EXCEPT (year) FROM nycflights.flights AS f CROSS JOIN world.population_by_age AS p"
        )
        > 100_000_000
    )
    one = size("SELECT carrier, dep_delay FROM nycflights.flights")
    assert one < 10_000_000
    assert (
        size("SELECT carrier, dep_delay FROM nycflights.flights WHERE flight_date < '2013-02-01'") < one / 4
    )
