"""The functions that sqlglot has no class for."""

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query
from local.cloud.bigquery.lowering.rules import Node, call, cast, kind, no_signature, rule, text, typed
from local.cloud.bigquery.lowering.signatures import NUMERIC

_BUCKETS = {"DATE_BUCKET": "DATE", "DATETIME_BUCKET": "DATETIME", "TIMESTAMP_BUCKET": "TIMESTAMP"}


@rule(exp.Anonymous)
def _anonymous(node: exp.Anonymous) -> Node:
    name, args = str(node.this).upper(), node.expressions
    if name == "IEEE_DIVIDE" and len(args) == 2:
        kinds = [kind(a) for a in args]
        if not {*kinds} <= NUMERIC:
            raise no_signature("function IEEE_DIVIDE", *kinds)
        return typed(call("bq_ieee_divide", cast(args[0], "DOUBLE"), cast(args[1], "DOUBLE")), "FLOAT64")
    if name == "ERROR" and len(args) == 1:
        return call("error", args[0])
    if name == "ARRAY_INCLUDES" and len(args) == 2:
        return typed(call("list_contains", *args), "BOOL")
    if name in _BUCKETS and len(args) in (2, 3):
        return _bucket(name, args)
    raise invalid_query(f"Function not found: {node.this}")


def _bucket(name: str, args: list[Node]) -> Node:
    """The start of the bucket that holds the moment; buckets are counted from 1950 unless an origin is given."""
    wanted = _BUCKETS[name]
    if kind(args[0]) not in (wanted, "NULL") or kind(args[1]) != "INTERVAL":
        raise no_signature(f"function {name}", *(kind(a) for a in args))
    origin = args[2] if len(args) == 3 else text("1950-01-01")
    if wanted == "DATE":
        return typed(cast(call("time_bucket", args[1], args[0], cast(origin, "DATE")), "DATE"), wanted)
    if wanted == "DATETIME":
        return typed(call("time_bucket", args[1], args[0], cast(origin, "TIMESTAMP")), wanted)
    if len(args) == 3:
        origin = call("timezone", text("UTC"), origin)
    moment = call("timezone", text("UTC"), args[0])
    start = call("time_bucket", args[1], moment, cast(origin, "TIMESTAMP"))
    return typed(call("timezone", text("UTC"), start), wanted)
