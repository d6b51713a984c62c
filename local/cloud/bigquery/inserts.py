"""INSERT of rows: the values are a query, resolved and typed like any other, and are put behind the others at once."""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

from dataclasses import replace
from typing import Any

from sqlglot import exp

from local.cloud.bigquery import parameters
from local.cloud.bigquery.assignments import check_assignable, literal_columns, without_default
from local.cloud.bigquery.auth import Caller
from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.fields import Field, quote, stored_sql
from local.cloud.bigquery.planner import Planner, QueryPlan, QueryRequest
from local.cloud.bigquery.results import check_values
from local.cloud.bigquery.store import Table


def plan(
    planner: Planner,
    tree: exp.Insert,
    request: QueryRequest,
    called: frozenset[str],
    caller: Caller,
    target: Table,
) -> QueryPlan:
    """The plan of the statement; its SQL gives the rows in the order of `columns`."""
    tree = parameters.bind(tree, request.parameters, request.parameter_mode)
    request = replace(request, parameters=[], parameter_mode=None)
    given = tree.this.expressions if isinstance(tree.this, exp.Schema) else []
    columns = _columns(target, [c.name for c in given] or [f["name"] for f in target.fields])
    source: Any = tree.expression
    if isinstance(source, exp.Values):
        source = _values_query(source, len(columns))
    if not isinstance(source, exp.Query):
        raise unsupported("this form of INSERT")
    literals = literal_columns(source)
    inner = planner.query(source.copy(), request, called, caller)
    if len(inner.fields) != len(columns):
        raise _wrong_count(len(inner.fields), len(columns))
    for value, column, literal in zip(inner.fields, columns, literals, strict=True):
        check_assignable(value, column, literal)
    tables = [target, *(table for table in inner.tables if table.key != target.key)]
    made = QueryPlan("INSERT", tree, inner.sql, inner.fields, tables, inner.bytes, request.location)
    made.columns = columns
    return made


def _columns(target: Table, names: list[str]) -> list[Field]:
    known = {f["name"].lower(): f for f in target.fields}
    out: list[Field] = []
    for name in names:
        found = known.get(name.lower())
        if found is None:
            raise invalid_query(f"Column {name} is not present in table {target.id}")
        if found in out:
            raise invalid_query(f"Column {name} is named more than once")
        out.append(found)
    return out


def _values_query(values: exp.Values, width: int) -> exp.Query:
    """VALUES as a UNION ALL of selects, so that each expression is resolved and typed like any other."""
    selects: list[exp.Query] = []
    for row in values.expressions:
        items = row.expressions if isinstance(row, exp.Tuple) else [row.unnest()]
        if len(items) != width:
            raise _wrong_count(len(items), width)
        named = [
            exp.Alias(this=without_default(item.copy()), alias=exp.to_identifier(f"v{index}"))
            for index, item in enumerate(items)
        ]
        selects.append(exp.Select(expressions=named))
    out = selects[0]
    for select in selects[1:]:
        out = exp.Union(this=out, expression=select, distinct=False)
    return out


def _wrong_count(given: int, wanted: int) -> Exception:
    return invalid_query(f"Inserted row has wrong column count; Has {given}, expected {wanted}")


def apply(cursor: Any, target: Table, made: QueryPlan) -> int:
    """Insert inside the caller's transaction; answers the number of rows."""
    names = ", ".join(f"v{i}" for i in range(len(made.columns)))
    stored = ", ".join(
        f"{stored_sql(f'v{i}', value, column)} AS v{i}"
        for i, (value, column) in enumerate(zip(made.fields, made.columns, strict=True))
    )
    cursor.execute(f"CREATE TEMP TABLE selected AS SELECT {stored} FROM ({made.sql}) AS q({names})")
    check_values(cursor, "selected", [c | {"name": f"v{i}"} for i, c in enumerate(made.columns)])
    columns = ", ".join(quote(c["name"]) for c in made.columns)
    sql = f"INSERT INTO {quote(str(target.physical))} ({columns}) SELECT * FROM selected"
    count = int(cursor.execute(sql).fetchone()[0])
    cursor.execute("DROP TABLE selected")
    return count
