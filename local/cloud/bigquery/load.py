"""Load jobs: CSV, newline-delimited JSON and Parquet files into a stored table, all rows or none."""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from local.cloud.bigquery.engine import Engine
from local.cloud.bigquery.errors import BigQueryError, invalid, not_found, unsupported
from local.cloud.bigquery.fields import (
    Field,
    canonical_all,
    duckdb_type,
    from_duckdb,
    quote,
    repeated,
    stored_sql,
)
from local.cloud.bigquery.file_values import converted, objects, read_type
from local.cloud.bigquery.planner import translate
from local.cloud.bigquery.results import check_values
from local.cloud.bigquery.statements import Statements
from local.cloud.bigquery.store import Table
from local.cloud.bigquery.tables import Tables


def run(
    tables: Tables, statements: Statements, config: dict[str, Any], path: Path, job: str
) -> dict[str, Any]:
    """Load the file; answers the statistics of the job."""
    destination = config.get("destinationTable") or {}
    project, dataset, name = (str(destination.get(k) or "") for k in ("projectId", "datasetId", "tableId"))
    if not (project and dataset and name):
        raise invalid("Required parameter is missing: destinationTable")
    tables.store.get_dataset(project, dataset)
    existing = tables.store.find_table(project, dataset, name)
    write = config.get("writeDisposition") or "WRITE_APPEND"
    if existing is None and config.get("createDisposition") == "CREATE_NEVER":
        raise not_found("Table", f"{project}:{dataset}.{name}")
    if existing is not None and existing.kind == "VIEW":
        raise invalid(f"{existing.id} is not allowed for this operation because it is currently a VIEW.")
    if write == "WRITE_EMPTY" and existing is not None and has_rows(tables, existing):
        raise BigQueryError(409, "duplicate", f"Already Exists: Table {existing.id}")
    _refuse_options(config)
    fields = _schema(tables.engine, config, path, existing)
    appended = existing is not None and write != "WRITE_TRUNCATE"
    target = existing.fields if appended and existing is not None else fields
    if appended and existing is not None:
        _check_append(existing, fields, config)
    resource = {
        k: config[k]
        for k in ("timePartitioning", "rangePartitioning", "clustering", "description", "labels")
        if config.get(k)
    }
    properties = config.get("destinationTableProperties") or {}
    resource |= {k: properties[k] for k in ("description", "friendlyName", "labels") if properties.get(k)}
    if existing is not None and not appended:
        resource = existing.resource | resource
    draft = (
        tables.draft(project, dataset, name, resource, target if not appended else None)
        if not appended
        else existing
    )
    assert draft is not None
    if config.get("sourceFormat") == "NEWLINE_DELIMITED_JSON" and not config.get("ignoreUnknownValues"):
        _refuse_unknown(tables.engine, path, fields)
    select = _select(config, path, fields, draft.fields)
    try:
        if appended and existing is not None:
            names = ", ".join(quote(f["name"]) for f in draft.fields)
            sql = f"INSERT INTO {quote(str(existing.physical))} ({names}) SELECT * FROM staged"
            count = statements.write(existing, job, lambda cursor: _append(cursor, select, sql, draft.fields))
        else:
            with tables.engine.writing() as cursor:
                physical = tables.new_physical(cursor, draft.fields, select)
                check_values(cursor, physical, draft.fields)
                count = int(cursor.execute(f"SELECT count(*) FROM {physical}").fetchone()[0])
            tables.swap(draft, physical, job)
    except duckdb.Error as error:
        raise _load_error(error) from None
    except BigQueryError as error:
        if error.reason != "invalidQuery":
            raise
        raise invalid(f"Error while reading data, error message: {error.message}") from None
    size = path.stat().st_size
    return {
        "inputFiles": "1", "inputFileBytes": str(size), "outputRows": str(count), "outputBytes": str(size),
        "badRecords": "0",
    }  # fmt: skip


def _append(cursor: Any, select: str, insert: str, fields: Sequence[Field]) -> int:
    """Read the file once, look at its values, and put them behind the others."""
    columns = ", ".join(quote(f["name"]) for f in fields)
    cursor.execute(f"CREATE TEMP TABLE staged AS SELECT * FROM ({select}) AS file({columns})")
    check_values(cursor, "staged", list(fields))
    count = int(cursor.execute(insert).fetchone()[0])
    cursor.execute("DROP TABLE staged")
    return count


# Options that are followed, or whose only accepted value is the default.
_KNOWN = frozenset(
    {
        "sourceFormat", "schema", "autodetect", "destinationTable", "destinationTableProperties", "writeDisposition",
        "createDisposition", "skipLeadingRows", "fieldDelimiter", "quote", "nullMarker", "allowJaggedRows",
        "ignoreUnknownValues", "allowQuotedNewlines", "timePartitioning", "rangePartitioning", "clustering", "description",
        "labels", "parquetOptions", "columnNameCharacterMap",
    }
)  # fmt: skip


def _refuse_options(config: dict[str, Any]) -> None:
    """An option that is not followed would load something else without a sign of it."""
    for name, value in config.items():
        default = value in (None, "", 0, "0", False, [], {}) or (
            name == "encoding" and str(value).upper() == "UTF-8"
        )
        if name not in _KNOWN and not default:
            raise unsupported(f"the load option {name}" if name != "maxBadRecords" else name)
        if name == "ignoreUnknownValues" and value and config.get("sourceFormat") != "NEWLINE_DELIMITED_JSON":
            raise unsupported("ignoreUnknownValues for anything but newline-delimited JSON")


def has_rows(tables: Tables, table: Table) -> bool:
    with contextlib.closing(tables.engine.cursor()) as cursor:
        return cursor.execute(f"SELECT 1 FROM {quote(str(table.physical))} LIMIT 1").fetchone() is not None


def _load_error(error: duckdb.Error) -> BigQueryError:
    message = " ".join(translate(error).message.splitlines()[:3])
    message = re.sub(r' in file "[^"]*"', "", message)
    return invalid(f"Error while reading data, error message: {message}")


def _schema(engine: Engine, config: dict[str, Any], path: Path, existing: Table | None) -> list[Field]:
    given = (config.get("schema") or {}).get("fields")
    if given:
        return canonical_all(given)
    kind = config.get("sourceFormat") or "CSV"
    if existing is not None and existing.fields and kind != "PARQUET":
        return existing.fields
    if not config.get("autodetect") and kind != "PARQUET":
        raise invalid("No schema specified on job or table.")
    with contextlib.closing(engine.cursor()) as cursor:
        try:
            if kind == "CSV" and not config.get("skipLeadingRows"):
                sniffed = cursor.execute(f"SELECT HasHeader FROM sniff_csv({_literal(str(path))})").fetchone()
                config["skipLeadingRows"] = 1 if sniffed and sniffed[0] else 0
            cursor.execute(f"SELECT * FROM {_reader(config, path, None)} LIMIT 0")
        except duckdb.Error as error:
            raise _load_error(error) from None
        found = [from_duckdb(c[0], c[1]) for c in cursor.description or []]
    for field in found:
        if kind != "PARQUET" and field["type"] == "DATETIME":
            field["type"] = "TIMESTAMP"
    return canonical_all(found)


def _check_append(existing: Table, fields: Sequence[Field], config: dict[str, Any]) -> None:
    known = {f["name"].lower(): f for f in existing.fields}
    for field in fields:
        other = known.get(field["name"].lower())
        if other is None:
            raise invalid(
                f"Provided Schema does not match Table {existing.id}. Cannot add fields (field: {field['name']})"
            )
        if duckdb_type(other) != duckdb_type(field) and config.get("sourceFormat") != "PARQUET":
            raise invalid(
                f"Provided Schema does not match Table {existing.id}. Field {field['name']} has changed type "
                f"from {other['type']} to {field['type']}"
            )


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _reader(config: dict[str, Any], path: Path, fields: Sequence[Field] | None) -> str:
    """The DuckDB table function for the file; with `fields` the columns are read as these types."""
    kind = config.get("sourceFormat") or "CSV"
    where = _literal(str(path))
    if kind == "PARQUET":
        return f"read_parquet({where})"
    if kind == "NEWLINE_DELIMITED_JSON":
        shape = f", columns = {{{_columns(fields)}}}" if fields is not None else ""
        return f"read_json({where}, format = 'newline_delimited'{shape})"
    if kind != "CSV":
        raise unsupported(f"load jobs of format {kind}")
    delimiter = config.get("fieldDelimiter") or ","
    delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
    quoting = config.get("quote") if config.get("quote") is not None else '"'
    options = [f"delim = {_literal(delimiter)}", f"quote = {_literal(str(quoting))}", "escape = '\"'"]
    skip = int(config.get("skipLeadingRows") or 0)
    marker = config.get("nullMarker")
    options.append(f"nullstr = {_literal(marker or '')}")
    if fields is None:
        options.append("header = true" if skip else "auto_detect = true")
        if skip > 1:
            options.append(f"skip = {skip - 1}")
        return f"read_csv({where}, {', '.join(options)})"
    texts = [f["name"] for f in fields if f["type"] in ("STRING", "BYTES")]
    if not marker and texts:
        options.append(f"force_not_null = [{', '.join(map(_literal, texts))}]")
    options += [
        "header = false",
        f"skip = {skip}",
        "auto_detect = false",
        f"columns = {{{_columns(fields)}}}",
    ]
    if config.get("allowJaggedRows"):
        options.append("null_padding = true")
    return f"read_csv({where}, {', '.join(options)})"


def _columns(fields: Sequence[Field] | None) -> str:
    return ", ".join(f"{_literal(f['name'])}: {_literal(read_type(f))}" for f in fields or ())


def _select(config: dict[str, Any], path: Path, fields: Sequence[Field], target: Sequence[Field]) -> str:
    """A query over the file with the columns of the target, in its order; missing ones are NULL."""
    kind = config.get("sourceFormat") or "CSV"
    if kind == "CSV" and any(repeated(f) or f["type"] == "RECORD" for f in fields):
        raise invalid("CSV files can't hold nested or repeated fields")
    given = {f["name"].lower(): f for f in fields}
    columns = []
    for field in target:
        source = given.get(field["name"].lower())
        if source is None:
            columns.append(f"NULL::{duckdb_type(field)}")
        elif kind == "PARQUET":
            columns.append(stored_sql(quote(source["name"]), source, field))
        else:
            columns.append(converted(quote(source["name"]), field))
    return f"SELECT {', '.join(columns)} FROM {_reader(config, path, fields)}"


def _refuse_unknown(engine: Engine, path: Path, fields: Sequence[Field]) -> None:
    """DuckDB ignores JSON keys that the schema doesn't have; BigQuery refuses the row."""
    documents = f"read_json_objects({_literal(str(path))}, format = 'newline_delimited')"
    with contextlib.closing(engine.cursor()) as cursor:
        for where, shown, keys in objects(fields):
            # A path with a wildcard answers a list, another one a single value.
            found_at = f"json_extract(json, {_literal(where)})"
            each = f"unnest({found_at})" if "[*]" in where else found_at
            names = ", ".join(map(_literal, keys))
            sql = (
                f"SELECT k FROM (SELECT unnest(json_keys(e)) AS k FROM (SELECT {each} AS e FROM {documents})) "
                f"WHERE lower(k) NOT IN ({names}) LIMIT 1"
            )
            try:
                found = cursor.execute(sql).fetchone()
            except duckdb.Error as error:
                raise _load_error(error) from None
            if found:
                raise invalid(
                    "Error while reading data, error message: JSON parsing error in row: "
                    f"No such field: {shown}{found[0]}."
                )
