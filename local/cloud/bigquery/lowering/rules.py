"""The table of rules, and the small words that rules are written in.

A rule turns one node of an annotated BigQuery tree into DuckDB's. Every node class needs one, or a place
among the nodes that mean the same in both engines: what neither names is refused, because passing an
unknown function through gives answers that are wrong without a sign of it.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported

Node: TypeAlias = exp.Expression
Rule = Callable[[Any], Node]
RULES: dict[type, Rule] = {}

_NAMES = {
    "BIGINT": "INT64", "INT": "INT64", "SMALLINT": "INT64", "TINYINT": "INT64", "DOUBLE": "FLOAT64",
    "FLOAT": "FLOAT64", "DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC", "TEXT": "STRING", "VARCHAR": "STRING",
    "CHAR": "STRING", "BINARY": "BYTES", "VARBINARY": "BYTES", "BOOLEAN": "BOOL", "DATE": "DATE",
    "TIMESTAMP": "DATETIME", "TIMESTAMPNTZ": "DATETIME", "DATETIME": "DATETIME", "TIMESTAMPTZ": "TIMESTAMP", "TIMESTAMPLTZ": "TIMESTAMP",
    "TIME": "TIME", "JSON": "JSON", "ARRAY": "ARRAY", "STRUCT": "STRUCT", "INTERVAL": "INTERVAL", "NULL": "NULL",
}  # fmt: skip
TEXTUAL = frozenset({"STRING", "BYTES"})
NUMBERS = frozenset({"INT64", "FLOAT64", "NUMERIC"})


def rule(*classes: type) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        for cls in classes:
            RULES[cls] = function
        return function

    return register


def kind(node: Any) -> str:
    """The BigQuery type name of an annotated node, `UNKNOWN` when it could not be inferred."""
    if isinstance(node, exp.Null):
        return "NULL"
    found = getattr(node, "type", None)
    return _NAMES.get(found.this.name, "UNKNOWN") if isinstance(found, exp.DataType) else "UNKNOWN"


def call(name: str, *args: Any) -> Node:
    """A DuckDB function call that the generator writes as it is."""
    return exp.Anonymous(this=name, expressions=[_node(a) for a in args])


def text(value: str) -> Node:
    return exp.Literal.string(value)


def integer(value: int) -> Node:
    return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))


def cast(node: Node, duckdb: str) -> Node:
    return exp.Cast(this=node, to=exp.DataType.build(duckdb, dialect="duckdb"))


def _node(value: Any) -> Node:
    if isinstance(value, int):
        return integer(value)
    return text(value) if isinstance(value, str) else value


DUCKDB = {
    "INT64": "BIGINT", "FLOAT64": "DOUBLE", "NUMERIC": "DECIMAL(38, 9)", "STRING": "TEXT", "BYTES": "BLOB",
    "BOOL": "BOOLEAN", "DATE": "DATE", "DATETIME": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ", "TIME": "TIME",
    "JSON": "JSON",
}  # fmt: skip


def paren(node: Node) -> Node:
    return exp.Paren(this=node) if isinstance(node, exp.Binary) else node


def typed(node: Node, name: str) -> Node:
    """Record the BigQuery type of a new node, for the rules of its parents."""
    node.type = exp.DataType.build(name, dialect="bigquery")
    return node


def not_exact(name: str) -> Exception:
    """For functions that are exact decimals in the service and floating point here."""
    return unsupported(f"{name} of NUMERIC; cast it to FLOAT64")


def no_signature(name: str, *kinds: str) -> Exception:
    """The error for arguments of these types. Many functions take BYTES in the service and only texts here."""
    if "BYTES" in kinds:
        return unsupported(f"{name} of {', '.join(kinds)}")
    return invalid_query(f"No matching signature for {name} for argument types: {', '.join(kinds)}")


def typed_as(to: exp.DataType) -> Any:
    """A stand-in node of a type, for rules that ask about types."""
    holder = exp.Placeholder()
    holder.type = to
    return holder
