"""Truth values and choices: WHERE, AND, IF, CASE, COALESCE take and give one type, where DuckDB converts in silence."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query
from local.cloud.bigquery.lowering.kinds import NESTED, comparable, unified
from local.cloud.bigquery.lowering.rules import NUMBERS, Node, kind, no_signature, rule, typed

_TRUTH = frozenset({"BOOL", "NULL", "UNKNOWN"})
_CLAUSES = {exp.Where: "WHERE", exp.Having: "HAVING", exp.Qualify: "QUALIFY"}


@rule(exp.And, exp.Or)
def _connector(node: exp.Connector) -> Node:
    left, right = kind(node.this), kind(node.expression)
    if not {left, right} <= _TRUTH:
        raise no_signature(f"operator {type(node).__name__.upper()}", left, right)
    return node


@rule(exp.Not)
def _not(node: exp.Not) -> Node:
    if kind(node.this) not in _TRUTH:
        raise no_signature("operator NOT", kind(node.this))
    return node


@rule(*_CLAUSES)
def _clause(node: Any) -> Node:
    if kind(node.this) not in _TRUTH:
        name = _CLAUSES[type(node)]
        raise invalid_query(f"{name} clause should return type BOOL, but returns type {kind(node.this)}")
    return node


@rule(exp.Is)
def _is(node: exp.Is) -> Node:
    if isinstance(node.expression, exp.Boolean) and kind(node.this) not in _TRUTH:
        raise no_signature(f"operator IS {node.expression.sql().upper()}", kind(node.this))
    return node


@rule(exp.Neg)
def _negative(node: exp.Neg) -> Node:
    if kind(node.this) not in NUMBERS | {"INTERVAL", "NULL", "UNKNOWN"}:
        raise no_signature("operator -", kind(node.this))
    return node


@rule(exp.Abs)
def _absolute(node: exp.Abs) -> Node:
    if kind(node.this) not in NUMBERS | {"NULL", "UNKNOWN"}:
        raise no_signature("function ABS", kind(node.this))
    return node


@rule(exp.If)
def _if(node: exp.If) -> Node:
    if isinstance(node.parent, exp.Case):
        return node  # a WHEN, checked with its CASE
    if kind(node.this) not in _TRUTH:
        raise no_signature("function IF", kind(node.this))
    return _choice("function IF", node, [(node, "true"), (node, "false")])


@rule(exp.Case)
def _case(node: exp.Case) -> Node:
    for when in node.args["ifs"]:
        if node.this is None and kind(when.this) not in _TRUTH:
            raise invalid_query(
                f"CASE WHEN expression should return type BOOL, but returns type {kind(when.this)}"
            )
        if node.this is not None and not comparable(node.this, when.this):
            raise no_signature("operator CASE", kind(node.this), kind(when.this))
    return _choice("operator CASE", node, [(when, "true") for when in node.args["ifs"]] + [(node, "default")])


@rule(exp.Coalesce)
def _coalesce(node: exp.Coalesce) -> Node:
    values, name = unified("function COALESCE", [node.this, *node.expressions])
    node.set("this", values[0])
    node.set("expressions", values[1:])
    return typed(node, name) if name in NUMBERS else node


@rule(exp.Nullif)
def _nullif(node: exp.Nullif) -> Node:
    (left, right), _ = unified("function NULLIF", [node.this, node.expression])
    if kind(left) in NESTED | {"JSON"}:
        raise no_signature("function NULLIF", kind(left), kind(right))
    node.set("this", left)
    node.set("expression", right)
    return node


def _choice(what: str, node: Any, places: list[tuple[Any, str]]) -> Node:
    """Give all outcomes their common type."""
    places = [(holder, key) for holder, key in places if holder.args.get(key) is not None]
    values, name = unified(what, [holder.args[key] for holder, key in places])
    for (holder, key), value in zip(places, values, strict=True):
        if holder.args[key] is not value:
            holder.set(key, value)
    return typed(node, name) if name in NUMBERS else node
