"""UNION, EXCEPT and INTERSECT match columns by position, the fields of structs too; DuckDB matches fields by name."""

from typing import Any

from sqlglot import exp

from local.bigquery.errors import invalid_query, unsupported
from local.bigquery.lowering.rules import Node, rule


@rule(exp.Union, exp.Except, exp.Intersect)
def _set_operation(node: Any) -> Node:
    if node.args.get("by_name"):
        _check_by_name(node)
        return node
    left, right = _selects(node.this), _selects(node.expression)
    for index, (first, second) in enumerate(zip(left, right, strict=False)):
        if _same_names(first.type, second.type):
            continue
        if not isinstance(node.expression, exp.Select):
            raise unsupported("a set operation on structs whose fields have different names")
        _rename(node.expression, index, first.type)
    return node


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
