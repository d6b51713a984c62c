"""Numbers: rounding keeps the type, SAFE_ arithmetic is NULL where it overflows."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local.bigquery.errors import unsupported
from local.bigquery.lowering.rules import Node, call, cast, kind, no_signature, rule, typed
from local.bigquery.lowering.signatures import NUMERIC, simple

simple(exp.Sin, "sin", "FLOAT64", ("this", NUMERIC))
simple(exp.Cos, "cos", "FLOAT64", ("this", NUMERIC))
simple(exp.Tan, "tan", "FLOAT64", ("this", NUMERIC))
simple(exp.Asin, "bq_asin", "FLOAT64", ("this", NUMERIC))
simple(exp.Acos, "bq_acos", "FLOAT64", ("this", NUMERIC))
simple(exp.Atan, "atan", "FLOAT64", ("this", NUMERIC))
simple(exp.Atan2, "atan2", "FLOAT64", ("this", NUMERIC), ("expression", NUMERIC))
simple(exp.Sinh, "sinh", "FLOAT64", ("this", NUMERIC))
simple(exp.Cosh, "cosh", "FLOAT64", ("this", NUMERIC))
simple(exp.Tanh, "tanh", "FLOAT64", ("this", NUMERIC))
simple(exp.Sec, "bq_sec", "FLOAT64", ("this", NUMERIC))
simple(exp.Csc, "bq_csc", "FLOAT64", ("this", NUMERIC))
simple(exp.Cot, "bq_cot", "FLOAT64", ("this", NUMERIC))
simple(exp.Sech, "bq_sech", "FLOAT64", ("this", NUMERIC))
simple(exp.Csch, "bq_csch", "FLOAT64", ("this", NUMERIC))
simple(exp.Coth, "bq_coth", "FLOAT64", ("this", NUMERIC))
simple(exp.Acosh, "bq_acosh", "FLOAT64", ("this", NUMERIC))
simple(exp.Asinh, "asinh", "FLOAT64", ("this", NUMERIC))
simple(exp.Atanh, "bq_atanh", "FLOAT64", ("this", NUMERIC))
simple(exp.Cbrt, "cbrt", "FLOAT64", ("this", NUMERIC))
simple(exp.Sqrt, "bq_sqrt", "FLOAT64", ("this", NUMERIC))
simple(exp.Exp, "bq_exp", "FLOAT64", ("this", NUMERIC))
simple(exp.Ln, "bq_ln", "FLOAT64", ("this", NUMERIC))
simple(exp.IsNan, "isnan", "BOOL", ("this", NUMERIC))
simple(exp.IsInf, "isinf", "BOOL", ("this", NUMERIC))
simple(exp.Rand, "random", "FLOAT64")


def _rounded(name: str) -> Callable[[Any], Node]:
    def lowered(node: Any) -> Node:
        if kind(node.this) not in NUMERIC:
            raise no_signature(f"function {name.upper()}", kind(node.this))
        if node.args.get("rounding_mode") or node.args.get("truncate"):
            raise unsupported(f"{name.upper()} with a rounding mode")
        digits = node.args.get("decimals")
        if kind(node.this) == "NUMERIC":
            value = call(name, node.this, *([cast(digits, "INT")] if digits is not None else []))
            return typed(cast(value, "DECIMAL(38, 9)"), "NUMERIC")
        value = call(name, cast(node.this, "DOUBLE"), *([cast(digits, "INT")] if digits is not None else []))
        return typed(value, "FLOAT64")

    return lowered


for _cls, _name in ((exp.Round, "round"), (exp.Ceil, "ceil"), (exp.Floor, "floor"), (exp.Trunc, "trunc")):
    rule(_cls)(_rounded(_name))


@rule(exp.Pow)
def _pow(node: exp.Pow) -> Node:
    return typed(call("bq_pow", node.this, node.expression), "FLOAT64")


@rule(exp.Log)
def _log(node: exp.Log) -> Node:
    # sqlglot reads LOG(x, base) as Log(this=base, expression=x) and LOG10(x) likewise.
    return typed(call("bq_log", cast(node.this, "DOUBLE"), cast(node.expression, "DOUBLE")), "FLOAT64")


@rule(exp.Sign)
def _sign(node: exp.Sign) -> Node:
    name = kind(node.this)
    duckdb = {"FLOAT64": "DOUBLE", "NUMERIC": "DECIMAL(38, 9)"}.get(name, "BIGINT")
    return typed(cast(call("sign", node.this), duckdb), name if name in ("FLOAT64", "NUMERIC") else "INT64")


_SAFE_OPERATORS = {exp.SafeAdd: exp.Add, exp.SafeSubtract: exp.Sub, exp.SafeMultiply: exp.Mul}


@rule(*_SAFE_OPERATORS)
def _safe_arithmetic(node: Any) -> Node:
    inner = _SAFE_OPERATORS[type(node)](
        this=exp.Paren(this=node.this), expression=exp.Paren(this=node.expression)
    )
    return call("try", inner)


@rule(exp.SafeNegate)
def _safe_negate(node: Any) -> Node:
    return call("try", exp.Neg(this=exp.Paren(this=node.this)))


@rule(exp.Greatest, exp.Least)
def _extreme(node: Any) -> Node:
    items = [node.this, *node.expressions]
    kinds = {kind(i) for i in items} - {"NULL", "UNKNOWN"}
    if len(kinds) > 1 and not kinds <= NUMERIC:
        raise no_signature(f"function {type(node).__name__.upper()}", *(kind(i) for i in items))
    missing: Node = exp.Is(this=exp.Paren(this=items[0].copy()), expression=exp.Null())
    for item in items[1:]:
        missing = exp.Or(
            this=missing, expression=exp.Is(this=exp.Paren(this=item.copy()), expression=exp.Null())
        )
    name = "greatest" if isinstance(node, exp.Greatest) else "least"
    return exp.Case(ifs=[exp.If(this=missing, true=exp.Null())], default=call(name, *items))


@rule(exp.BitwiseLeftShift, exp.BitwiseRightShift, exp.BitwiseCount)
def _bits(node: Any) -> Node:
    return node


@rule(exp.ParseNumeric)
def _parse_numeric(node: exp.ParseNumeric) -> Node:
    return typed(call("bq_parse_numeric", node.this), "NUMERIC")
