"""The functions that sqlglot has no class for."""

from sqlglot import exp

from local.bigquery.errors import invalid_query
from local.bigquery.lowering.rules import Node, call, cast, rule, typed


@rule(exp.Anonymous)
def _anonymous(node: exp.Anonymous) -> Node:
    name, args = str(node.this).upper(), node.expressions
    if name == "IEEE_DIVIDE" and len(args) == 2:
        return typed(
            exp.Paren(this=exp.Div(this=cast(args[0], "DOUBLE"), expression=cast(args[1], "DOUBLE"))),
            "FLOAT64",
        )
    if name == "ERROR" and len(args) == 1:
        return call("error", args[0])
    if name == "ARRAY_INCLUDES" and len(args) == 2:
        return typed(call("list_contains", *args), "BOOL")
    raise invalid_query(f"Function not found: {node.this}")
