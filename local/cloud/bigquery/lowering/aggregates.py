"""Rules for aggregates and window functions. The APPROX_ functions are exact here, with BigQuery's shapes."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.rules import Node, call, cast, kind, no_signature, rule, text, typed
from local.cloud.bigquery.lowering.signatures import INT, NUMERIC, TEXTUAL, const_int


@rule(exp.Count)
def _count(node: exp.Count) -> Node:
    if isinstance(node.this, exp.Distinct) and len(node.this.expressions) > 1:
        raise unsupported("COUNT(DISTINCT …) of several expressions")
    return exp.Anonymous(this="count", expressions=[node.this])


@rule(exp.CountIf)
def _count_if(node: exp.CountIf) -> Node:
    _expect("COUNTIF", node.this, {"BOOL", "NULL", "UNKNOWN"})
    return typed(cast(call("count_if", node.this), "BIGINT"), "INT64")


def _expect(name: str, node: Any, allowed: Any) -> None:
    inner = node.expressions[0] if isinstance(node, exp.Distinct) else node
    if kind(inner) not in allowed:
        raise no_signature(f"aggregate function {name}", kind(inner))


@rule(exp.Sum, exp.Avg)
def _sum(node: Any) -> Node:
    name = type(node).__name__.upper()
    _expect(name, node.this, NUMERIC)
    inner = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
    out = call(name.lower(), node.this)
    if kind(inner) == "NUMERIC" and name == "AVG":
        return _composed(
            "exact_divide", call("sum", node.this), cast(call("count", node.this.copy()), "DECIMAL(38, 9)")
        )
    if kind(inner) == "NUMERIC":
        return _wrap(node, out, "DECIMAL(38, 9)", "NUMERIC")
    if name == "SUM" and kind(inner) == "INT64":
        return _wrap(
            node, out, "BIGINT", "INT64"
        )  # DuckDB sums to HUGEINT; beyond INT64 this is an error, as there
    return typed(out, "FLOAT64")


def _composed(function: str, *aggregates: Node) -> Node:
    """A NUMERIC made of several aggregates; over a window each has its own."""
    parts = []
    for aggregate in aggregates:
        (aggregate.this if isinstance(aggregate, exp.Cast) else aggregate).meta["over"] = True
        parts.append(aggregate if isinstance(aggregate, exp.Cast) else cast(aggregate, "DECIMAL(38, 9)"))
    out = call(function, parts[0], call("nullif", parts[1], 0))
    out.meta["composed"] = True
    return typed(out, "NUMERIC")


def _wrap(node: Node, out: Node, duckdb: str, name: str) -> Node:
    """Cast the aggregate, or the window around it: CAST(SUM(x) OVER (…)), never CAST(SUM(x)) OVER."""
    window = node.find_ancestor(exp.Window)
    if isinstance(node.parent, exp.Window) and window is node.parent and node.arg_key == "this":
        out.meta["cast_window"] = duckdb
        return typed(out, name)
    return typed(cast(out, duckdb), name)


_NEED_ORDER = frozenset({"rank", "dense_rank", "percent_rank", "cume_dist", "ntile"})
_POSITIONS = (exp.Lag, exp.Lead, exp.NthValue)


def _check_window(node: exp.Window) -> None:
    """What BigQuery asks of a window and DuckDB does not."""
    inner: Any = node.this
    while isinstance(inner, exp.IgnoreNulls | exp.RespectNulls | exp.Cast):
        inner = inner.this
    name = str(inner.this).lower() if isinstance(inner, exp.Anonymous) else type(inner).__name__.lower()
    order = node.args.get("order")
    if (
        order is None
        and not node.args.get("alias")
        and (name in _NEED_ORDER or isinstance(inner, exp.Lag | exp.Lead))
    ):
        raise invalid_query(f"Window ORDER BY is required for analytic function {name}")
    distinct = (
        any(isinstance(e, exp.Distinct) for e in inner.expressions) if isinstance(inner, exp.Func) else False
    )
    if distinct and order is not None:
        raise invalid_query("Window ORDER BY is not allowed if DISTINCT is specified")
    offset = inner.args.get("offset") if isinstance(inner, _POSITIONS) else None
    if isinstance(offset, exp.Neg):
        raise invalid_query(f"The offset of {name.upper()} must be non-negative")
    for key in node.args.get("partition_by") or []:
        if kind(key) in ("FLOAT64", "JSON", "ARRAY", "STRUCT"):
            raise invalid_query(f"Partitioning by expressions of type {kind(key)} is not allowed")


def _over(node: exp.Window, value: Node) -> Node:
    """An expression over aggregates, each of them over the window."""
    if value.meta.get("over"):
        window = node.copy()
        window.set("this", value)
        return window
    for aggregate in [n for n in value.walk() if n.meta.get("over")]:
        window = node.copy()
        aggregate.replace(window)
        window.set("this", aggregate)
    value.type = node.type
    return value


@rule(exp.Window)
def _window(node: exp.Window) -> Node:
    _check_window(node)
    inner = node.this
    if inner.meta.get("composed"):
        return _over(node, inner)
    while isinstance(inner, exp.Cast):
        # A rule cast its aggregate: the cast belongs outside the window.
        inner.meta.setdefault("cast_window", inner.to.sql("duckdb"))
        aggregate = inner.this
        aggregate.meta["cast_window"] = inner.meta["cast_window"]
        node.set("this", aggregate)
        inner = aggregate
    duckdb = inner.meta.get("cast_window")
    if duckdb:
        found = node.type
        out = cast(node.copy(), duckdb)
        out.type = found
        return out
    return node


@rule(exp.Min, exp.Max)
def _extreme(node: Any) -> Node:
    if kind(node.this) in ("ARRAY", "STRUCT", "JSON"):
        raise no_signature(f"aggregate function {type(node).__name__.upper()}", kind(node.this))
    if isinstance(node, exp.Min) and kind(node.this) == "FLOAT64":
        # NaN wins in both directions; DuckDB takes it for the greatest number.
        greatest = call("max", exp.Neg(this=exp.Paren(this=node.this)))
        greatest.meta["over"] = True
        out = exp.Paren(this=exp.Neg(this=greatest))
        out.meta["composed"] = True
        return typed(out, "FLOAT64")
    return call(type(node).__name__.lower(), node.this)


@rule(exp.AnyValue)
def _any_value(node: exp.AnyValue) -> Node:
    having = node.this
    if isinstance(having, exp.HavingMax):
        return call("arg_max" if having.args.get("max") else "arg_min", having.this, having.expression)
    return call("any_value", node.this)


@rule(exp.ArgMax, exp.ArgMin)
def _arg_extreme(node: Any) -> Node:
    return call("arg_max" if isinstance(node, exp.ArgMax) else "arg_min", node.this, node.expression)


@rule(exp.LogicalAnd, exp.LogicalOr)
def _logical(node: Any) -> Node:
    _expect(
        "LOGICAL_AND" if isinstance(node, exp.LogicalAnd) else "LOGICAL_OR",
        node.this,
        {"BOOL", "NULL", "UNKNOWN"},
    )
    return typed(call("bool_and" if isinstance(node, exp.LogicalAnd) else "bool_or", node.this), "BOOL")


_STATISTICS = {
    exp.Stddev: "stddev_samp", exp.StddevSamp: "stddev_samp", exp.StddevPop: "stddev_pop", exp.Variance: "var_samp",
    exp.VariancePop: "var_pop", exp.Corr: "corr", exp.CovarSamp: "covar_samp", exp.CovarPop: "covar_pop",
}  # fmt: skip


@rule(*_STATISTICS)
def _statistic(node: Any) -> Node:
    args = [a for a in (node.this, node.args.get("expression")) if a is not None]
    for arg in args:
        _expect(_STATISTICS[type(node)].upper(), arg, NUMERIC)
    return typed(call(_STATISTICS[type(node)], *args), "FLOAT64")


@rule(exp.BitwiseAndAgg, exp.BitwiseOrAgg, exp.BitwiseXorAgg)
def _bit_aggregate(node: Any) -> Node:
    name = {"BitwiseAndAgg": "bit_and", "BitwiseOrAgg": "bit_or", "BitwiseXorAgg": "bit_xor"}[
        type(node).__name__
    ]
    _expect(name.upper(), node.this, INT)
    return typed(call(name, node.this), "INT64")


@rule(exp.Grouping)
def _grouping(node: exp.Grouping) -> Node:
    return typed(cast(call("grouping", *node.expressions), "BIGINT"), "INT64")


# -- arrays and texts -------------------------------------------------------------------------------------------------


def _unpack(inner: Any) -> tuple[Any, Any, int | None]:
    """(value possibly Distinct, Order or None, limit or None) of `x ORDER BY y LIMIT n` inside an aggregate."""
    limit = None
    if isinstance(inner, exp.Limit):
        limit, inner = const_int(inner.expression, "LIMIT"), inner.this
    if isinstance(inner, exp.Order):
        return inner.this, inner, limit
    return inner, None, limit


@rule(exp.ArrayAgg)
def _array_agg(node: exp.ArrayAgg) -> Node:
    return _collected(node, ignore_nulls=False)


@rule(exp.ArrayConcatAgg)
def _array_concat_agg(node: exp.ArrayConcatAgg) -> Node:
    value, order, limit = _unpack(node.this)
    present = exp.Not(this=exp.Is(this=exp.Paren(this=value.copy()), expression=exp.Null()))
    listed: Node = exp.Filter(
        this=exp.Anonymous(this="array_agg", expressions=[_ordered(value, order)]),
        expression=exp.Where(this=present),
    )
    if limit is not None:
        listed = call("list_slice", listed, 1, limit)
    return call("flatten", listed)


@rule(exp.IgnoreNulls)
def _ignore_nulls(node: exp.IgnoreNulls) -> Node:
    inner = node.this
    source = inner.meta.get("collected") if isinstance(inner, exp.Expression) else None
    if source is not None:
        return _collected(source, ignore_nulls=True)
    if isinstance(inner, _KEEPS_NULLS):
        return node
    if isinstance(inner, exp.Anonymous) and str(inner.this) in (
        "any_value",
        "quantile_cont",
        "quantile_disc",
    ):
        return inner  # these skip NULL anyway
    raise unsupported(f"IGNORE NULLS in {node.sql('bigquery')[:60]}")


@rule(exp.RespectNulls)
def _respect_nulls(node: exp.RespectNulls) -> Node:
    if isinstance(node.this, _KEEPS_NULLS):
        return node
    if node.this.meta.get("collected") is not None:
        return node.this
    raise unsupported(f"RESPECT NULLS in {node.sql('bigquery')[:60]}")


def _collected(node: exp.ArrayAgg, *, ignore_nulls: bool) -> Node:
    value, order, limit = _unpack(node.this.copy())
    out: Node = exp.Anonymous(this="array_agg", expressions=[_ordered(value, order)])
    if ignore_nulls:
        bare = value.expressions[0] if isinstance(value, exp.Distinct) else value
        present = exp.Not(this=exp.Is(this=exp.Paren(this=bare.copy()), expression=exp.Null()))
        out = exp.Filter(this=out, expression=exp.Where(this=present))
    if limit is not None:
        out = call("list_slice", out, 1, limit)
    out.type = node.type
    out.meta["collected"] = node
    return out


def _ordered(value: Node, order: exp.Order | None) -> Node:
    return (
        exp.Order(this=value, expressions=[o.copy() for o in order.expressions])
        if order is not None
        else value
    )


@rule(exp.GroupConcat)
def _string_agg(node: exp.GroupConcat) -> Node:
    value, order, limit = _unpack(node.this)
    bare = value.expressions[0] if isinstance(value, exp.Distinct) else value
    if kind(bare) not in TEXTUAL:
        raise no_signature("aggregate function STRING_AGG", kind(bare))
    separator = node.args.get("separator") or text(",")
    if isinstance(node.parent, exp.Window):
        if order is not None or limit is not None:
            raise unsupported("STRING_AGG … OVER with ORDER BY or LIMIT inside")
        return typed(call("string_agg", value, separator), "STRING")
    present = exp.Not(this=exp.Is(this=exp.Paren(this=bare.copy()), expression=exp.Null()))
    listed: Node = exp.Filter(
        this=exp.Anonymous(this="array_agg", expressions=[_ordered(value, order)]),
        expression=exp.Where(this=present),
    )
    if limit is not None:
        listed = call("list_slice", listed, 1, limit)
    return typed(call("array_to_string", listed, separator), "STRING")


# -- approximations, exact ----------------------------------------------------------------------------------------------


@rule(exp.ApproxDistinct)
def _approx_distinct(node: exp.ApproxDistinct) -> Node:
    return typed(exp.Anonymous(this="count", expressions=[exp.Distinct(expressions=[node.this])]), "INT64")


@rule(exp.ApproxQuantiles)
def _approx_quantiles(node: exp.ApproxQuantiles) -> Node:
    number = const_int(node.expression, "The second argument of APPROX_QUANTILES")
    if isinstance(node.this, exp.Distinct) or not 1 <= number <= 1000:
        raise unsupported("APPROX_QUANTILES with DISTINCT or with more than 1000 parts")
    fractions = exp.Array(expressions=[exp.Literal.number(repr(i / number)) for i in range(number + 1)])
    return call("quantile_disc", node.this, fractions)


@rule(exp.ApproxTopK)
def _approx_top_count(node: exp.ApproxTopK) -> Node:
    number = const_int(node.expression, "The second argument of APPROX_TOP_COUNT")
    missing = exp.Is(this=exp.Paren(this=node.this.copy()), expression=exp.Null())
    return call("bq_top_count", call("histogram", node.this), call("count_if", missing), number)


# -- windows ----------------------------------------------------------------------------------------------------------

_RANKS = {
    exp.RowNumber: "row_number", exp.Rank: "rank", exp.DenseRank: "dense_rank", exp.PercentRank: "percent_rank",
    exp.CumeDist: "cume_dist",
}  # fmt: skip


@rule(*_RANKS)
def _rank(node: Any) -> Node:
    return typed(
        call(_RANKS[type(node)]), "FLOAT64" if type(node) in (exp.PercentRank, exp.CumeDist) else "INT64"
    )


@rule(exp.Ntile)
def _ntile(node: exp.Ntile) -> Node:
    return typed(call("ntile", node.this), "INT64")


_KEEPS_NULLS = (exp.FirstValue, exp.LastValue, exp.NthValue, exp.Lag, exp.Lead)


@rule(*_KEEPS_NULLS)
def _positional(node: Any) -> Node:
    """The same in both engines; the generator knows where IGNORE NULLS belongs."""
    return node


@rule(exp.PercentileCont, exp.PercentileDisc)
def _percentile(node: Any) -> Node:
    if not isinstance(node.parent, exp.Window) and not isinstance(node.parent, exp.IgnoreNulls):
        raise unsupported("PERCENTILE_CONT and PERCENTILE_DISC without OVER")
    if isinstance(node, exp.PercentileCont):
        return typed(call("quantile_cont", cast(node.this, "DOUBLE"), node.expression), "FLOAT64")
    return call("quantile_disc", node.this, node.expression)
