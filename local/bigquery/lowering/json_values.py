"""JSON: values by literal paths, and documents as text."""

from typing import Any

from sqlglot import exp

from local.bigquery.errors import unsupported
from local.bigquery.lowering.rules import Node, call, cast, kind, rule, text, typed


def _path(node: Any) -> Node:
    """The literal path in DuckDB's spelling, which is JSONPath's."""
    if not isinstance(node, exp.JSONPath):
        raise unsupported("a JSON path that is not a literal")
    out = "$"
    for part in node.expressions:
        if isinstance(part, exp.JSONPathKey):
            out += '."' + str(part.this).replace('"', "") + '"'
        elif isinstance(part, exp.JSONPathSubscript) and str(part.this).isdigit():
            out += f"[{part.this}]"
        elif not isinstance(part, exp.JSONPathRoot):
            raise unsupported("a JSON path with wildcards, filters or slices")
    return text(out)


@rule(exp.JSONExtractScalar)
def _json_value(node: Any) -> Node:
    return typed(call("bq_json_value", node.this, _path(node.expression)), "STRING")


@rule(exp.JSONExtract)
def _json_query(node: Any) -> Node:
    out = call("json_extract", node.this, _path(node.expression))
    return typed(out, "JSON") if kind(node.this) == "JSON" else typed(cast(out, "TEXT"), "STRING")


@rule(exp.JSONValueArray)
def _json_values(node: Any) -> Node:
    return typed(
        call(
            "json_extract_string", node.this, exp.DPipe(this=_path(node.expression), expression=text("[*]"))
        ),
        "ARRAY<STRING>",
    )


@rule(exp.ParseJSON)
def _parse_json(node: Any) -> Node:
    return typed(cast(node.this, "JSON"), "JSON")


@rule(exp.JSONFormat)
def _to_json(node: Any) -> Node:
    if kind(node.this) not in {"STRING", "INT64", "BOOL", "ARRAY", "STRUCT", "JSON", "DATE"}:
        raise unsupported(f"TO_JSON_STRING of {kind(node.this)}")
    out = call("to_json", node.this)
    return typed(out, "JSON") if node.args.get("to_json") else typed(cast(out, "TEXT"), "STRING")
