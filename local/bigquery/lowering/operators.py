"""Literals, arithmetic and comparison: INT64 stays INT64, x / 0 is an error, types must fit."""

from typing import Any

from sqlglot import exp

from local.bigquery.errors import unsupported
from local.bigquery.lowering.rules import (
    DUCKDB,
    NUMBERS,
    Node,
    call,
    cast,
    kind,
    no_signature,
    paren,
    rule,
    text,
    typed,
)

_RAW_PARENTS = (
    exp.Limit,
    exp.Offset,
    exp.Ordered,
    exp.Group,
    exp.DataTypeParam,
    exp.JSONPathSubscript,
    exp.WindowSpec,
)


@rule(exp.Literal)
def _literal(node: exp.Literal) -> Node:
    if node.is_string or isinstance(node.parent, _RAW_PARENTS):
        return node
    if any(c in node.this for c in ".eE"):
        return cast(node, "DOUBLE")
    if isinstance(node.parent, exp.Neg) and node.this == "9223372036854775808":
        return node
    return cast(node, "BIGINT")


@rule(exp.RawString, exp.UnicodeString)
def _raw_string(node: Node) -> Node:
    return text(node.this)


@rule(exp.ByteString)
def _bytes(node: Node) -> Node:
    """Escapes and UTF-8 arrive from the tokenizer as one character for each byte."""
    try:
        raw = node.this.encode("latin-1")
    except UnicodeEncodeError:
        raw = node.this.encode()
    return typed(call("unhex", text(raw.hex())), "BYTES")


@rule(exp.HexString)
def _hexadecimal(node: exp.HexString) -> Node:
    return cast(exp.Literal.number(int(node.this, 16)), "BIGINT")


@rule(exp.Dot)
def _dot(node: exp.Dot) -> Node:
    if isinstance(node.expression, exp.Func):
        raise unsupported(f"{node.sql('bigquery')}")
    return node


@rule(exp.Add, exp.Sub, exp.Mul)
def _arithmetic(node: exp.Binary) -> Node:
    left, right = kind(node.this), kind(node.expression)
    both = {left, right}
    operator = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}[type(node)]
    if both & {"STRING", "BOOL", "BYTES", "ARRAY", "STRUCT", "JSON"}:
        raise no_signature(f"operator {operator}", left, right)
    if left == "DATE" and right == "INT64" and not isinstance(node, exp.Mul):
        amount = cast(node.expression, "INT")
        return typed(cast(type(node)(this=node.this, expression=amount), "DATE"), "DATE")
    if "INTERVAL" in both and both & {"DATE", "DATETIME"}:
        return typed(node, "DATETIME")
    if isinstance(node, exp.Sub) and both <= {"DATE", "DATETIME", "TIMESTAMP", "TIME"}:
        raise unsupported("subtracting dates to an INTERVAL; use DATE_DIFF, DATETIME_DIFF or TIMESTAMP_DIFF")
    if "NUMERIC" in both and "FLOAT64" not in both:
        return typed(cast(exp.Paren(this=node), "DECIMAL(38, 9)"), "NUMERIC")
    return node


@rule(exp.Div)
def _divide(node: exp.Div) -> Node:
    _numbers("operator /", node.this, node.expression)
    return _quotient("bq_div", node)


@rule(exp.SafeDivide)
def _safe_divide(node: exp.SafeDivide) -> Node:
    _numbers("SAFE_DIVIDE", node.this, node.expression)
    return _quotient("bq_safe_divide", node)


def _quotient(macro: str, node: Any) -> Node:
    both = {kind(node.this), kind(node.expression)}
    out = call(macro, node.this, node.expression)
    if "NUMERIC" in both and "FLOAT64" not in both:
        return typed(cast(out, "DECIMAL(38, 9)"), "NUMERIC")
    return typed(out, "FLOAT64")


def _numbers(name: str, *nodes: Node) -> None:
    kinds = [kind(n) for n in nodes]
    if not {*kinds} <= NUMBERS | {"NULL", "UNKNOWN"}:
        raise no_signature(name, *kinds)


@rule(exp.Mod)
def _mod(node: exp.Mod) -> Node:
    _numbers("MOD", node.this, node.expression)
    return exp.Paren(this=exp.Mod(this=paren(node.this), expression=paren(node.expression)))


@rule(exp.IntDiv)
def _int_div(node: exp.IntDiv) -> Node:
    _numbers("DIV", node.this, node.expression)
    # DuckDB's // floors for floating point only; on integers it truncates, as DIV does.
    return exp.Paren(
        this=exp.IntDiv(this=paren(cast(node.this, "BIGINT")), expression=cast(node.expression, "BIGINT"))
    )


_LITERAL_COERCES = frozenset({"DATE", "DATETIME", "TIMESTAMP", "TIME"})


def comparable(left: Node, right: Node) -> bool:
    """BigQuery compares equal types, numbers with numbers, and dates with literal texts; nothing else."""
    a, b = kind(left), kind(right)
    if a == b or {a, b} & {"UNKNOWN", "NULL", "ARRAY", "STRUCT"} or {a, b} <= NUMBERS:
        return True
    for one, other in ((left, right), (right, left)):
        if is_text_literal(one) and kind(other) in _LITERAL_COERCES:
            return True
    return False


def is_text_literal(node: Node) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _compare(name: str, left: Node, right: Node) -> tuple[Node, Node]:
    if not comparable(left, right):
        raise no_signature(f"operator {name}", kind(left), kind(right))
    # A text literal beside a date takes the date's type, also where DuckDB would compare texts.
    if is_text_literal(left) and kind(right) in _LITERAL_COERCES:
        left = cast(left, DUCKDB[kind(right)])
    if is_text_literal(right) and kind(left) in _LITERAL_COERCES:
        right = cast(right, DUCKDB[kind(left)])
    return left, right


_SYMBOLS = {exp.EQ: "=", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}


@rule(*_SYMBOLS)
def _comparison(node: exp.Binary) -> Node:
    left, right = _compare(_SYMBOLS[type(node)], node.this, node.expression)
    if left is not node.this:
        node.set("this", left)
    if right is not node.expression:
        node.set("expression", right)
    return node


@rule(exp.Between)
def _between(node: exp.Between) -> Node:
    low, high = node.args["low"], node.args["high"]
    node.set("low", _compare("BETWEEN", node.this, low)[1])
    node.set("high", _compare("BETWEEN", node.this, high)[1])
    return node


@rule(exp.In)
def _in(node: exp.In) -> Node:
    for index, item in enumerate(list(node.expressions)):
        node.expressions[index] = _compare("IN", node.this, item)[1]
        node.expressions[index].parent = node
    unnest = node.args.get("unnest")
    if unnest is not None:
        # NULL among the elements makes a miss NULL, as in SQL's IN; list_contains would say false.
        column = exp.Subquery(this=exp.Select(expressions=[call("unnest", unnest.expressions[0])]))
        return exp.In(this=node.this, query=column)
    return node


@rule(exp.TableColumn)
def _whole_row(node: exp.TableColumn) -> Node:
    """A table's alias as a value: the row as a struct, in both engines."""
    return exp.Column(this=exp.to_identifier(node.name, quoted=True))
