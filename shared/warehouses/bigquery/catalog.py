"""What a BigQuery project holds, by a constant number of metadata queries per dataset.

    datasets: datasets.list (every location) + SCHEMATA_OPTIONS and SCHEMATA once per location
    tables:   TABLES, COLUMNS, COLUMN_FIELD_PATHS, TABLE_OPTIONS of the dataset
              + TABLE_STORAGE of its location (TABLES has neither rows nor bytes; views have none at all), which needs
              BigQuery Metadata Viewer on the project: for an account with rights on its datasets alone, __TABLES__

The jobs of one call are started together and read as they end.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from shared.platform.errors import BridgeError
from shared.platform.telemetry import context as telemetry
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.bigquery.errors import translated
from shared.warehouses.bigquery.retrying import METADATA_MAX_BYTES, METADATA_SECONDS, call_options
from shared.warehouses.contract import ColumnInfo, DatasetInfo, Limits, TableInfo
from shared.warehouses.declared import PermissionMissing
from shared.warehouses.types import Kind, Parameter

if TYPE_CHECKING:
    from shared.warehouses.bigquery.adapter import BigQuery

Mode = Literal["NULLABLE", "REQUIRED", "REPEATED"]

MAX_ROWS = 5_000_000
_LEGACY = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_TABLES = """
SELECT table_name, table_type, creation_time,
       REGEXP_EXTRACT(ddl, r'\\nPARTITION BY ([^\\n;]+)') AS partition_by
  FROM {dataset}.INFORMATION_SCHEMA.TABLES"""
_COLUMNS = """
SELECT table_name, column_name, ordinal_position, is_nullable, data_type, is_partitioning_column,
       clustering_ordinal_position
  FROM {dataset}.INFORMATION_SCHEMA.COLUMNS"""
_PATHS = """
SELECT table_name, column_name, field_path, data_type, description
  FROM {dataset}.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS"""
_OPTIONS = """
SELECT table_name, option_name, option_value
  FROM {dataset}.INFORMATION_SCHEMA.TABLE_OPTIONS
 WHERE option_name IN ('description', 'require_partition_filter')"""
_STORAGE = """
SELECT table_name, total_rows, total_logical_bytes, storage_last_modified_time
  FROM {region}.INFORMATION_SCHEMA.TABLE_STORAGE
 WHERE table_schema = @dataset AND NOT deleted"""
_LEGACY_STORAGE = """
SELECT table_id AS table_name, row_count AS total_rows, size_bytes AS total_logical_bytes,
       TIMESTAMP_MILLIS(last_modified_time) AS storage_last_modified_time
  FROM {dataset}.__TABLES__ WHERE type = 1"""
_SCHEMATA = """
SELECT schema_name, last_modified_time FROM {region}.INFORMATION_SCHEMA.SCHEMATA"""
_SCHEMATA_OPTIONS = """
SELECT schema_name, option_value FROM {region}.INFORMATION_SCHEMA.SCHEMATA_OPTIONS
 WHERE option_name = 'description'"""


def datasets(warehouse: BigQuery) -> list[DatasetInfo]:
    """Every dataset; one whose location does not answer is there without its details and says so."""
    with translated():
        listed = list(warehouse.client.list_datasets(**call_options()))
    places: dict[str, list[str]] = defaultdict(list)
    for item in listed:
        places[str(item._properties.get("location") or "US")].append(item.dataset_id)
    found: list[DatasetInfo] = []
    for location, names in places.items():
        modified: dict[str, datetime] = {}
        described: dict[str, str] = {}
        problem: str | None = None
        try:
            region = _region(warehouse, location)
            asked = (_SCHEMATA.format(region=region), _SCHEMATA_OPTIONS.format(region=region))
            changes, options = (_rows(warehouse, job) for job in _begin(warehouse, location, *asked))
            modified = {row["schema_name"]: row["last_modified_time"] for row in changes}
            described = {row["schema_name"]: _option(row["option_value"]) for row in options}
        except BridgeError as error:
            problem = f"The metadata of {location} could not be read: {error.message}"
            telemetry.log("a location's metadata could not be read", "WARNING", code=error.code)
        found += [
            DatasetInfo(
                name=name,
                fully_qualified_name=f"{warehouse.project}.{name}",
                location=location,
                description=described.get(name) or None,
                last_modified=modified.get(name),
                problem=problem,
            )
            for name in names
        ]
    return sorted(found, key=lambda dataset: dataset.name)


def tables(warehouse: BigQuery, dataset: DatasetInfo) -> list[TableInfo]:
    """The tables of one dataset with their columns."""
    location = dataset.location or "US"
    place = BIGQUERY.quoted(warehouse.project, dataset.name)
    asked = [statement.format(dataset=place) for statement in (_TABLES, _COLUMNS, _PATHS, _OPTIONS)]
    jobs = _begin(warehouse, location, *asked)
    storage = _storage(warehouse, location, dataset.name)
    listed, columns, paths, options = (_rows(warehouse, job) for job in jobs)
    columns_of, paths_of = _grouped(columns), _grouped(paths)
    described = {(row["table_name"], row["option_name"]): _option(row["option_value"]) for row in options}
    stored = {row["table_name"]: row for row in storage}
    return [
        _table(
            row,
            dataset=dataset,
            columns=columns_of.get(row["table_name"], []),
            paths=paths_of.get(row["table_name"], []),
            described=described,
            stored=stored.get(row["table_name"]),
        )
        for row in sorted(listed, key=lambda row: str(row["table_name"]))
    ]


def type_of(field: Any) -> str:
    """The standard-SQL name of a schema field's type: ARRAY<STRUCT<a INT64>>."""
    kind = _LEGACY.get(field.field_type.upper(), field.field_type.upper())
    if kind == "STRUCT":
        kind = f"STRUCT<{', '.join(f'{inner.name} {type_of(inner)}' for inner in field.fields)}>"
    return f"ARRAY<{kind}>" if field.mode == "REPEATED" else kind


_LIMITS = Limits(METADATA_MAX_BYTES, METADATA_SECONDS, max_rows=MAX_ROWS, labels={"purpose": "catalog-scan"})


def _begin(
    warehouse: BigQuery, location: str, *statements: str, parameters: tuple[Parameter, ...] = ()
) -> list[Any]:
    """The jobs of several metadata queries, which run at the same time."""
    return [warehouse.submit(statement, parameters, _LIMITS, location=location) for statement in statements]


def _rows(warehouse: BigQuery, job: Any) -> list[Mapping[str, Any]]:
    rows = warehouse.rows(job, _LIMITS)
    with translated():
        return [dict(row.items()) for row in rows]


def _storage(warehouse: BigQuery, location: str, dataset: str) -> list[Mapping[str, Any]]:
    """Rows and bytes of a dataset's tables, from where the account may see them."""
    statement = _STORAGE.format(region=_region(warehouse, location))
    named = (Parameter("dataset", Kind.TEXT, dataset),)
    try:
        (job,) = _begin(warehouse, location, statement, parameters=named)
        return _rows(warehouse, job)
    except PermissionMissing:
        (job,) = _begin(
            warehouse, location, _LEGACY_STORAGE.format(dataset=BIGQUERY.quoted(warehouse.project, dataset))
        )
        return _rows(warehouse, job)


def _table(
    row: Mapping[str, Any],
    *,
    dataset: DatasetInfo,
    columns: list[Mapping[str, Any]],
    paths: list[Mapping[str, Any]],
    described: Mapping[tuple[str, str], str],
    stored: Mapping[str, Any] | None,
) -> TableInfo:
    name = str(row["table_name"])
    clustered = sorted(
        (int(column["clustering_ordinal_position"]), str(column["column_name"]))
        for column in columns
        if column["clustering_ordinal_position"] is not None
    )
    changed = stored["storage_last_modified_time"] if stored else None
    return TableInfo(
        name=name,
        fully_qualified_name=f"{dataset.fully_qualified_name}.{name}",
        table_type=str(row["table_type"]),
        row_count=_whole(stored["total_rows"]) if stored else None,
        size_bytes=_whole(stored["total_logical_bytes"]) if stored else None,
        partitioning=_partitioning(
            row["partition_by"],
            columns,
            required=described.get((name, "require_partition_filter"), "").lower() == "true",
        ),
        clustering=tuple(column for _, column in clustered) or None,
        description=described.get((name, "description")) or None,
        last_modified=changed or row["creation_time"],
        columns=tuple(_columns(columns, paths)),
    )


def _columns(columns: list[Mapping[str, Any]], paths: list[Mapping[str, Any]]) -> Iterable[ColumnInfo]:
    """Top columns in their order, each followed by the fields inside it."""
    inside: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    described: dict[str, str | None] = {}
    for path in paths:
        described[path["field_path"]] = path["description"]
        if path["field_path"] != path["column_name"]:
            inside[path["column_name"]].append(path)
    position = 0
    for column in sorted(columns, key=lambda column: column["ordinal_position"] or 1 << 20):
        name, kind = str(column["column_name"]), str(column["data_type"])
        position += 1
        required = str(column["is_nullable"]).upper() == "NO"
        yield ColumnInfo(name, kind, _mode(kind, required), position, described.get(name) or None)
        for path in inside[name]:
            position += 1
            kind = str(path["data_type"])
            yield ColumnInfo(
                str(path["field_path"]), kind, _mode(kind, False), position, path["description"] or None
            )


def _partitioning(
    expression: str | None, columns: list[Mapping[str, Any]], *, required: bool
) -> dict[str, Any] | None:
    """From the table's own PARTITION BY: DATE_TRUNC(day, MONTH), RANGE_BUCKET(id, …), DATE(at), day."""
    column = next(
        (column for column in columns if str(column["is_partitioning_column"]).upper() == "YES"),
        None,
    )
    if column is None and not expression:
        return None
    text = (expression or "").upper()
    kind = next((unit for unit in ("HOUR", "MONTH", "YEAR") if re.search(rf"\b{unit}\b", text)), "DAY")
    if "RANGE_BUCKET" in text or (column is not None and column["data_type"] == "INT64"):
        kind = "RANGE"
    name = str(column["column_name"]) if column is not None else "_PARTITIONTIME"
    return {"column": name, "type": kind, "require_filter": required}


def _grouped(rows: list[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["table_name"]].append(row)
    return groups


def _mode(kind: str, required: bool) -> Mode:
    return "REPEATED" if kind.startswith("ARRAY<") else "REQUIRED" if required else "NULLABLE"


def _option(value: str | None) -> str:
    """An option's value is a literal of SQL: "text" in quotes with backslash escapes, or true."""
    text = (value or "").strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text, strict=False))
        except ValueError:
            return text[1:-1]
    return text


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _region(warehouse: BigQuery, location: str) -> str:
    return BIGQUERY.quoted(warehouse.project, f"region-{location.lower()}")
