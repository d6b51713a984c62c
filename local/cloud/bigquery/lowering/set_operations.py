"""UNION, EXCEPT and INTERSECT match columns by position, the fields of structs too; DuckDB matches fields by name."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import BigQueryError, invalid_query, unsupported
from local.cloud.bigquery.lowering.kinds import unified
from local.cloud.bigquery.lowering.rules import Node, kind, rule


@rule(exp.Union, exp.Except, exp.Intersect)
def _set_operation(node: Any) -> Node:
    if node.args.get("by_name"):
        _check_by_name(node)
        return node
    left, right = _selects(node.this), _selects(node.expression)
    if left and right and len(left) != len(right):
        raise invalid_query(
            f"Queries in {type(node).__name__.upper()} have mismatched column count; query 1 has {len(left)} columns, "
            f"query 2 has {len(right)} columns"
        )
    if not isinstance(node.parent, exp.SetOperation):
        _unify(node, len(left))
    for index, (first, second) in enumerate(zip(left, right, strict=False)):
        if _same_names(first.type, second.type):
            continue
        if not isinstance(node.expression, exp.Select):
            raise unsupported("a set operation on structs whose fields have different names")
        _rename(node.expression, index, first.type)
    return node


def _leaves(node: Any) -> list[exp.Select]:
    """The SELECTs whose columns a set operation puts under each other."""
    while isinstance(node, exp.Subquery):
        node = node.this
    if isinstance(node, exp.SetOperation):
        return _leaves(node.this) + _leaves(node.expression)
    return [node] if isinstance(node, exp.Select) else []


def _unify(node: Any, width: int) -> None:
    """Each column has one type; a literal text among dates becomes one. DuckDB would make texts of them all."""
    queries = _leaves(node)
    for index in range(width):
        items = [q.expressions[index] for q in queries if index < len(q.expressions)]
        values = [i.this if isinstance(i, exp.Alias) else i for i in items]
        try:
            unified_values, _ = unified("", [v for v in values if kind(v) != "STRUCT"])
        except BigQueryError:
            kinds = ", ".join(kind(v) for v in values)
            raise invalid_query(
                f"Column {index + 1} in {type(node).__name__.upper()} has incompatible types: {kinds}"
            ) from None
        rest = iter(unified_values)
        for query, item, value in zip(queries, items, values, strict=True):
            new = value if kind(value) == "STRUCT" else next(rest)
            if new is not value and isinstance(item, exp.Alias):
                item.set("this", new)
            elif new is not value:
                query.expressions[index] = new
                new.parent = query


def _check_by_name(node: Any) -> None:
    plain = isinstance(node, exp.Union) and not any(node.args.get(a) for a in ("side", "kind", "on"))
    if not plain:
        raise unsupported("set operations BY NAME other than UNION [ALL | DISTINCT] BY NAME")
    left, right = ([s.alias_or_name.lower() for s in _selects(side)] for side in (node.this, node.expression))
    if set(left) != set(right):
        raise invalid_query(
            "UNION BY NAME: the inputs have different columns: " + ", ".join(sorted(set(left) ^ set(right)))
        )


def _selects(query: Any) -> list[Any]:
    """The columns of the first SELECT of a query: they name those of all the others."""
    while isinstance(query, exp.Subquery | exp.SetOperation):
        query = query.this
    return list(query.expressions) if isinstance(query, exp.Select) else []


def _same_names(first: Any, second: Any) -> bool:
    """Whether two types name their fields alike at every depth, as far as both have fields."""
    if not isinstance(first, exp.DataType) or not isinstance(second, exp.DataType):
        return True
    pairs = list(zip(first.expressions, second.expressions, strict=False))
    if first.this.name == "STRUCT" == second.this.name:
        return all(
            _name(i, f).lower() == _name(i, s).lower() and _same_names(_kind(f), _kind(s))
            for i, (f, s) in enumerate(pairs)
        )
    return all(_same_names(f, s) for f, s in pairs)


def _name(index: int, field: Any) -> str:
    return str(field.name) if isinstance(field, exp.ColumnDef) else f"_field_{index + 1}"


def _kind(field: Any) -> Any:
    return field.kind if isinstance(field, exp.ColumnDef) else field


def _rename(select: exp.Select, index: int, target: exp.DataType) -> None:
    """Give a struct that the SELECT writes out the names of the first input's fields."""
    item = select.expressions[index]
    value = item.this if isinstance(item, exp.Alias) else item
    if not isinstance(value, exp.Struct) or len(value.expressions) != len(target.expressions):
        raise unsupported("a set operation on structs whose fields have different names")
    for at, (pair, field) in enumerate(zip(value.expressions, target.expressions, strict=True)):
        if not _same_names(pair.expression.type, _kind(field)):
            raise unsupported("a set operation on nested structs whose fields have different names")
        pair.set("this", exp.to_identifier(_name(at, field), quoted=True))
