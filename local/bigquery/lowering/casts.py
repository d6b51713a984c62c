"""CAST and SAFE_CAST: BigQuery's rounding and spelling, and the casts that it doesn't have."""

from sqlglot import exp

from local.bigquery.errors import invalid_query, unsupported
from local.bigquery.lowering.rules import DUCKDB, Node, call, kind, rule, typed_as

_MOMENTS = {"TIMESTAMP": "bq_timestamp_to_text", "DATETIME": "bq_datetime_to_text", "TIME": "bq_time_to_text"}


@rule(exp.Cast, exp.TryCast)
def _cast(node: exp.Cast) -> Node:
    if node.args.get("format"):
        raise unsupported("CAST … FORMAT; use FORMAT_DATE, FORMAT_TIMESTAMP or PARSE_DATE")
    safe = isinstance(node, exp.TryCast)
    target = kind(typed_as(node.to))
    if target in ("UNKNOWN", "BIGNUMERIC", "INTERVAL"):
        raise unsupported(f"CAST to {node.to.sql('bigquery')}")
    source = kind(node.this)
    inner = node.this
    if source in ("FLOAT64", "NUMERIC") and target == "INT64":
        return call("try", call("bq_float_to_int", inner)) if safe else call("bq_float_to_int", inner)
    if source == "FLOAT64" and target == "STRING":
        return call("bq_float_to_text", inner)
    if source == "NUMERIC" and target == "STRING":
        return call("bq_numeric_to_text", inner)
    if source == "INTERVAL":
        raise unsupported("CAST of an INTERVAL")
    if source == "BYTES" and target == "STRING":
        return call("decode", inner)
    if source == "STRING" and target == "BYTES":
        return call("encode", inner)
    if target == "BOOL" and source == "STRING":
        return call("bqs_text_to_bool" if safe else "bq_text_to_bool", inner)
    if target == "STRING" and source in _MOMENTS:
        return call(_MOMENTS[source], inner)
    forbidden = {
        ("DATE", "INT64"),
        ("TIMESTAMP", "INT64"),
        ("INT64", "DATE"),
        ("INT64", "TIMESTAMP"),
        ("BOOL", "FLOAT64"),
    }
    if (source, target) in forbidden and not isinstance(inner, exp.Null):
        raise invalid_query(f"Invalid cast from {source} to {target}")
    to = duckdb_datatype(node.to)
    return exp.TryCast(this=inner, to=to) if safe else exp.Cast(this=inner, to=to)


def duckdb_datatype(to: exp.DataType) -> exp.DataType:
    """BigQuery's NUMERIC is DECIMAL(38, 9) and its DATETIME a plain TIMESTAMP, at any depth."""
    from sqlglot import parse_one

    spelled = to.sql("bigquery")
    name = kind(typed_as(to))
    if name in DUCKDB:
        return exp.DataType.build(DUCKDB[name], dialect="duckdb")
    if name == "ARRAY":
        inner = duckdb_datatype(to.expressions[0]) if to.expressions else exp.DataType.build("BIGINT")
        return exp.DataType(this=exp.DataType.Type.ARRAY, expressions=[inner], nested=True)
    if name == "STRUCT":
        out = []
        for index, child in enumerate(to.expressions):
            if isinstance(child, exp.ColumnDef):
                out.append(
                    exp.ColumnDef(
                        this=exp.to_identifier(child.name, quoted=True), kind=duckdb_datatype(child.kind)
                    )
                )
            else:
                label = exp.to_identifier(f"_field_{index + 1}", quoted=True)
                out.append(exp.ColumnDef(this=label, kind=duckdb_datatype(child)))
        return exp.DataType(this=exp.DataType.Type.STRUCT, expressions=out, nested=True)
    raise unsupported(f"type {spelled or parse_one}")
