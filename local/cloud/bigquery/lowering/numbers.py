"""Numbers: rounding keeps the type, SAFE_ arithmetic is NULL where it overflows."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import unsupported
from local.cloud.bigquery.lowering.kinds import NESTED, is_number_literal, supertype, unified
from local.cloud.bigquery.lowering.rules import (
    NUMBERS,
    RULES,
    Node,
    call,
    cast,
    kind,
    no_signature,
    not_exact,
    rule,
    text,
    typed,
)
from local.cloud.bigquery.lowering.signatures import INEXACT, NUMERIC, simple

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
simple(exp.Cbrt, "cbrt", "FLOAT64", ("this", INEXACT))
simple(exp.Sqrt, "bq_sqrt", "FLOAT64", ("this", INEXACT))
simple(exp.Exp, "bq_exp", "FLOAT64", ("this", INEXACT))
simple(exp.Ln, "bq_ln", "FLOAT64", ("this", INEXACT))
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


def _require_inexact(name: str, *nodes: Node) -> None:
    if "NUMERIC" in {kind(n) for n in nodes}:
        raise not_exact(name)
    if not {kind(n) for n in nodes} <= INEXACT:
        raise no_signature(f"function {name}", *(kind(n) for n in nodes))


@rule(exp.Pow)
def _pow(node: exp.Pow) -> Node:
    _require_inexact("POW", node.this, node.expression)
    return typed(call("bq_pow", node.this, node.expression), "FLOAT64")


@rule(exp.Log)
def _log(node: exp.Log) -> Node:
    _require_inexact("LOG", node.this, node.expression)
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
    """NULL when the operator overflows."""
    kinds = [kind(node.this), kind(node.expression)]
    if not {*kinds} <= NUMERIC:
        raise no_signature(f"function {type(node).__name__.upper()}", *kinds)
    inner = _SAFE_OPERATORS[type(node)](
        this=exp.Paren(this=node.this), expression=exp.Paren(this=node.expression)
    )
    inner.this.type, inner.expression.type = node.this.type, node.expression.type
    lowered = RULES[type(inner)](inner)
    return typed(call("try", lowered), supertype([node.this, node.expression]) or "FLOAT64")


@rule(exp.SafeNegate)
def _safe_negate(node: Any) -> Node:
    if kind(node.this) not in NUMERIC:
        raise no_signature("function SAFE_NEGATE", kind(node.this))
    negative: Node = exp.Neg(this=exp.Paren(this=node.this))
    if kind(node.this) == "INT64":
        negative = cast(negative, "BIGINT")  # the literal's own minus would be wider
    return call("try", negative)


@rule(exp.Greatest, exp.Least)
def _extreme(node: Any) -> Node:
    """NULL when one is NULL, NaN when one is NaN."""
    label = f"function {type(node).__name__.upper()}"
    items, name = unified(label, [node.this, *node.expressions])
    if name in NESTED or name == "JSON":
        raise no_signature(label, name)
    missing = exp.or_(
        *(exp.Is(this=exp.Paren(this=i.copy()), expression=exp.Null()) for i in items), copy=False
    )
    ifs = [exp.If(this=missing, true=exp.Null())]
    able = [i for i in items if kind(i) == "FLOAT64" and not is_number_literal(i)]
    if able:
        nan = exp.or_(*(call("isnan", i.copy()) for i in able), copy=False)
        ifs.append(exp.If(this=nan, true=cast(text("nan"), "DOUBLE")))
    chosen = call("greatest" if isinstance(node, exp.Greatest) else "least", *items)
    out = exp.Case(ifs=ifs, default=chosen)
    return typed(out, name) if name in NUMBERS else out


@rule(exp.ParseNumeric)
def _parse_numeric(node: exp.ParseNumeric) -> Node:
    return typed(call("bq_parse_numeric", node.this), "NUMERIC")
