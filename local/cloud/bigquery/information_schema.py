"""INFORMATION_SCHEMA and `__TABLES__`, answered from the directory.

The rows of a view are put once into a DuckDB table in memory and used until the directory changes, so that
a catalog scan of many datasets stays linear in the number of tables.
"""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

import contextlib
import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator

from local.cloud.bigquery import ddl_text
from local.cloud.bigquery.engine import Engine, columns_sql, new_name
from local.cloud.bigquery.errors import access_denied, not_found, unsupported
from local.cloud.bigquery.fields import Field, standard_type
from local.cloud.bigquery.partitions import Partitioning, partitioning, total_bytes, total_rows
from local.cloud.bigquery.scope import Row, Scope, View, find_dataset
from local.cloud.bigquery.store import Dataset, Store, Table

MINIMUM_BYTES = 10 * 1024 * 1024


def _fields(spec: str) -> list[Field]:
    kinds = {"s": "STRING", "i": "INTEGER", "b": "BOOLEAN", "t": "TIMESTAMP", "f": "FLOAT"}
    return [
        {"name": name, "type": kinds[kind], "mode": "NULLABLE"}
        for name, kind in (item.split(":") for item in spec.split())
    ]


_TABLE = "table_catalog:s table_schema:s table_name:s"
VIEWS: dict[str, list[Field]] = {
    "SCHEMATA": _fields(
        "catalog_name:s schema_name:s schema_owner:s creation_time:t last_modified_time:t location:s ddl:s "
        "default_collation_name:s sync_status:s"
    ),
    "SCHEMATA_OPTIONS": _fields("catalog_name:s schema_name:s option_name:s option_type:s option_value:s"),
    "TABLES": _fields(
        f"{_TABLE} table_type:s managed_table_type:s is_insertable_into:s is_fine_grained_mutations_enabled:s is_typed:s "
        "is_change_history_enabled:s creation_time:t base_table_catalog:s base_table_schema:s base_table_name:s "
        "snapshot_time_ms:t ddl:s default_collation_name:s sync_status:s upsert_stream_apply_watermark:t"
    ),
    "COLUMNS": _fields(
        f"{_TABLE} column_name:s ordinal_position:i is_nullable:s data_type:s is_generated:s generation_expression:s "
        "is_stored:s is_hidden:s is_updatable:s is_system_defined:s is_partitioning_column:s "
        "clustering_ordinal_position:i collation_name:s column_default:s rounding_mode:s"
    ),
    "COLUMN_FIELD_PATHS": _fields(
        f"{_TABLE} column_name:s field_path:s data_type:s description:s collation_name:s rounding_mode:s"
    ),
    "TABLE_OPTIONS": _fields(f"{_TABLE} option_name:s option_type:s option_value:s"),
    "TABLE_STORAGE": _fields(
        f"project_id:s project_number:i {_TABLE} creation_time:t total_rows:i total_partitions:i total_logical_bytes:i "
        "active_logical_bytes:i long_term_logical_bytes:i current_physical_bytes:i total_physical_bytes:i "
        "active_physical_bytes:i long_term_physical_bytes:i time_travel_physical_bytes:i storage_last_modified_time:t "
        "deleted:b table_type:s managed_table_type:s fail_safe_physical_bytes:i last_metadata_index_refresh_time:t "
        "table_deletion_reason:s table_deletion_time:t"
    ),
}
_REGION_ONLY = frozenset({"SCHEMATA", "SCHEMATA_OPTIONS", "TABLE_STORAGE"})
# Views of the service that would need a history, rights or objects that are not kept here.
_ABSENT = (
    "JOBS", "SESSIONS", "RESERVATION", "ASSIGNMENT", "CAPACITY", "ROUTINE", "PARAMETERS", "OBJECT_PRIVILEGES",
    "TABLE_CONSTRAINTS", "KEY_COLUMN_USAGE", "CONSTRAINT_COLUMN_USAGE", "TABLE_SNAPSHOTS", "MATERIALIZED_VIEWS",
    "SEARCH_INDEX", "VECTOR_INDEX", "STREAMING_TIMELINE", "WRITE_API", "SCHEMATA_LINKS", "SCHEMATA_REPLICAS",
    "TABLE_STORAGE_", "EFFECTIVE_PROJECT_OPTIONS", "PROJECT_OPTIONS", "ORGANIZATION_OPTIONS", "RECOMMENDATIONS", "INSIGHTS",
    "SHARED_DATASET_USAGE", "PARTITIONS", "VIEWS",
)  # fmt: skip
_LEGACY = _fields(
    "project_id:s dataset_id:s table_id:s creation_time:i last_modified_time:i row_count:i size_bytes:i type:i"
)


def find(scope: Scope, parts: list[str], at: int) -> View:
    """The view that `[project.][dataset or region.]INFORMATION_SCHEMA.NAME` names."""
    shown = ".".join(parts)
    if at + 2 != len(parts) or at > 2:
        raise not_found("Table", shown, scope.location or "US")
    name = parts[-1].upper()
    project = parts[0] if at == 2 else scope.project
    holder = parts[at - 1] if at else None
    if name.startswith(_ABSENT):
        raise unsupported(f"INFORMATION_SCHEMA.{name}")
    if name not in VIEWS:
        raise not_found(
            "Table", f"{project}:{'.'.join(parts[at - 1 if at else 0 :])}", scope.location or "US"
        )
    if holder is None and scope.default and name not in _REGION_ONLY:
        project, holder = scope.default
    if holder is None or holder.lower().startswith("region-"):
        region = holder[7:] if holder else (scope.location or "US")
        if scope.location and region.upper() != scope.location.upper():
            raise not_found("Dataset", f"{project}:region-{region.lower()}", scope.location)
        scope.locations.add(region.upper() if len(region) == 2 else region.lower())
        _require_sight(scope, project, None, f"{project}:region-{region.lower()}.INFORMATION_SCHEMA.{name}")
        return _view(project, None, region.upper(), name)
    if name in _REGION_ONLY:
        raise not_found("Table", f"{project}:{holder}.INFORMATION_SCHEMA.{name}", scope.location or "US")
    dataset = find_dataset(scope, project, holder)
    _require_sight(scope, project, dataset.name, f"{project}:{dataset.name}.INFORMATION_SCHEMA.{name}")
    return _view(project, dataset.name, dataset.location.upper(), name)


def _require_sight(scope: Scope, project: str, dataset: str | None, shown: str) -> None:
    """What spans a region needs rights on the project; what a dataset holds, on the dataset."""
    if not scope.caller.may_see(project, dataset):
        raise access_denied(
            f"Table {shown}: User does not have permission to query table {shown}, or perhaps it does not exist."
        )


def legacy_tables(scope: Scope, dataset: Dataset) -> View:
    _require_sight(scope, dataset.project, dataset.name, f"{dataset.project}:{dataset.name}.__TABLES__")

    def rows(store: Store, fresh: Callable[[Table], Table]) -> Iterator[Row]:
        for table in map(fresh, store.list_tables(dataset.project, dataset.name)):
            yield (
                table.project, table.dataset, table.name, table.created, table.modified, total_rows(table.stats),
                total_bytes(table.stats), 2 if table.kind == "VIEW" else 1,
            )  # fmt: skip

    return View((dataset.project, dataset.name, "__TABLES__"), _LEGACY, rows)


def _view(project: str, dataset: str | None, region: str, name: str) -> View:
    def rows(store: Store, fresh: Callable[[Table], Table]) -> Iterator[Row]:
        datasets = {d.name: d for d in store.list_datasets(project) if d.location.upper() == region}
        if name.startswith("SCHEMATA"):
            for found in datasets.values():
                yield from _schemata(found) if name == "SCHEMATA" else _schema_options(found)
            return
        for table in store.list_tables(project, dataset):
            if table.dataset in datasets:
                yield from _ROWS[name](fresh(table) if name == "TABLE_STORAGE" else table)

    return View((project, dataset or "", region, name), VIEWS[name], rows)


def _time(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat()


def _schemata(d: Dataset) -> Iterator[Row]:
    yield (
        d.project,
        d.name,
        None,
        _time(d.created),
        _time(d.modified),
        d.location,
        ddl_text.schema(d),
        None,
        None,
    )


def _schema_options(d: Dataset) -> Iterator[Row]:
    for name, kind, value in ddl_text.dataset_options(d):
        yield d.project, d.name, name, kind, value


def _type(table: Table) -> str:
    return "VIEW" if table.kind == "VIEW" else "BASE TABLE"


def _tables(t: Table) -> Iterator[Row]:
    view = t.kind == "VIEW"
    yield (
        *t.key, _type(t), None if view else "NATIVE", "NO" if view else "YES", "NO", "YES", "NO", _time(t.created), None, None,
        None, None, ddl_text.table(t), "NULL", None, None,
    )  # fmt: skip


def _columns(t: Table) -> Iterator[Row]:
    part = _partitioning(t)
    clustered = {
        n.lower(): i for i, n in enumerate((t.resource.get("clustering") or {}).get("fields") or [], 1)
    }
    for position, f in enumerate(t.fields, 1):
        partitions = "YES" if part and part.column == f["name"] else "NO"
        yield (
            *t.key, f["name"], position, "NO" if f["mode"] == "REQUIRED" else "YES", standard_type(f), "NEVER", None, None,
            "NO", None, "NO", partitions, clustered.get(f["name"].lower()), "NULL", "NULL", None,
        )  # fmt: skip


def _field_paths(t: Table) -> Iterator[Row]:
    def walk(column: str, f: Field, path: str) -> Iterator[Row]:
        yield (*t.key, column, path, standard_type(f), f.get("description"), "NULL", None)
        for child in f.get("fields") or ():
            yield from walk(column, child, f"{path}.{child['name']}")

    for f in t.fields:
        yield from walk(f["name"], f, f["name"])


def _table_options(t: Table) -> Iterator[Row]:
    for name, kind, value in ddl_text.table_options(t):
        yield (*t.key, name, kind, value)


def _storage(t: Table) -> Iterator[Row]:
    if t.kind == "VIEW":
        return
    size = total_bytes(t.stats)
    parts = len((t.stats or {}).get("partitions", ())) if _partitioning(t) else 0
    yield (
        t.project, 0, *t.key, _time(t.created), total_rows(t.stats), parts, size, size, 0, size, size, size, 0, 0,
        _time(t.modified), False, "BASE TABLE", "NATIVE", 0, None, None, None,
    )  # fmt: skip


def _partitioning(t: Table) -> Partitioning | None:
    return None if t.kind == "VIEW" else partitioning(t.resource, t.fields)


_ROWS: dict[str, Callable[[Table], Iterator[Row]]] = {
    "TABLES": _tables, "COLUMNS": _columns, "COLUMN_FIELD_PATHS": _field_paths, "TABLE_OPTIONS": _table_options,
    "TABLE_STORAGE": _storage,
}  # fmt: skip


class Materialised:
    """The views in DuckDB, each for one generation of the directory."""

    def __init__(self, engine: Engine, store: Store, fresh: Callable[[Table], Table]) -> None:
        self._engine, self._store, self._fresh = engine, store, fresh
        self._lock = threading.Lock()
        self._tables: dict[tuple[str, ...], tuple[int, str]] = {}

    def table(self, view: View) -> str:
        """The name of a DuckDB table with the rows of the view as they are now."""
        with self._lock:
            generation = self._store.generation
            known = self._tables.get(view.key)
            if known is not None and known[0] == generation:
                return known[1]
            name = f"results.{new_name()}"
            rows = list(view.rows(self._store, self._fresh))
            with contextlib.closing(self._engine.cursor()) as cursor:
                cursor.execute(f"CREATE TABLE {name} ({columns_sql(view.fields)})")
                if rows:
                    names = [f["name"] for f in view.fields]
                    shape = json.dumps([dict.fromkeys(names, "VARCHAR")])
                    text = json.dumps([dict(zip(names, row, strict=True)) for row in rows])
                    cursor.execute(
                        f"INSERT INTO {name} SELECT unnest(r) FROM (SELECT unnest(from_json(?, ?)) AS r)",
                        [text, shape],
                    )
                if known is not None:
                    # A query that still reads the old table keeps its snapshot of it.
                    cursor.execute(f"DROP TABLE IF EXISTS {known[1]}")
            # Statistics computed on the way may have moved the generation: the rows are those of now.
            self._tables[view.key] = (self._store.generation, name)
            return name
