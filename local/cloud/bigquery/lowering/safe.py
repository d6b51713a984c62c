"""The prefix SAFE.: NULL where the function itself fails on its values, and only there.

An error in an argument stays an error, so arguments are evaluated outside DuckDB's TRY:

    SAFE.SUBSTR(x, 1 / 0)  →  list_transform([{'a0': 1 / 0}], lambda given: TRY(substr(x, given.a0)))[1]

Wrong types and numbers of arguments are refused by the function's own rule before anything runs.
"""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query
from local.cloud.bigquery.lowering.rules import Node, call, rule

# What can't fail, or is read by the function's rule as it is written.
_PLAIN = (
    exp.Literal, exp.Column, exp.Null, exp.Boolean, exp.Var, exp.Identifier, exp.DataType, exp.JSONPath, exp.WeekStart,
    exp.RawString, exp.Star,
)  # fmt: skip
# Functions that are safe without the prefix.
_SAFE_BY_NAME = (exp.TryCast, exp.SafeAdd, exp.SafeSubtract, exp.SafeMultiply, exp.SafeNegate)
_GIVEN = "given"


def hoist(tree: Node) -> None:
    """Take the arguments that can fail out of every function with the prefix; done before lowering."""
    for node in list(tree.find_all(*_SAFE_BY_NAME)):
        if any(_may_fail(a) for a in _arguments(node)) and not isinstance(node.parent, exp.SafeFunc):
            holder = exp.SafeFunc()
            holder.type = node.type
            node.replace(holder)
            holder.set("this", node)
    for safe in list(tree.find_all(exp.SafeFunc)):
        function: Any = safe.this
        if not isinstance(function, exp.Expression) or isinstance(function, exp.AggFunc | exp.Window):
            name = function.sql("bigquery") if isinstance(function, exp.Expression) else str(function)
            raise invalid_query(f"Function {name[:60]} does not support SAFE error mode")
        taken: list[Node] = []
        for argument in _arguments(function):
            if _may_fail(argument):
                name = f"a{len(taken)}"
                stand_in = exp.Dot(
                    this=exp.column(_GIVEN, quoted=True), expression=exp.to_identifier(name, quoted=True)
                )
                stand_in.type = argument.type
                argument.replace(stand_in)
                taken.append(exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=argument))
        safe.set("expressions", taken)


def _arguments(function: Node) -> list[Node]:
    out: list[Node] = []
    for value in function.args.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(
                item, exp.TsOrDsToDate | exp.TsOrDsToTimestamp | exp.TsOrDsToDatetime | exp.TsOrDsToTime
            ):
                item = item.this  # what the parser puts around the operand
            if isinstance(item, exp.Expression):
                out.append(item)
    return out


def _may_fail(node: Node) -> bool:
    if isinstance(node, exp.Interval):
        return isinstance(node.this, exp.Expression) and _may_fail(node.this)
    if isinstance(node, exp.Dot):
        return _may_fail(node.this)
    if isinstance(node, exp.Neg | exp.Paren) or (
        isinstance(node, exp.Cast) and isinstance(node.this, exp.Null)
    ):
        return _may_fail(node.this)
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return False
    return not isinstance(node, _PLAIN)


@rule(exp.SafeFunc)
def _safe_function(node: exp.SafeFunc) -> Node:
    """TRY catches what DuckDB raises; our own error(), which TRY can't, is NULL in the second set of macros."""
    for inner in node.this.find_all(exp.Anonymous):
        if str(inner.this).startswith("bq_"):
            inner.set("this", "bqs_" + str(inner.this)[3:])
    body = call("try", node.this)
    taken = node.expressions
    if not taken:
        return body
    given = exp.Array(expressions=[exp.Struct(expressions=[item.copy() for item in taken])])
    each = exp.Lambda(this=body, expressions=[exp.to_identifier(_GIVEN, quoted=True)])
    out = call("list_extract", call("list_transform", given, each), 1)
    out.type = node.this.type
    return out
