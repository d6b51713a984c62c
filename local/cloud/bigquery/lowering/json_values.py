"""JSON: values by literal paths, scalars out of values, documents as text."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import unsupported
from local.cloud.bigquery.lowering.rules import (
    RULES,
    Node,
    call,
    cast,
    kind,
    no_signature,
    rule,
    text,
    typed,
    typed_as,
)


def _path(node: Any) -> Node:
    """The literal path in DuckDB's spelling, which is JSONPath's."""
    if not isinstance(node, exp.JSONPath):
        raise unsupported("a JSON path that is not a literal")
    out = "$"
    for part in node.expressions:
        if isinstance(part, exp.JSONPathKey) and not isinstance(part.this, exp.Expression):
            out += '."' + str(part.this).replace('"', "") + '"'
        elif isinstance(part, exp.JSONPathSubscript) and str(part.this).isdigit():
            out += f"[{part.this}]"
        elif not isinstance(part, exp.JSONPathRoot):
            raise unsupported("a JSON path with wildcards, filters or slices")
    return text(out)


def _document(node: Node) -> Node:
    """A text that is no JSON has no values."""
    if kind(node) not in ("STRING", "JSON", "NULL", "UNKNOWN"):
        raise no_signature("a JSON function", kind(node))
    return call("bq_json_document", node) if kind(node) == "STRING" else node


@rule(exp.JSONExtractScalar)
def _json_value(node: Any) -> Node:
    return typed(call("bq_json_value", _document(node.this), _path(node.expression)), "STRING")


@rule(exp.JSONExtract)
def _json_query(node: Any) -> Node:
    if kind(node.this) == "JSON":
        return typed(call("json_extract", node.this, _path(node.expression)), "JSON")
    return typed(call("bq_json_query_text", _document(node.this), _path(node.expression)), "STRING")


@rule(exp.JSONExtractArray)
def _json_array_of(node: Any) -> Node:
    """NULL for what is no array; the elements are JSON, or texts when the document is one."""
    if kind(node.this) == "NULL":
        return typed(cast(exp.Null(), "TEXT[]"), "ARRAY<STRING>")
    found = call("bq_json_array", _document(node.this), _path(node.expression))
    if kind(node.this) == "JSON":
        return typed(found, "ARRAY<JSON>")
    return typed(cast(found, "TEXT[]"), "ARRAY<STRING>")


@rule(exp.JSONValueArray)
def _json_values(node: Any) -> Node:
    if kind(node.this) == "NULL":
        return typed(cast(exp.Null(), "TEXT[]"), "ARRAY<STRING>")
    return typed(call("bq_json_values", _document(node.this), _path(node.expression)), "ARRAY<STRING>")


@rule(exp.ParseJSON)
def _parse_json(node: Any) -> Node:
    return typed(cast(node.this, "JSON"), "JSON")


# Kinds whose JSON text is the same in both engines; dates with times and floating point are not.
_PLAIN = frozenset({"STRING", "INT64", "BOOL", "JSON", "DATE", "NULL"})


def _require_plain(name: str, node: Any) -> None:
    for leaf in _leaves(node):
        if leaf not in _PLAIN:
            raise unsupported(f"{name} of {leaf}; CAST it to STRING first")


def _leaves(node: Any) -> set[str]:
    if kind(node) not in ("ARRAY", "STRUCT") or not isinstance(node.type, exp.DataType):
        return {kind(node)} - {"ARRAY", "STRUCT"}
    inner = [c.kind if isinstance(c, exp.ColumnDef) else c for c in node.type.expressions]
    return {leaf for c in inner if isinstance(c, exp.DataType) for leaf in _leaves(typed_as(c))}


@rule(exp.JSONFormat)
def _to_json(node: Any) -> Node:
    name = "TO_JSON" if node.args.get("to_json") else "TO_JSON_STRING"
    if node.args.get("options") is not None:
        raise unsupported(f"{name} with options")
    _require_plain(name, node.this)
    out = call(
        "bq_int64_to_json" if kind(node.this) == "INT64" and name == "TO_JSON_STRING" else "to_json",
        node.this,
    )
    if name == "TO_JSON_STRING":
        out = exp.Coalesce(this=out, expressions=[cast(text("null"), "JSON")])
    return typed(out, "JSON") if node.args.get("to_json") else typed(cast(out, "TEXT"), "STRING")


# -- made and taken apart -----------------------------------------------------------------------------------------------


@rule(exp.JSONArray)
def _json_array(node: exp.JSONArray) -> Node:
    for item in node.expressions:
        _require_plain("JSON_ARRAY", item)
    return typed(call("json_array", *node.expressions), "JSON")


@rule(exp.JSONKeyValue)
def _pair(node: exp.JSONKeyValue) -> Node:
    return node


@rule(exp.JSONObject)
def _json_object(node: exp.JSONObject) -> Node:
    parts: list[Node] = []
    for pair in node.expressions:
        if not isinstance(pair, exp.JSONKeyValue) or kind(pair.this) != "STRING":
            raise unsupported("JSON_OBJECT of anything but keys and values in turn")
        _require_plain("JSON_OBJECT", pair.expression)
        parts += [pair.this, pair.expression]
    return typed(call("json_object", *parts), "JSON")


_READ = {
    exp.Int64: ("bq_json_int64", "INT64"), exp.Float64: ("bq_json_float64", "FLOAT64"),
    exp.JSONBool: ("bq_json_bool", "BOOL"), exp.LaxInt64: ("bq_lax_int64", "INT64"),
    exp.LaxFloat64: ("bq_lax_float64", "FLOAT64"), exp.LaxBool: ("bq_lax_bool", "BOOL"),
    exp.LaxString: ("bq_lax_string", "STRING"), exp.JSONType: ("bq_json_type", "STRING"),
}  # fmt: skip


@rule(*_READ)
def _read(node: Any) -> Node:
    """A scalar out of a JSON value: strict functions refuse other types, LAX_ functions convert or are NULL."""
    name, result = _READ[type(node)]
    if kind(node.this) not in ("JSON", "NULL"):
        raise no_signature(f"function {type(node).__name__.upper()}", kind(node.this))
    if node.args.get("expression") is not None:
        raise unsupported("wide_number_mode")
    return typed(call(name, node.this), result)


@rule(exp.String)
def _string(node: exp.String) -> Node:
    """STRING(json) is strict; STRING of a date or time is its cast."""
    if kind(node.this) == "JSON":
        return typed(call("bq_json_string", node.this), "STRING")
    zone = node.args.get("zone")
    if zone is not None and zone.name.upper() != "UTC":
        raise unsupported("STRING with a time zone; use FORMAT_TIMESTAMP")
    if kind(node.this) not in ("DATE", "TIMESTAMP", "DATETIME", "TIME", "NULL"):
        raise no_signature("function STRING", kind(node.this))
    moment = exp.Cast(this=node.this, to=exp.DataType.build("STRING", dialect="bigquery"))
    return typed(RULES[exp.Cast](moment), "STRING")
