"""CREATE, DROP and INSERT. Each changes stored tables in one step that a crash can't halve."""

import contextlib
from collections.abc import Callable
from typing import Any

import duckdb
from sqlglot import exp

from local.cloud.bigquery import ddl_tree, inserts
from local.cloud.bigquery.assignments import check_assignable
from local.cloud.bigquery.auth import Caller
from local.cloud.bigquery.errors import (
    BigQueryError,
    access_denied,
    duplicate,
    invalid_query,
    not_found,
    unsupported,
)
from local.cloud.bigquery.fields import quote
from local.cloud.bigquery.planner import Planner, QueryPlan, QueryRequest, select_sql, translate
from local.cloud.bigquery.results import check_values
from local.cloud.bigquery.store import Table
from local.cloud.bigquery.tables import Tables

Key = tuple[str, str, str]


class Statements:
    """Plans for everything that is not a SELECT; `run` applies one."""

    def __init__(self, planner: Planner, tables: Tables) -> None:
        self.planner, self.tables = planner, tables

    def plan(
        self, tree: exp.Expression, request: QueryRequest, called: frozenset[str], caller: Caller
    ) -> QueryPlan:
        """The plan of a statement, checked as far as a dry run checks it."""
        if isinstance(tree, exp.Create):
            return self._plan_create(tree, request, called, caller)
        if isinstance(tree, exp.Insert):
            target = self._target(tree, request)
            plan = inserts.plan(self.planner, tree, request, called, caller, target)
            plan.location = self._dataset(target.key, request)
            return plan
        if isinstance(tree, exp.Drop) and (what := str(tree.args["kind"]).upper()) in ("TABLE", "VIEW"):
            return QueryPlan(f"DROP_{what}", tree, location=self._location(tree.this, request))
        raise unsupported(f"the statement {_shown(tree)}")

    def run(self, plan: QueryPlan, request: QueryRequest, job: str) -> int:
        """Apply the statement; answers the number of rows changed."""
        tree = plan.tree
        if isinstance(tree, exp.Create):
            return self._run_create(plan, tree, request, job)
        if isinstance(tree, exp.Drop):
            return self._run_drop(tree, request, job)
        table = plan.tables[0]
        return self._write(table, job, lambda cursor: inserts.apply(cursor, table, plan))

    def _write(self, table: Table, job: str, change: Callable[[Any], int]) -> int:
        """Change the content in one transaction that also says that the job was applied."""
        with self.tables.engine.write_lock:
            self.tables.touch(table)
            try:
                with self.tables.engine.writing(job) as cursor:
                    count = change(cursor)
            except duckdb.Error as error:
                raise translate(error) from None
        self.tables.fresh(self.tables.get(*table.key))
        return count

    # -- targets

    def _key(self, node: exp.Expression, request: QueryRequest) -> Key:
        table = node.find(exp.Table) if not isinstance(node, exp.Table) else node
        parts = [p for part in table.parts for p in part.name.split(".") if p] if table is not None else []
        if len(parts) == 1 and request.default:
            parts = [*request.default, *parts]
        if len(parts) == 2:
            parts = [request.default[0] if request.default else request.project, *parts]
        if len(parts) != 3:
            raise invalid_query(f"Invalid table name: {'.'.join(parts)}")
        return parts[0], parts[1], parts[2]

    def _dataset(self, key: Key, request: QueryRequest) -> str:
        dataset = self.tables.store.find_dataset(key[0], key[1])
        if dataset is None or (request.location and dataset.location.upper() != request.location.upper()):
            raise not_found("Dataset", f"{key[0]}:{key[1]}", request.location or "US")
        return dataset.location

    def _location(self, node: exp.Expression, request: QueryRequest) -> str | None:
        if not isinstance(node, exp.Table) or not node.db:
            return request.location
        with contextlib.suppress(BigQueryError):
            return self._dataset(self._key(node, request), request)
        return request.location

    def _target(self, node: exp.Expression, request: QueryRequest) -> Table:
        key = self._key(node, request)
        location = self._dataset(key, request)
        table = self.tables.store.find_table(*key)
        if table is None:
            raise not_found("Table", f"{key[0]}:{key[1]}.{key[2]}", location)
        if table.kind == "VIEW":
            raise invalid_query(f"{table.id} is a view and can't be changed by DML")
        return table

    # -- DDL

    def _plan_create(
        self, tree: exp.Create, request: QueryRequest, called: frozenset[str], caller: Caller
    ) -> QueryPlan:
        what = str(tree.args["kind"]).upper()
        if what not in ("TABLE", "VIEW", "SCHEMA") or tree.find(exp.TemporaryProperty):
            raise unsupported(f"CREATE {what}" + (" (temporary)" if what == "TABLE" else ""))
        if what == "SCHEMA":
            return QueryPlan("CREATE_SCHEMA", tree)
        if what == "VIEW" and isinstance(tree.this, exp.Schema):
            raise unsupported("a column list in CREATE VIEW; name the columns in the query")
        location = self._dataset(self._key(tree.this, request), request)
        query = tree.expression
        statement = f"CREATE_{what}" + ("_AS_SELECT" if what == "TABLE" and query is not None else "")
        plan = QueryPlan(statement, tree, location=location)
        if isinstance(query, exp.Query):
            _require_names(query, what)
            inner = self.planner.query(query.copy(), request, called, caller)
            plan.sql, plan.fields, plan.tables = inner.sql, inner.fields, inner.tables
            plan.bytes = 0 if what == "VIEW" else inner.bytes
        elif query is not None:
            raise unsupported(f"CREATE {what} … {type(query).__name__.upper()}")
        self.draft(plan, tree, request)
        return plan

    def draft(self, plan: QueryPlan, tree: exp.Create, request: QueryRequest) -> Table:
        """The directory row that the statement describes."""
        key = self._key(tree.this, request)
        resource = ddl_tree.options(tree)
        if str(tree.args["kind"]).upper() == "VIEW":
            resource["view"] = {"query": ddl_tree.original_query(request.sql, tree)}
            return self.tables.draft(*key, resource, plan.fields)
        columns = (
            [ddl_tree.column(c) for c in tree.this.expressions if isinstance(c, exp.ColumnDef)]
            if isinstance(tree.this, exp.Schema)
            else []
        )
        if columns and plan.fields and len(columns) != len(plan.fields):
            raise invalid_query(
                "The number of columns in the column definition list does not match the query"
            )
        for given, column in zip(plan.fields, columns, strict=False):
            check_assignable(given, column)
        kinds = {f["name"].lower(): f["type"] for f in columns or plan.fields}
        resource |= ddl_tree.partition_options(tree, kinds)
        return self.tables.draft(*key, resource, columns or plan.fields)

    def _run_create(self, plan: QueryPlan, tree: exp.Create, request: QueryRequest, job: str) -> int:
        if plan.statement == "CREATE_SCHEMA":
            return self._create_schema(tree, request)
        key = self._key(tree.this, request)
        existing = self.tables.store.find_table(*key)
        if existing is not None and not tree.args.get("replace"):
            if tree.args.get("exists"):
                return 0
            raise duplicate("Table", f"{key[0]}:{key[1]}.{key[2]}")
        draft = self.draft(plan, tree, request)
        if draft.kind == "VIEW":
            with self.tables.store.transaction():
                self.tables.store.put_table(draft)
                self.tables.store.mark_applied(job)
            if existing is not None:
                self.tables.engine.drop(existing.physical)
            return 0
        try:
            with self.tables.engine.writing() as cursor:
                if plan.sql:
                    select = select_sql(plan.sql, plan.fields)
                    physical = self.tables.new_physical(cursor, draft.fields, select)
                    check_values(cursor, quote(physical), draft.fields)
                else:
                    physical = self.tables.engine.create(cursor, draft.fields)
        except duckdb.Error as error:
            raise translate(error) from None
        self.tables.swap(draft, physical, job)
        return 0

    def _create_schema(self, tree: exp.Create, request: QueryRequest) -> int:
        parts = [p for part in tree.this.parts for p in part.name.split(".") if p]
        project, name = (parts[-2], parts[-1]) if len(parts) > 1 else (request.project, parts[-1])
        if tree.args.get("exists") and self.tables.store.find_dataset(project, name):
            return 0
        options = ddl_tree.options(tree)
        location = options.pop("location", request.location or "US")
        self.tables.create_dataset(
            project, {"datasetReference": {"datasetId": name}, "location": location, **options}
        )
        return 0

    def _run_drop(self, tree: exp.Drop, request: QueryRequest, job: str) -> int:
        if len(tree.args["tables"]) != 1:
            raise unsupported("DROP of several tables in one statement")
        key = self._key(tree.args["tables"][0], request)
        table = self.tables.store.find_table(*key)
        if table is None:
            if tree.args.get("exists"):
                return 0
            raise not_found("Table", f"{key[0]}:{key[1]}.{key[2]}", request.location or "US")
        what = str(tree.args["kind"]).upper()
        if table.kind != what:
            raise invalid_query(f"{table.id} is not a {what}")
        self.tables.delete(table, job)
        return 0


def _shown(tree: exp.Expression) -> str:
    """The words that name a statement: UPDATE, DROP VIEW."""
    kind = tree.args.get("kind") if isinstance(tree, exp.Drop) else None
    return " ".join([type(tree).__name__.upper(), *([str(kind).upper()] if kind else [])])


def _require_names(query: Any, what: str) -> None:
    for number, item in enumerate(query.selects, 1):
        if not isinstance(item, exp.Alias | exp.Column | exp.Dot | exp.Star):
            raise invalid_query(f"CREATE {what} columns must be named, but column {number} has no name")


def require_editor(allowed: bool, project: str) -> None:
    if not allowed:
        raise access_denied(
            f"Project {project}: User does not have permission to change tables in project {project}."
        )
