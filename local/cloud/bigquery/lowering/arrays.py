"""Arrays and structs: made, joined, taken apart by position."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.kinds import unified
from local.cloud.bigquery.lowering.rules import (
    Node,
    call,
    cast,
    integer,
    kind,
    no_signature,
    paren,
    rule,
    text,
    typed,
    typed_as,
)
from local.cloud.bigquery.lowering.signatures import ANY, INT, TEXTUAL, simple

simple(exp.ArraySize, "len", "INT64", ("this", frozenset({"ARRAY", "NULL", "UNKNOWN"})))
simple(exp.RangeBucket, "bq_range_bucket", "INT64", ("this", ANY), ("expression", ANY))


@rule(exp.Struct)
def _struct(node: exp.Struct) -> Node:
    pairs, seen = [], set()
    for index, item in enumerate(node.expressions):
        if isinstance(item, exp.PropertyEQ):
            name, value = item.name, item.expression
        else:
            name = item.output_name if isinstance(item, exp.Column | exp.Dot | exp.Alias) else ""
            value = item.this if isinstance(item, exp.Alias) else item
        name = name or f"_field_{index + 1}"
        if name.lower() in seen:
            raise unsupported(f"a STRUCT with two fields named {name}")
        seen.add(name.lower())
        pairs.append(exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value))
    return exp.Struct(expressions=pairs)


@rule(exp.Array)
def _array(node: exp.Array) -> Node:
    """The elements of an array of structs share the field names of the first one, by position."""
    first = node.expressions[0] if node.expressions else None
    names = [p.name for p in first.expressions] if isinstance(first, exp.Struct) else []
    for index, item in enumerate(list(node.expressions)):
        if isinstance(item, exp.Struct | exp.Tuple) and names:
            values = [p.expression if isinstance(p, exp.PropertyEQ) else p for p in item.expressions]
            if len(values) != len(names):
                raise invalid_query(
                    "Array elements of types with different numbers of fields do not have a common supertype"
                )
            pairs = [
                exp.PropertyEQ(this=exp.to_identifier(n, quoted=True), expression=v)
                for n, v in zip(names, values, strict=True)
            ]
            node.expressions[index] = exp.Struct(expressions=pairs)
            node.expressions[index].parent = node
    return node


@rule(exp.Bracket)
def _bracket(node: exp.Bracket) -> Node:
    if len(node.expressions) != 1:
        raise unsupported("several subscripts")
    if kind(node.this) == "JSON":
        return _json_subscript(node)
    if kind(node.this) == "STRUCT":
        raise unsupported("struct subscripts; use the field's name")
    index = node.expressions[0]
    if not node.args.get("offset"):
        index = exp.Add(this=paren(index), expression=integer(1))
    return call("bq_safe_at" if node.args.get("safe") else "bq_at", node.this, index)


def _json_subscript(node: exp.Bracket) -> Node:
    key = node.expressions[0]
    if isinstance(key, exp.Literal) and key.is_string:
        path = '$."' + key.name.replace('"', "") + '"'
    elif kind(key) == "INT64" and isinstance(key, exp.Cast) and isinstance(key.this, exp.Literal):
        path = f"$[{key.this.name}]"
    else:
        raise unsupported("JSON subscripts that are not literals; use JSON_VALUE or JSON_QUERY")
    return typed(call("json_extract", node.this, text(path)), "JSON")


@rule(exp.ArrayConcat)
def _array_concat(node: Any) -> Node:
    """NULL when one is NULL; DuckDB's own takes NULL for an empty list."""
    items, _ = unified("function ARRAY_CONCAT", [node.this, *node.expressions])
    out = items[0]
    for item in items[1:]:
        out = call("bq_array_concat", out, item)
    return out


def _require_texts(array: Node) -> None:
    found: Any = array.type
    inner = found.expressions[0] if isinstance(found, exp.DataType) and found.expressions else None
    if inner is not None and kind(typed_as(inner)) not in TEXTUAL:
        raise no_signature("function ARRAY_TO_STRING", f"ARRAY<{kind(typed_as(inner))}>")


@rule(exp.ArrayReverse)
def _array_reverse(node: Any) -> Node:
    return call("list_reverse", node.this)


@rule(exp.ArrayToString)
def _array_to_string(node: Any) -> Node:
    _require_texts(node.this)
    missing = node.args.get("null")
    if missing is not None:
        return typed(call("bq_array_to_string_null", node.this, node.expression, missing), "STRING")
    return typed(call("bq_array_to_string", node.this, node.expression), "STRING")


@rule(exp.ArrayFirst, exp.ArrayLast)
def _array_end(node: Any) -> Node:
    return call(
        "bq_at", node.this, integer(1) if isinstance(node, exp.ArrayFirst) else call("len", node.this.copy())
    )


@rule(exp.GenerateSeries)
def _generate_array(node: Any) -> Node:
    parts = [node.args[p] for p in ("start", "end", "step") if node.args.get(p) is not None]
    if not {kind(p) for p in parts} <= INT:
        raise unsupported("GENERATE_ARRAY of numbers that are not INT64")
    return call("bq_integers_series", *(parts if len(parts) == 3 else [*parts, 1]))


@rule(exp.ArraySlice)
def _array_slice(node: exp.ArraySlice) -> Node:
    return call("bq_slice", node.this, node.args["start"], node.args["end"])


@rule(exp.CosineDistance, exp.EuclideanDistance)
def _distance(node: Any) -> Node:
    name = "list_cosine_distance" if isinstance(node, exp.CosineDistance) else "list_distance"
    measured = call(name, cast(node.this, "DOUBLE[]"), cast(node.expression, "DOUBLE[]"))
    return typed(call("bq_distance", node.this.copy(), node.expression.copy(), measured), "FLOAT64")
