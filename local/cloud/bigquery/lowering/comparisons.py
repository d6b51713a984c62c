"""Comparison: the types must fit, NaN equals nothing, structs compare field by field, arrays and JSON not at all."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.kinds import coerced, comparable, is_number_literal, supertype
from local.cloud.bigquery.lowering.rules import Node, call, kind, no_signature, rule, typed

_SYMBOLS = {
    exp.EQ: "=", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip
_EQUALITY = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)


def _compared(name: str, left: Node, right: Node) -> tuple[Node, Node]:
    """Both sides with the type in which they are compared."""
    kinds = kind(left), kind(right)
    if not comparable(left, right) or {*kinds} & {"ARRAY", "JSON"}:
        raise no_signature(f"operator {name}", *kinds)
    # A text literal beside a date takes the date's type, also where DuckDB would compare texts.
    wanted = supertype([left, right]) or ""
    return (
        (coerced(left, wanted), coerced(right, wanted))
        if wanted not in ("INT64", "FLOAT64")
        else (left, right)
    )


@rule(*_SYMBOLS)
def _comparison(node: exp.Binary) -> Node:
    name = _SYMBOLS[type(node)]
    if _is_struct(node.this) or _is_struct(node.expression):
        return _struct_comparison(node, name)
    left, right = _compared(name, node.this, node.expression)
    if left is not node.this:
        node.set("this", left)
    if right is not node.expression:
        node.set("expression", right)
    return _without_nan(node)


# -- NaN ----------------------------------------------------------------------------------------------------------------


def _isnan(node: Node) -> Node | None:
    """The test, where the value could be NaN."""
    return call("isnan", node.copy()) if kind(node) == "FLOAT64" and not is_number_literal(node) else None


def _without_nan(node: exp.Binary) -> Node:
    """DuckDB takes NaN for the greatest number and equal to itself; in BigQuery every comparison with it fails."""
    left, right = _isnan(node.this), _isnan(node.expression)
    if isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
        return node
    if isinstance(node, exp.EQ | exp.NEQ):
        if left is None or right is None:
            return node
        both = exp.Paren(this=exp.And(this=left, expression=right))
        if isinstance(node, exp.EQ):
            return _both(node, exp.Not(this=both))
        return typed(exp.Paren(this=exp.Or(this=node, expression=both)), "BOOL")
    greater, other = (left, node.expression) if isinstance(node, exp.GT | exp.GTE) else (right, node.this)
    if greater is None:
        return node
    test: Node = exp.Not(this=greater)
    if not is_number_literal(other):
        # NaN > NULL stays NULL.
        missing = exp.Is(this=exp.Paren(this=other.copy()), expression=exp.Null())
        test = exp.Paren(this=exp.Or(this=test, expression=missing))
    return _both(node, test)


def _both(node: Node, test: Node) -> Node:
    return typed(exp.Paren(this=exp.And(this=node, expression=test)), "BOOL")


# -- structs ------------------------------------------------------------------------------------------------------------


def _is_struct(node: Node) -> bool:
    return isinstance(node, exp.Tuple) or kind(node) == "STRUCT"


def _fields(node: Node) -> list[Node]:
    """The values of a struct's fields."""
    if isinstance(node, exp.Tuple):
        return list(node.expressions)
    if isinstance(node, exp.Struct):
        return [p.expression for p in node.expressions]
    found: Any = node.type
    children = found.expressions if isinstance(found, exp.DataType) else []
    if not children or not all(isinstance(c, exp.ColumnDef) for c in children):
        raise unsupported("comparing structs whose fields aren't named")
    out = []
    for child in children:
        value = call("struct_extract", node.copy(), child.name)
        value.type = child.kind
        out.append(value)
    return out


def _struct_comparison(node: exp.Binary, name: str) -> Node:
    if not isinstance(node, _EQUALITY):
        raise no_signature(f"operator {name}", kind(node.this), kind(node.expression))
    if isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
        raise unsupported(f"{name} of structs")
    equal = _equal(node.this, node.expression)
    return typed(exp.Not(this=equal), "BOOL") if isinstance(node, exp.NEQ) else equal


def _equal(left: Node, right: Node) -> Node:
    """Every field equal: NULL when one comparison is NULL and none is false."""
    if isinstance(left, exp.Null) or isinstance(right, exp.Null):
        return typed(exp.Paren(this=exp.Null()), "BOOL")
    if not (_is_struct(left) and _is_struct(right)):
        return _comparison(exp.EQ(this=left.copy(), expression=right.copy()))
    pairs = list(zip(_fields(left), _fields(right), strict=False))
    if len(_fields(left)) != len(_fields(right)):
        raise no_signature("operator =", "STRUCT", "STRUCT")
    return typed(exp.Paren(this=exp.and_(*(_equal(a, b) for a, b in pairs), copy=False)), "BOOL")


# -- BETWEEN and IN -----------------------------------------------------------------------------------------------------


@rule(exp.Between)
def _between(node: exp.Between) -> Node:
    value, low, high = node.this, node.args["low"], node.args["high"]
    if _is_struct(value):
        raise no_signature("operator BETWEEN", kind(value), kind(low), kind(high))
    value_type = supertype([value, low, high])
    if value_type is None or value_type in ("ARRAY", "JSON"):
        raise no_signature("operator BETWEEN", kind(value), kind(low), kind(high))
    if value_type not in ("INT64", "FLOAT64"):
        node.set("this", coerced(value, value_type))
        node.set("low", coerced(low, value_type))
        node.set("high", coerced(high, value_type))
    never = _isnan(high)
    return _both(node, exp.Not(this=never)) if never is not None else node


@rule(exp.In)
def _in(node: exp.In) -> Node:
    if node.expressions and _is_struct(node.this):
        tests = [_equal(node.this, item) for item in node.expressions]
        return typed(exp.Paren(this=exp.or_(*tests, copy=False)), "BOOL")
    for index, item in enumerate(list(node.expressions)):
        node.expressions[index] = _compared("IN", node.this, item)[1]
        node.expressions[index].parent = node
    unnest, query = node.args.get("unnest"), node.args.get("query")
    if unnest is not None:
        # NULL among the elements makes a miss NULL, as in SQL's IN; list_contains would say false.
        _check_elements(node.this, unnest.expressions[0])
        column = exp.Subquery(this=exp.Select(expressions=[call("unnest", unnest.expressions[0])]))
        return exp.In(this=node.this, query=column)
    if query is not None and isinstance(query.unnest(), exp.Query):
        columns = query.unnest().selects
        if len(columns) != 1:
            raise invalid_query(f"Subquery of type IN must have only one output column, found {len(columns)}")
        _compared("IN", node.this, columns[0])
    return node


def _check_elements(value: Node, array: Node) -> None:
    found: Any = array.type
    if kind(array) == "ARRAY" and isinstance(found, exp.DataType) and found.expressions:
        element = exp.Placeholder()
        element.type = found.expressions[0]
        if not comparable(value, element) and not is_number_literal(value):
            raise no_signature("operator IN UNNEST", kind(value), f"ARRAY<{kind(element)}>")


# -- order and groups ---------------------------------------------------------------------------------------------------


@rule(exp.Ordered)
def _ordered(node: exp.Ordered) -> Node:
    if kind(node.this) in ("ARRAY", "STRUCT", "JSON"):
        raise invalid_query(f"ORDER BY does not support expressions of type {kind(node.this)}")
    return node


@rule(exp.Group)
def _group(node: exp.Group) -> Node:
    for key in node.expressions:
        if kind(key) == "JSON":
            raise invalid_query("Grouping by expressions of type JSON is not allowed")
    return node


@rule(exp.Select)
def _select(node: exp.Select) -> Node:
    if node.args.get("distinct") and any(kind(s) == "JSON" for s in node.selects):
        raise invalid_query("Column of type JSON cannot be used in SELECT DISTINCT")
    if node.args.get("kind") and node.args.get("order") is not None:
        _order_struct(node)
    return node


def _order_struct(node: exp.Select) -> None:
    """SELECT AS STRUCT has one output column in DuckDB, so its ORDER BY can't name the fields."""
    fields = {s.alias: s.this for s in node.expressions if isinstance(s, exp.Alias)}
    for ordered in node.args["order"].expressions:
        key = ordered.this
        if isinstance(key, exp.Column) and not key.table and key.name in fields:
            ordered.set("this", exp.Paren(this=fields[key.name].copy()))
