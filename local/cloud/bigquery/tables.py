"""Create, change and remove datasets and tables; and the size statistics of tables."""

import contextlib
import threading
from dataclasses import replace
from typing import Any

from local.cloud.bigquery import partitions
from local.cloud.bigquery.engine import Engine, columns_sql, new_name
from local.cloud.bigquery.errors import duplicate, invalid, not_found, unsupported
from local.cloud.bigquery.fields import Field, canonical_all
from local.cloud.bigquery.names import check_dataset_name, check_table_name
from local.cloud.bigquery.store import Dataset, Store, Table, now_ms

_DATASET_KEYS = frozenset(
    [
        "description",
        "friendlyName",
        "labels",
        "defaultTableExpirationMs",
        "access",
        "defaultPartitionExpirationMs",
    ]
)
_TABLE_KEYS = frozenset(
    ["description", "friendlyName", "labels", "timePartitioning", "rangePartitioning", "clustering",
     "requirePartitionFilter", "expirationTime"]
)  # fmt: skip


class Tables:
    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine, self.store = engine, store
        self._stats_lock = threading.Lock()

    # -- datasets

    def create_dataset(self, project: str, resource: dict[str, Any]) -> Dataset:
        name = (resource.get("datasetReference") or {}).get("datasetId")
        check_dataset_name(name)
        kept = {k: v for k, v in resource.items() if k in _DATASET_KEYS}
        location = str(resource.get("location") or "US")
        location = location.upper() if len(location) == 2 else location.lower()
        return self.store.add_dataset(project, str(name), location, kept)

    def delete_dataset(self, dataset: Dataset, *, delete_contents: bool) -> None:
        tables = self.store.list_tables(dataset.project, dataset.name)
        if tables and not delete_contents:
            raise invalid(f"Dataset {dataset.project}:{dataset.name} is still in use").__class__(
                400, "resourceInUse", f"Dataset {dataset.project}:{dataset.name} is still in use"
            )
        self.store.remove_dataset(dataset)
        for table in tables:
            self.engine.drop(table.physical)

    # -- tables

    def get(self, project: str, dataset: str, name: str) -> Table:
        self.store.get_dataset(project, dataset)
        found = self.store.find_table(project, dataset, name)
        if found is None:
            raise not_found("Table", f"{project}:{dataset}.{name}")
        return found

    def create(self, project: str, dataset: str, resource: dict[str, Any]) -> Table:
        """A new empty table."""
        name = (resource.get("tableReference") or {}).get("tableId")
        check_table_name(name)
        self.store.get_dataset(project, dataset)
        if self.store.find_table(project, dataset, str(name)):
            raise duplicate("Table", f"{project}:{dataset}.{name}")
        if resource.get("view"):
            raise unsupported("a view made by tables.insert; use CREATE VIEW")
        table = self.draft(project, dataset, str(name), resource)
        with self.engine.writing() as cursor:
            table = replace(table, physical=self.engine.create(cursor, table.fields))
        with self.store.transaction():
            if self.store.find_table(project, dataset, str(name)):
                raise duplicate("Table", f"{project}:{dataset}.{name}")
            return self.store.put_table(table)

    def draft(
        self,
        project: str,
        dataset: str,
        name: str,
        resource: dict[str, Any],
        fields: list[Field] | None = None,
    ) -> Table:
        """The validated directory row of a table that doesn't exist yet."""
        for key in ("externalDataConfiguration", "materializedView", "snapshotDefinition", "cloneDefinition"):
            if resource.get(key):
                raise unsupported(f"tables with {key}")
        kept = {k: v for k, v in resource.items() if k in _TABLE_KEYS and v is not None}
        at = now_ms()
        view = resource.get("view")
        if view:
            if view.get("useLegacySql"):
                raise unsupported("legacy SQL views")
            kept["view"] = {"query": view["query"], "useLegacySql": False}
            return Table(project, dataset, name, "VIEW", None, at, at, 0, list(fields or ()), kept)
        given = fields if fields is not None else (resource.get("schema") or {}).get("fields") or []
        columns = canonical_all(given)
        partitions.partitioning(kept, columns)
        partitions.check_clustering(kept, columns)
        return Table(project, dataset, name, "TABLE", None, at, at, 0, columns, kept)

    def delete(self, table: Table, job: str | None = None) -> None:
        with self.store.transaction():
            self.store.remove_table(table)
            if job is not None:
                self.store.mark_applied(job)
        self.engine.drop(table.physical)

    # -- content

    def swap(self, table: Table, physical: str, job: str) -> Table:
        """Make `physical` the content of the table, in one step that readers see whole and that names its job."""
        previous = self.store.find_table(*table.key)
        changed = replace(table, physical=physical, modified=now_ms(), stats=None)
        if previous is not None:
            changed = replace(changed, created=previous.created, version=previous.version + 1)
        with self.store.transaction():
            self.store.put_table(changed)
            self.store.mark_applied(job)
        if previous is not None and previous.physical not in (None, physical):
            self.engine.drop(previous.physical)
        return self.fresh(changed)

    def touch(self, table: Table) -> Table:
        """Say that the content is about to change: its statistics are unknown until they are computed again."""
        current = self.store.find_table(*table.key) or table
        return self.store.put_table(
            replace(current, stats=None, modified=now_ms(), version=current.version + 1)
        )

    def fresh(self, table: Table) -> Table:
        """The table with statistics that describe its content."""
        if table.kind == "VIEW" or table.stats is not None:
            return table
        with self._stats_lock:
            current = self.store.find_table(*table.key)
            if current is None or current.physical is None:
                return replace(table, stats={"leaves": [], "partitions": []})
            if current.stats is not None:
                return current
            with self.engine.write_lock, contextlib.closing(self.engine.cursor()) as cursor:
                current = self.store.find_table(*table.key) or current
                measured = replace(current, stats=partitions.compute(cursor, current))
                return self.store.put_table(measured)

    def new_physical(self, cursor: Any, fields: list[Field], select: str) -> str:
        """A physical table filled from a query, inside the caller's transaction."""
        name = new_name()
        cursor.execute(f"CREATE TABLE {name} ({columns_sql(fields)})")
        cursor.execute(f"INSERT INTO {name} {select}")
        return name
