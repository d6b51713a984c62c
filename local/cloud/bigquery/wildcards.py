"""Wildcard tables: `events_*` is the union of the tables with that prefix, each row with its _TABLE_SUFFIX.

The newest table gives the columns; an older one that lacks a column has NULL there. Filters of the query's own
WHERE that compare _TABLE_SUFFIX with constants leave tables out before anything is read or counted. That `*` does
not show the pseudo column is sqlglot's doing.
"""

from collections.abc import Callable, Sequence

from sqlglot import exp

from local.cloud.bigquery.errors import BigQueryError, invalid_query, not_found, unsupported
from local.cloud.bigquery.fields import Field, duckdb_type, standard_type
from local.cloud.bigquery.store import Table

SUFFIX = "_TABLE_SUFFIX"
Decide = Callable[[exp.Expression], bool | None]


def matching(tables: Sequence[Table], pattern: str, location: str, shown: str) -> list[Table]:
    """The tables that the pattern names; a view among them is an error, and so is no table."""
    prefix = pattern[:-1]
    if "*" in prefix:
        raise invalid_query(f"Invalid table name: {shown}: the wildcard may only be its last character")
    found = [t for t in tables if t.name.startswith(prefix)]
    views = [t.name for t in found if t.kind == "VIEW"]
    if views:
        raise invalid_query(f"Views cannot be queried through prefix. First view {views[0]}.")
    if not found:
        raise not_found("Table", f"{shown} does not match any table:", location)
    return found


def suffix_filters(node: exp.Expression) -> list[exp.Expression]:
    """The conditions of the enclosing SELECT that speak of _TABLE_SUFFIX and constants only."""
    select = node.find_ancestor(exp.Select)
    where = select.args.get("where") if select is not None else None
    if where is None:
        return []
    parts = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    return [part for part in parts if _only_suffix(part)]


def _only_suffix(node: exp.Expression) -> bool:
    columns = list(node.find_all(exp.Column))
    plain = not any(node.find_all(exp.Select, exp.Subquery, exp.AggFunc, exp.Window, exp.Rand))
    return plain and bool(columns) and all(c.name.upper() == SUFFIX for c in columns)


def kept(tables: list[Table], pattern: str, filters: list[exp.Expression], decide: Decide) -> list[Table]:
    """The tables whose suffix the filters let through. A filter that can't be decided lets all through."""
    return [t for t in tables if all(_passes(f, t.name[len(pattern) - 1 :], decide) for f in filters)]


def _passes(condition: exp.Expression, suffix: str, decide: Decide) -> bool:
    tree = exp.Paren(this=condition.copy())
    for column in list(tree.find_all(exp.Column)):
        column.replace(exp.Literal.string(suffix))
    try:
        return decide(tree.this) is not False
    except BigQueryError:
        return True  # the query itself will be refused with the reason


def row_filters(node: exp.Expression) -> list[exp.Expression]:
    """The conditions of the enclosing SELECT that each row must meet by itself, when nothing else is in its FROM.

    Repeated inside the union they change no row, and let each table's partitions be left out.
    """
    select = node.find_ancestor(exp.Select)
    where = select.args.get("where") if select is not None else None
    clause = select.args.get("from_") if select is not None else None
    if where is None or clause is None or clause.this is not node or select.args.get("joins"):
        return []
    parts = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    odd = (exp.Select, exp.Subquery, exp.AggFunc, exp.Window, exp.Rand, exp.Anonymous)
    return [p for p in parts if not any(p.find_all(*odd)) and any(p.find_all(exp.Column))]


def union(
    tables: list[Table],
    newest: Table,
    pattern: str,
    filters: list[exp.Expression],
    source: Callable[[Table], str],
) -> exp.Expression:
    """One SELECT for each table, over the name that `source` gives it."""
    selects = [
        _filtered(
            exp.Select(expressions=_columns(table, newest.fields, table.name[len(pattern) - 1 :])).from_(
                exp.Table(this=exp.to_identifier(source(table), quoted=True))
            ),
            table,
            filters,
        )
        for table in tables
    ]
    if not selects:
        empty = [_named(_null(f), f["name"]) for f in newest.fields]
        empty.append(_named(exp.Literal.string(""), SUFFIX))
        return exp.Select(expressions=empty).where(exp.false())
    out: exp.Expression = selects[0]
    for select in selects[1:]:
        out = exp.Union(this=out, expression=select, distinct=False)
    return out


def _filtered(select: exp.Select, table: Table, filters: list[exp.Expression]) -> exp.Select:
    there = {f["name"].lower() for f in table.fields}
    for condition in filters:
        copied = exp.Paren(this=condition.copy())
        columns = list(copied.find_all(exp.Column))
        if all(c.name.lower() in there and not isinstance(c.parent, exp.Dot) for c in columns):
            for column in columns:
                column.replace(exp.column(column.name))
            select = select.where(copied, copy=False)
    return select


def _columns(table: Table, wanted: list[Field], suffix: str) -> list[exp.Expression]:
    there = {f["name"].lower(): f for f in table.fields}
    items: list[exp.Expression] = []
    for field in wanted:
        own = there.get(field["name"].lower())
        if own is not None and duckdb_type(own) != duckdb_type(field):
            raise unsupported(f"a wildcard over tables whose column {field['name']} has different types")
        items.append(_named(exp.column(own["name"]) if own is not None else _null(field), field["name"]))
    items.append(_named(exp.Literal.string(suffix), SUFFIX))
    return items


def _null(field: Field) -> exp.Expression:
    return exp.Cast(this=exp.Null(), to=exp.DataType.build(standard_type(field), dialect="bigquery"))


def _named(value: exp.Expression, name: str) -> exp.Expression:
    return exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True))
