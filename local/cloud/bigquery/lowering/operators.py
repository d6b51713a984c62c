"""Literals and arithmetic: INT64 stays INT64, NUMERIC is exact, x / 0 is an error, types must fit."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.kinds import MOMENTS, is_number_literal
from local.cloud.bigquery.lowering.rules import (
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
        return _number(node, "DOUBLE")
    if isinstance(node.parent, exp.Neg) and node.this == "9223372036854775808":
        return node
    return _number(node, "BIGINT")


def _number(node: exp.Literal, duckdb: str) -> Node:
    """A number of the query's text: as a literal it coerces to types to which a column doesn't."""
    out = cast(node, duckdb)
    out.meta["literal"] = True
    return out


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
    if kind(node.this) == "JSON":
        key = str(node.expression.name).replace('"', "")
        return typed(call("json_extract", node.this, text(f'$."{key}"')), "JSON")
    return node


@rule(exp.Add, exp.Sub, exp.Mul)
def _arithmetic(node: exp.Binary) -> Node:
    left, right = kind(node.this), kind(node.expression)
    both = {left, right}
    operator = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}[type(node)]
    if both & {"STRING", "BOOL", "BYTES", "ARRAY", "STRUCT", "JSON"}:
        raise no_signature(f"operator {operator}", left, right)
    if both & (MOMENTS | {"INTERVAL"}):
        return _moved(node, left, right, operator)
    if "NUMERIC" in both and _numeric(node.this, node.expression):
        if isinstance(node, exp.Mul):
            return typed(call("exact_multiply", *_as_numeric(node)), "NUMERIC")
        this, expression = _as_numeric(node)
        exact = type(node)(this=paren(this), expression=paren(expression))
        return typed(cast(exp.Paren(this=exact), "DECIMAL(38, 9)"), "NUMERIC")
    return node


def _moved(node: exp.Binary, left: str, right: str, operator: str) -> Node:
    """A date and days, or a moment and an INTERVAL."""
    both = {left, right}
    if isinstance(node, exp.Sub) and both <= MOMENTS:
        raise unsupported("subtracting dates to an INTERVAL; use DATE_DIFF, DATETIME_DIFF or TIMESTAMP_DIFF")
    swapped = left == "INT64" and isinstance(node, exp.Add)
    if both == {"DATE", "INT64"} and (left == "DATE" or swapped) and not isinstance(node, exp.Mul):
        day, days = (node.expression, node.this) if swapped else (node.this, node.expression)
        moved = type(node)(this=paren(day), expression=cast(days, "INT"))
        return typed(cast(exp.Paren(this=moved), "DATE"), "DATE")
    if (
        "INTERVAL" not in both
        or isinstance(node, exp.Mul)
        or (isinstance(node, exp.Sub) and right != "INTERVAL")
    ):
        raise no_signature(f"operator {operator}", left, right)
    if both <= {"INTERVAL", "NULL", "UNKNOWN"}:
        raise unsupported(f"the operator {operator} of intervals")
    step = node.expression if right == "INTERVAL" else node.this
    if "TIME" in both:
        raise no_signature(f"operator {operator}", left, right)
    if "TIMESTAMP" in both:
        if step.meta.get("part") in ("MONTH", "QUARTER", "YEAR"):
            raise invalid_query(
                "TIMESTAMP +/- INTERVAL is not supported for intervals with non-zero MONTH or YEAR part"
            )
        return typed(node, "TIMESTAMP")
    return typed(node, "DATETIME")


def _numeric(*nodes: Node) -> bool:
    """Whether arithmetic is NUMERIC: a FLOAT64 makes it FLOAT64, unless it is a literal."""
    return all(kind(n) != "FLOAT64" or is_number_literal(n) for n in nodes)


def _as_numeric(node: Any) -> list[Node]:
    return [typed(cast(n, "DECIMAL(38, 9)"), "NUMERIC") for n in (node.this, node.expression)]


@rule(exp.Div)
def _divide(node: exp.Div) -> Node:
    _numbers("operator /", node.this, node.expression)
    return _quotient("exact_divide", "bq_div", node)


@rule(exp.SafeDivide)
def _safe_divide(node: exp.SafeDivide) -> Node:
    _numbers("SAFE_DIVIDE", node.this, node.expression)
    return _quotient("bq_safe_exact_divide", "bq_safe_divide", node)


def _quotient(exact: str, approximate: str, node: Any) -> Node:
    if "NUMERIC" in (kind(node.this), kind(node.expression)) and _numeric(node.this, node.expression):
        return typed(call(exact, *_as_numeric(node)), "NUMERIC")
    return typed(call(approximate, node.this, node.expression), "FLOAT64")


def _numbers(name: str, *nodes: Node, allowed: frozenset[str] = NUMBERS) -> None:
    kinds = [kind(n) for n in nodes]
    if not {*kinds} <= allowed | {"NULL", "UNKNOWN"}:
        raise no_signature(name, *kinds)


_EXACT = frozenset({"INT64", "NUMERIC"})


@rule(exp.Mod)
def _mod(node: exp.Mod) -> Node:
    _numbers("function MOD", node.this, node.expression, allowed=_EXACT)
    if "NUMERIC" in (kind(node.this), kind(node.expression)):
        left, right = _as_numeric(node)
        return typed(cast(exp.Paren(this=exp.Mod(this=left, expression=right)), "DECIMAL(38, 9)"), "NUMERIC")
    return exp.Paren(this=exp.Mod(this=paren(node.this), expression=paren(node.expression)))


@rule(exp.IntDiv)
def _int_div(node: exp.IntDiv) -> Node:
    _numbers("function DIV", node.this, node.expression, allowed=_EXACT)
    if "NUMERIC" in (kind(node.this), kind(node.expression)):
        return typed(call("exact_integer_divide", *_as_numeric(node)), "NUMERIC")
    # DuckDB's // floors for floating point only; on integers it truncates, as DIV does.
    return exp.Paren(
        this=exp.IntDiv(this=paren(cast(node.this, "BIGINT")), expression=cast(node.expression, "BIGINT"))
    )


# -- bits ---------------------------------------------------------------------------------------------------------------

_BITS = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "^"}


@rule(*_BITS)
def _bits(node: exp.Binary) -> Node:
    _numbers(f"operator {_BITS[type(node)]}", node.this, node.expression, allowed=frozenset({"INT64"}))
    return node


@rule(exp.BitwiseNot, exp.BitwiseCount)
def _single_bits(node: Any) -> Node:
    name = "operator ~" if isinstance(node, exp.BitwiseNot) else "function BIT_COUNT"
    _numbers(name, node.this, allowed=frozenset({"INT64"}))
    return node


@rule(exp.BitwiseLeftShift, exp.BitwiseRightShift)
def _shift(node: exp.Binary) -> Node:
    left = isinstance(node, exp.BitwiseLeftShift)
    _numbers(
        "operator <<" if left else "operator >>", node.this, node.expression, allowed=frozenset({"INT64"})
    )
    return typed(call("bq_shift_left" if left else "bq_shift_right", node.this, node.expression), "INT64")


_TUPLES = (
    exp.In, exp.Array, exp.Cube, exp.Rollup, exp.GroupingSets, exp.Group, exp.Any, exp.All, exp.Values, exp.Tuple, exp.EQ,
    exp.NEQ,
)  # fmt: skip


@rule(exp.Tuple)
def _tuple(node: exp.Tuple) -> Node:
    """(a, b) as a value is a struct without names."""
    if isinstance(node.parent, _TUPLES):
        return node
    pairs = [
        exp.PropertyEQ(this=exp.to_identifier(f"_field_{i}", quoted=True), expression=item)
        for i, item in enumerate(node.expressions, 1)
    ]
    out = exp.Struct(expressions=pairs)
    if kind(node) != "STRUCT":
        out.type = exp.DataType.build("STRUCT")
    return out


@rule(exp.TableColumn)
def _whole_row(node: exp.TableColumn) -> Node:
    """A table's alias as a value: the row as a struct, in both engines."""
    return exp.Column(this=exp.to_identifier(node.name, quoted=True))
