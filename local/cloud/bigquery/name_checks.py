"""Names that the resolver takes and BigQuery refuses, found before or beside the resolving.

- An alias of the SELECT list is not visible in WHERE, in ON or in the list itself; sqlglot would put its expression there.
- `* EXCEPT (x)` and `* REPLACE (… AS x)` need a column x; sqlglot leaves out what isn't there.
- An UNNEST without an alias hides nothing of the tables around it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import walk_in_scope

from local.cloud.bigquery.errors import BigQueryError, invalid_query, unsupported
from local.cloud.bigquery.fields import Field, repeated
from local.cloud.bigquery.functions import place

Resolve = Callable[[exp.Expression], exp.Expression]


def check(tree: exp.Expression, resolve: Resolve, resolve_without_aliases: Resolve, sql: str) -> None:
    """Raise what the service would; the two functions resolve a copy, the second one leaves aliases alone."""
    for join in tree.find_all(exp.Join):
        if join.method == "NATURAL":
            raise unsupported("NATURAL JOIN")
    if any(_clashing(select) for select in tree.find_all(exp.Select)):
        for select in resolve_without_aliases(tree.copy()).find_all(exp.Select):
            _check_aliases(select, sql)
    if any(_changed_names(star) for star in tree.find_all(exp.Star)):
        _check_stars(tree.copy(), resolve)


# -- aliases ------------------------------------------------------------------------------------------------------------


def _aliases(select: exp.Select) -> set[str]:
    return {s.alias.lower() for s in select.expressions if isinstance(s, exp.Alias)}


def _closed(select: exp.Select) -> Iterable[exp.Expression]:
    """The places of a SELECT that don't see its own aliases."""
    where = select.args.get("where")
    yield from [where] if where is not None else []
    yield from select.expressions
    for join in select.args.get("joins") or []:
        if join.args.get("on") is not None:
            yield join.args["on"]


def _bare_columns(select: exp.Select) -> Iterable[exp.Column]:
    names = _aliases(select)
    for part in _closed(select) if names else ():
        for node in walk_in_scope(part):
            if isinstance(node, exp.Column) and not node.table and node.name.lower() in names:
                yield node


def _clashing(select: exp.Select) -> bool:
    return any(True for _ in _bare_columns(select))


def _check_aliases(select: exp.Select, sql: str) -> None:
    for column in _bare_columns(select):
        start = column.this.meta.get("start") if isinstance(column.this, exp.Identifier) else None
        where = f" at {place(sql, start)}" if start is not None else ""
        raise invalid_query(f"Unrecognized name: {column.name}{where}")


# -- stars --------------------------------------------------------------------------------------------------------------


def _changed_names(star: exp.Star) -> list[str]:
    names = [c.name for c in star.args.get("except_") or []]
    return names + [c.alias for c in star.args.get("replace") or []]


def _check_stars(tree: exp.Expression, resolve: Resolve) -> None:
    """Ask for the columns by name, as a query of its own would."""
    for star in list(tree.find_all(exp.Star)):
        holder: Any = star.parent if isinstance(star.parent, exp.Column) else star
        select = holder.parent
        if not isinstance(select, exp.Select) or not isinstance(holder, exp.Star | exp.Column):
            continue
        table = holder.args.get("table") if isinstance(holder, exp.Column) else None
        for name in _changed_names(star):
            wanted = exp.Column(
                this=exp.to_identifier(name), table=table.copy() if table is not None else None
            )
            select.append("expressions", exp.alias_(wanted, f"__wanted_{name}"))
    try:
        resolve(tree)
    except BigQueryError as error:
        if "ambiguous" not in error.message:
            raise


# -- UNNEST -------------------------------------------------------------------------------------------------------------


def name_elements(tree: exp.Expression, fields: Iterable[Field]) -> None:
    """Name the elements of an UNNEST without an alias, so that the names around it stay theirs.

    Arrays of structs offer their fields as columns: those of tables are the resolver's affair, those written out
    become a subquery.
    """
    scalars = {f["name"].lower() for f in _every(fields) if repeated(f) and f["type"] != "RECORD"}
    for unnest in list(tree.find_all(exp.Unnest)):
        if unnest.args.get("alias") is not None or isinstance(unnest.parent, exp.In):
            continue
        operand = unnest.expressions[0] if len(unnest.expressions) == 1 else None
        if isinstance(operand, exp.Column | exp.Dot) and operand.name.lower() in scalars:
            alias = exp.TableAlias(columns=[exp.to_identifier("__element", quoted=True)])
            unnest.set("alias", alias)
        elif isinstance(operand, exp.Array):
            names = _written_fields(operand)
            if names and not unnest.args.get("offset"):
                unnest.replace(_as_subquery(unnest, names))


def _every(fields: Iterable[Field]) -> Iterable[Field]:
    for field in fields:
        yield field
        yield from _every(field.get("fields") or ())


def _written_fields(array: exp.Array) -> list[str]:
    first = array.expressions[0] if array.expressions else None
    if not isinstance(first, exp.Struct):
        return []
    names = [i.name if isinstance(i, exp.PropertyEQ) else i.alias for i in first.expressions]
    return names if all(names) else []


def _as_subquery(unnest: exp.Unnest, names: list[str]) -> exp.Expression:
    inner = exp.Unnest(
        expressions=[e.copy() for e in unnest.expressions],
        alias=exp.TableAlias(columns=[exp.to_identifier("__element", quoted=True)]),
    )
    columns = [
        exp.alias_(exp.column(name, table=exp.to_identifier("__element", quoted=True)), name)
        for name in names
    ]
    return exp.Subquery(this=exp.Select(expressions=columns).from_(inner))
