"""Load jobs: a Parquet file, sent with the job, becomes the content of a table: all rows or none."""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from local.cloud.bigquery.engine import Engine
from local.cloud.bigquery.errors import BigQueryError, invalid, not_found, unsupported
from local.cloud.bigquery.fields import Field, canonical_all, duckdb_type, from_duckdb, quote, stored_sql
from local.cloud.bigquery.planner import translate
from local.cloud.bigquery.results import check_values
from local.cloud.bigquery.tables import Tables

_OPTIONS = frozenset(
    {
        "sourceFormat", "schema", "destinationTable", "destinationTableProperties", "writeDisposition",
        "createDisposition", "timePartitioning", "rangePartitioning", "clustering", "description", "labels",
    }
)  # fmt: skip


def run(tables: Tables, config: dict[str, Any], path: Path, job: str) -> dict[str, Any]:
    """Load the file; answers the statistics of the job."""
    destination = config.get("destinationTable") or {}
    project, dataset, name = (str(destination.get(k) or "") for k in ("projectId", "datasetId", "tableId"))
    if not (project and dataset and name):
        raise invalid("Required parameter is missing: destinationTable")
    _refuse_options(config)
    tables.store.get_dataset(project, dataset)
    existing = tables.store.find_table(project, dataset, name)
    if existing is None and config.get("createDisposition") == "CREATE_NEVER":
        raise not_found("Table", f"{project}:{dataset}.{name}")
    if existing is not None and existing.kind == "VIEW":
        raise invalid(f"{existing.id} is not allowed for this operation because it is currently a VIEW.")
    if existing is not None and config.get("writeDisposition") != "WRITE_TRUNCATE":
        raise unsupported("a load into a table that exists, unless with WRITE_TRUNCATE")
    fields = _fields(tables.engine, config, path)
    draft = tables.draft(
        project, dataset, name, (existing.resource if existing else {}) | _resource(config), fields
    )
    try:
        with tables.engine.writing() as cursor:
            physical = tables.new_physical(cursor, draft.fields, _select(tables.engine, path, draft.fields))
            check_values(cursor, physical, draft.fields)
            count = int(cursor.execute(f"SELECT count(*) FROM {physical}").fetchone()[0])
        tables.swap(draft, physical, job)
    except duckdb.Error as error:
        raise _load_error(error) from None
    except BigQueryError as error:
        if error.reason != "invalidQuery":
            raise
        raise invalid(f"Error while reading data, error message: {error.message}") from None
    size = str(path.stat().st_size)
    return {
        "inputFiles": "1", "inputFileBytes": size, "outputRows": str(count), "outputBytes": size, "badRecords": "0",
    }  # fmt: skip


def _resource(config: dict[str, Any]) -> dict[str, Any]:
    own = ("timePartitioning", "rangePartitioning", "clustering", "description", "labels")
    properties = config.get("destinationTableProperties") or {}
    shown = ("description", "friendlyName", "labels")
    return {k: config[k] for k in own if config.get(k)} | {
        k: properties[k] for k in shown if properties.get(k)
    }


def _refuse_options(config: dict[str, Any]) -> None:
    """An option that is not followed would load something else without a sign of it."""
    for name, value in config.items():
        if name not in _OPTIONS and value not in (None, "", 0, "0", False, [], {}):
            raise unsupported(f"the load option {name}")
    if config.get("sourceFormat") != "PARQUET":
        raise unsupported(f"load jobs of format {config.get('sourceFormat') or 'CSV'}")


def _load_error(error: duckdb.Error) -> BigQueryError:
    message = " ".join(translate(error).message.splitlines()[:3])
    message = re.sub(r' in file "[^"]*"', "", message)
    return invalid(f"Error while reading data, error message: {message}")


def _fields(engine: Engine, config: dict[str, Any], path: Path) -> list[Field]:
    """The columns of the table: those of the job's schema, without one those of the file."""
    given = (config.get("schema") or {}).get("fields")
    return canonical_all(given) if given else _file_fields(engine, path)


def _file_fields(engine: Engine, path: Path) -> list[Field]:
    with contextlib.closing(engine.cursor()) as cursor:
        try:
            cursor.execute(f"SELECT * FROM {_reader(path)} LIMIT 0")
        except duckdb.Error as error:
            raise _load_error(error) from None
        return canonical_all([from_duckdb(c[0], c[1]) for c in cursor.description or []])


def _reader(path: Path) -> str:
    literal = str(path).replace("'", "''")
    return f"read_parquet('{literal}')"


def _select(engine: Engine, path: Path, target: Sequence[Field]) -> str:
    """A query over the file with the columns of the table, in its order; missing ones are NULL."""
    given = {f["name"].lower(): f for f in _file_fields(engine, path)}
    columns = []
    for field in target:
        source = given.get(field["name"].lower())
        if source is None:
            columns.append(f"NULL::{duckdb_type(field)}")
        else:
            columns.append(stored_sql(quote(source["name"]), source, field))
    return f"SELECT {', '.join(columns)} FROM {_reader(path)}"
