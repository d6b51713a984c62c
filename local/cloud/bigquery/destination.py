"""The table that a query job names for its result: made, replaced or appended to in one step."""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

from typing import Any

from local.cloud.bigquery.assignments import check_assignable
from local.cloud.bigquery.errors import BigQueryError, invalid, not_found
from local.cloud.bigquery.fields import quote, stored_sql
from local.cloud.bigquery.load import has_rows
from local.cloud.bigquery.planner import select_sql
from local.cloud.bigquery.results import Result
from local.cloud.bigquery.statements import Statements
from local.cloud.bigquery.store import Table
from local.cloud.bigquery.tables import Tables


def write(
    tables: Tables,
    statements: Statements,
    target: dict[str, Any],
    config: dict[str, Any],
    result: Result,
    mark: str,
) -> None:
    """Put the result where `target` says; `mark` is left in the same transaction, so a repetition can be told."""
    project, dataset, name = target["projectId"], target["datasetId"], target["tableId"]
    tables.store.get_dataset(project, dataset)
    existing = tables.store.find_table(project, dataset, name)
    disposition = config.get("writeDisposition") or "WRITE_EMPTY"
    if existing is None and config.get("createDisposition") == "CREATE_NEVER":
        raise not_found("Table", f"{project}:{dataset}.{name}")
    if existing is not None and existing.kind == "VIEW":
        raise invalid(f"{existing.id} is not allowed for this operation because it is currently a VIEW.")
    if existing is not None and disposition == "WRITE_EMPTY" and has_rows(tables, existing):
        raise BigQueryError(409, "duplicate", f"Already Exists: Table {existing.id}")
    if existing is not None and disposition == "WRITE_APPEND":
        sql = _append_sql(existing, result)
        statements.write(existing, mark, lambda cursor: int(cursor.execute(sql).fetchone()[0]))
        return
    partitioned = ("timePartitioning", "rangePartitioning", "clustering")
    resource = {k: config[k] for k in partitioned if config.get(k)}
    known = existing.resource if existing is not None else {}
    draft = tables.draft(project, dataset, name, known | resource, result.fields)
    with tables.engine.writing() as cursor:
        select = select_sql(f"SELECT * FROM {result.table}", result.fields)
        physical = tables.new_physical(cursor, draft.fields, select)
    tables.swap(draft, physical, mark)


def _append_sql(table: Table, result: Result) -> str:
    """The rows of a result put behind those of a table, column by column by name."""
    known = {f["name"].lower(): f for f in table.fields}
    names, values = [], []
    for given in result.fields:
        column = known.get(given["name"].lower())
        if column is None:
            raise invalid(
                f"Provided Schema does not match Table {table.id}. Cannot add fields (field: {given['name']})"
            )
        check_assignable(given, column)
        names.append(quote(column["name"]))
        values.append(stored_sql(quote(given["name"]), given, column))
    return (
        f"INSERT INTO {quote(str(table.physical))} ({', '.join(names)}) "
        f"SELECT {', '.join(values)} FROM {result.table}"
    )
