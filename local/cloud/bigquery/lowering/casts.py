"""CAST and SAFE_CAST: BigQuery's rounding and spelling, and the casts that it doesn't have."""

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.kinds import CASTS, NESTED, leaves
from local.cloud.bigquery.lowering.rules import DUCKDB, Node, call, kind, rule, typed_as

# Casts that DuckDB does in another way, as macros; each has a twin that gives NULL where this one fails.
_MACROS = {
    ("FLOAT64", "INT64"): "float_to_int", ("NUMERIC", "INT64"): "numeric_to_int", ("FLOAT64", "STRING"): "float_to_text",
    ("NUMERIC", "STRING"): "numeric_to_text", ("FLOAT64", "NUMERIC"): "float_to_numeric",
    ("STRING", "INT64"): "text_to_int", ("STRING", "FLOAT64"): "text_to_float", ("STRING", "NUMERIC"): "text_to_numeric",
    ("STRING", "BOOL"): "text_to_bool", ("STRING", "BYTES"): "text_to_bytes", ("BYTES", "STRING"): "bytes_to_text",
    ("STRING", "DATE"): "text_to_date", ("STRING", "TIME"): "text_to_time", ("STRING", "DATETIME"): "text_to_datetime",
    ("STRING", "TIMESTAMP"): "text_to_timestamp", ("TIMESTAMP", "STRING"): "timestamp_to_text",
    ("DATETIME", "STRING"): "datetime_to_text", ("TIME", "STRING"): "time_to_text",
}  # fmt: skip


@rule(exp.Cast, exp.TryCast)
def _cast(node: exp.Cast) -> Node:
    if node.args.get("format"):
        raise unsupported("CAST … FORMAT; use FORMAT_DATE, FORMAT_TIMESTAMP or PARSE_DATE")
    safe = isinstance(node, exp.TryCast)
    inner, source, target = node.this, kind(node.this), kind(typed_as(node.to))
    if source == "INTERVAL":
        raise unsupported("CAST of an INTERVAL")
    if target in ("UNKNOWN", "BIGNUMERIC", "INTERVAL"):
        raise unsupported(f"CAST to {node.to.sql('bigquery')}")
    if source in CASTS and target not in CASTS[source]:
        raise invalid_query(f"Invalid cast from {source} to {target}")
    _refuse_limits(node.to)
    macro = _MACROS.get((source, target))
    if macro is not None:
        return call("try", call(f"bqs_{macro}", inner)) if safe else call(f"bq_{macro}", inner)
    if isinstance(inner, exp.Struct) and target == "STRUCT":
        return _struct(inner, node.to)
    if source in NESTED:
        _check_leaves(inner, node.to)
    to = duckdb_datatype(node.to)
    return exp.TryCast(this=inner, to=to) if safe else exp.Cast(this=inner, to=to)


def _refuse_limits(to: exp.DataType) -> None:
    """STRING(10) and NUMERIC(10, 2): the limits would be lost in silence."""
    for part in to.find_all(exp.DataTypeParam):
        raise unsupported(f"types with parameters: {(part.parent or part).sql('bigquery')}")


def _struct(value: exp.Struct, to: exp.DataType) -> Node:
    """A struct that is written out, with the names and types of the target, field by field in order."""
    if len(value.expressions) != len(to.expressions):
        raise invalid_query(
            f"STRUCT type has {len(to.expressions)} fields but the value has {len(value.expressions)}"
        )
    pairs = []
    for index, (pair, field) in enumerate(zip(value.expressions, to.expressions, strict=True)):
        named = isinstance(field, exp.ColumnDef)
        name = field.name if named else f"_field_{index + 1}"
        wanted = field.kind if named else field
        lowered = _cast(exp.Cast(this=pair.expression.copy(), to=wanted.copy()))
        lowered.type = wanted.copy()
        pairs.append(exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=lowered))
    out = exp.Struct(expressions=pairs)
    out.type = to.copy()
    return out


def _check_leaves(value: Node, to: exp.DataType) -> None:
    given, wanted = leaves(value.type), leaves(to)
    for source, target in zip(given or (), wanted or (), strict=False):
        if source in CASTS and target not in CASTS[source]:
            raise invalid_query(
                f"Invalid cast from {kind(value)} of {source} to {kind(typed_as(to))} of {target}"
            )
        if source != target and (source, target) in _MACROS and not _is_written_out(value):
            raise unsupported(f"a cast of {kind(value)} that turns {source} into {target}")


def _is_written_out(value: Node) -> bool:
    """The values of an array parameter, which arrive as texts with a type of their own."""
    return isinstance(value, exp.Array) and not any(value.find_all(exp.Column))


def duckdb_datatype(to: exp.DataType) -> exp.DataType:
    """BigQuery's NUMERIC is DECIMAL(38, 9) and its DATETIME a plain TIMESTAMP, at any depth."""
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
    raise unsupported(f"type {spelled}")
