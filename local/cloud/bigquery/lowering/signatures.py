"""What arguments a function takes, for functions that both engines have under other names."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query
from local.cloud.bigquery.lowering.rules import Node, call, kind, no_signature, not_exact, rule, typed

Check = frozenset[str]
TEXT: Check = frozenset({"STRING", "NULL", "UNKNOWN"})
TEXTUAL: Check = frozenset({"STRING", "BYTES", "NULL", "UNKNOWN"})
NUMERIC: Check = frozenset({"INT64", "FLOAT64", "NUMERIC", "NULL", "UNKNOWN"})
# Functions whose NUMERIC result floating point can't give.
INEXACT: Check = NUMERIC - {"NUMERIC"}
INT: Check = frozenset({"INT64", "NULL", "UNKNOWN"})
ARRAY: Check = frozenset({"ARRAY", "NULL", "UNKNOWN"})
ANY: Check = frozenset()


def const_int(node: Any, what: str) -> int:
    """The value of an integer literal argument."""
    negative = isinstance(node, exp.Neg)
    node = node.this if negative else node
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    if not isinstance(node, exp.Literal) or node.is_string:
        raise invalid_query(f"{what} must be an integer literal")
    return -int(node.this) if negative else int(node.this)


def simple(cls: type, name: str, result: str, *args: tuple[str, Check]) -> None:
    """A function that DuckDB has under `name`, with the same meaning for these argument types."""

    def lowered(node: Any) -> Node:
        given = [(node.args.get(key), allowed) for key, allowed in args]
        nodes = [g for g, _ in given if g is not None]
        label = getattr(type(node), "sql_name", lambda: name)()
        for item, allowed in given:
            if item is not None and kind(item) == "NUMERIC" and allowed == INEXACT:
                raise not_exact(label)
            if item is not None and allowed and kind(item) not in allowed:
                raise no_signature(f"function {label}", *(kind(n) for n in nodes))
        return typed(call(name, *nodes), result)

    rule(cls)(lowered)


simple(exp.Lower, "lower", "STRING", ("this", TEXT))
