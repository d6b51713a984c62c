"""From the table names of a query to what they are: stored tables, views, INFORMATION_SCHEMA views.

Every named table is replaced by a short unique name (`__s0`), aliased as the query knows it, so that the
later steps need no rules for projects, regions or back-ticks. Views become subqueries.
"""

from sqlglot import exp

from local.cloud.bigquery import information_schema, wildcards
from local.cloud.bigquery.errors import access_denied, invalid_query, not_found, unsupported
from local.cloud.bigquery.functions import place
from local.cloud.bigquery.scope import Scope, Source, View, find_dataset
from local.cloud.bigquery.store import Table

_MAX_VIEW_DEPTH = 16


def bind(tree: exp.Expression, scope: Scope, sql: str, depth: int = 0) -> exp.Expression:
    """Replace every named table in `tree`; raises notFound for one that doesn't exist."""
    _refuse_unnamed_elements(tree)
    for node in list(tree.find_all(exp.Table)):
        if isinstance(node.this, exp.Func) or not isinstance(node.this, exp.Identifier):
            raise unsupported(f"the table function {node.sql('bigquery')[:60]}")
        _refuse_modifiers(node)
        if not node.db and _is_cte(node):
            continue
        path = _correlated(node)
        if path is not None:
            node.replace(path)
            continue
        replacement = _bound(node, scope, sql, depth)
        if node is tree:
            tree = replacement
        else:
            node.replace(replacement)
    return tree


def _refuse_unnamed_elements(tree: exp.Expression) -> None:
    for unnest in tree.find_all(exp.Unnest):
        alias, select = unnest.args.get("alias"), unnest.find_ancestor(exp.Select)
        named = alias is not None and (alias.columns or alias.this)
        if unnest.args.get("offset") and not named and select is not None and select.is_star:
            raise unsupported(
                "SELECT * over an UNNEST … WITH OFFSET without an alias; write UNNEST(…) AS x WITH OFFSET AS o"
            )


def _refuse_modifiers(node: exp.Table) -> None:
    if node.args.get("sample"):
        raise unsupported("TABLESAMPLE")
    if node.args.get("version") or node.args.get("when"):
        raise unsupported(
            "FOR SYSTEM_TIME AS OF: no earlier state of a table is kept; query the table as it is now"
        )


def _is_cte(node: exp.Table) -> bool:
    """Whether a bare name is a common table expression that is visible at this place."""
    name = node.name.lower()
    path = {id(node)}
    parent = node.parent
    while parent is not None:
        clause = parent.args.get("with_")
        for cte in clause.expressions if clause is not None else ():
            inside = id(cte) in path
            if inside and not clause.args.get("recursive"):
                break  # a common table expression sees only those before it
            if cte.alias.lower() == name:
                return True
            if inside:
                break
        path.add(id(parent))
        parent = parent.parent
    return False


def _correlated(node: exp.Table) -> exp.Expression | None:
    """`FROM t, t.items` names an array of an earlier table: it means UNNEST(t.items)."""
    first = (node.args.get("catalog") or node.args.get("db")) if node.db else None
    select = node.find_ancestor(exp.Select)
    if first is None or select is None or first.args.get("quoted"):
        return None
    clause = select.args.get("from_")
    earlier = [clause.this] if clause is not None else []
    for join in select.args.get("joins") or []:
        if join.this is node:
            break
        earlier.append(join.this)
    if node in earlier or first.name.lower() not in {
        e.alias_or_name.lower() for e in earlier if e is not node
    }:
        return None
    parts = [p.copy() for p in (node.args.get("catalog"), node.args.get("db"), node.this) if p is not None]
    column: exp.Expression = exp.column(parts[1], table=parts[0])
    for extra in parts[2:]:
        column = exp.Dot(this=column, expression=extra)
    alias = node.alias or parts[-1].name
    return exp.Unnest(expressions=[column], alias=exp.TableAlias(columns=[exp.to_identifier(alias)]))


def _bound(node: exp.Table, scope: Scope, sql: str, depth: int) -> exp.Expression:
    parts = _parts(node)
    alias = node.alias or parts[-1].split(".")[-1]
    shown = ".".join(parts)
    if parts[-1].endswith("*"):
        return _with_clauses(_wildcard(node, parts, alias, scope, shown), node)
    found = _resolve(parts, scope, shown, node, sql)
    if isinstance(found, Table) and found.kind == "VIEW":
        if depth >= _MAX_VIEW_DEPTH:
            raise invalid_query(f"Reached the maximum nesting depth of views at {found.id}")
        query = found.resource["view"]["query"]
        inner_scope = Scope(
            scope.store, scope.parse, found.project, None, scope.location, scope.caller, scope.decide, scope.sources,
            scope.locations, scope.views,
        )  # fmt: skip
        tree = bind(scope.parse(query), inner_scope, query, depth + 1)
        scope.views.append(found)
        out: exp.Expression = exp.Subquery(this=tree, alias=exp.TableAlias(this=exp.to_identifier(alias)))
    else:
        name = f"__s{len(scope.sources)}"
        if isinstance(found, Table):
            scope.sources[name] = Source(name, found.fields, table=found)
        else:
            scope.sources[name] = Source(name, found.fields, view=found)
        out = exp.Table(
            this=exp.to_identifier(name, quoted=True), alias=exp.TableAlias(this=exp.to_identifier(alias))
        )
    return _with_clauses(out, node)


def _with_clauses(out: exp.Expression, node: exp.Table) -> exp.Expression:
    for key in ("pivots", "joins", "laterals"):
        if node.args.get(key):
            out.set(key, node.args[key])
    return out


def _wildcard(node: exp.Table, parts: list[str], alias: str, scope: Scope, shown: str) -> exp.Expression:
    """The union of the tables that `prefix*` names, without those that a filter on _TABLE_SUFFIX leaves out."""
    project, dataset_name, pattern = _qualified(parts, scope, shown)
    dataset = find_dataset(scope, project, dataset_name)
    tables = scope.store.list_tables(project, dataset_name)
    found = wildcards.matching(tables, pattern, dataset.location, shown)
    _require_read(found[0], scope)
    newest = max(found, key=lambda t: (t.created, t.name))
    left = wildcards.kept(found, pattern, wildcards.suffix_filters(node), scope.decide)

    def named(table: Table) -> str:
        name = f"__s{len(scope.sources)}"
        scope.sources[name] = Source(name, table.fields, table=table)
        return name

    query = wildcards.union(left, newest, pattern, wildcards.row_filters(node), named)
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias)))


def _parts(node: exp.Table) -> list[str]:
    """`project.dataset.table` in whatever mix of quoting it came."""
    out: list[str] = []
    for part in node.parts:
        out += [p for p in part.name.split(".") if p]
    return out


def _resolve(parts: list[str], scope: Scope, shown: str, node: exp.Table, sql: str) -> Table | View:
    upper = [p.upper() for p in parts]
    if "INFORMATION_SCHEMA" in upper:
        return information_schema.find(scope, parts, upper.index("INFORMATION_SCHEMA"))
    if len(parts) == 1:
        if scope.default is None:
            start = node.this.meta.get("start")
            where = f" at {place(sql, start)}" if start is not None else ""
            raise invalid_query(
                f'Table "{shown}" must be qualified with a dataset (e.g. dataset.table).{where}'
            )
        parts = [*scope.default, *parts]
    project, dataset_name, name = _qualified(parts, scope, shown)
    dataset = find_dataset(scope, project, dataset_name)
    if name == "__TABLES__":
        return information_schema.legacy_tables(scope, dataset)
    table = scope.store.find_table(project, dataset_name, name)
    if table is None:
        raise not_found("Table", f"{project}:{dataset_name}.{name}", dataset.location)
    _require_read(table, scope)
    return table


def _qualified(parts: list[str], scope: Scope, shown: str) -> tuple[str, str, str]:
    if len(parts) == 1 and scope.default is not None:
        parts = [*scope.default, *parts]
    if len(parts) == 2:
        parts = [scope.default[0] if scope.default else scope.project, *parts]
    if len(parts) != 3:
        raise invalid_query(f"Invalid table name: {shown}")
    return parts[0], parts[1], parts[2]


def _require_read(table: Table, scope: Scope) -> None:
    if not scope.caller.may_read(table.project, table.dataset):
        raise access_denied(
            f"Table {table.id}: User does not have permission to query table {table.id}, or perhaps it does not exist."
        )
