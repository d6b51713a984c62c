"""Which types fit together: comparison, supertypes and casts, from the reference's "Conversion rules".

A type that could not be inferred (UNKNOWN) is let through: the engine below still binds it.
"""

from collections.abc import Iterable
from typing import Any

from sqlglot import exp

from local.cloud.bigquery.lowering.rules import (
    DUCKDB,
    NUMBERS,
    Node,
    cast,
    kind,
    no_signature,
    typed,
    typed_as,
)

MOMENTS = frozenset({"DATE", "DATETIME", "TIMESTAMP", "TIME"})
OPEN = frozenset({"UNKNOWN", "NULL"})
NESTED = frozenset({"ARRAY", "STRUCT"})
_ALL = frozenset({*DUCKDB})
# From each type the types that CAST can make of it; INTERVAL, BIGNUMERIC and GEOGRAPHY are refused elsewhere.
CASTS: dict[str, frozenset[str]] = {
    "INT64": frozenset({"INT64", "BOOL", "NUMERIC", "FLOAT64", "STRING"}),
    "NUMERIC": frozenset({"INT64", "NUMERIC", "FLOAT64", "STRING"}),
    "FLOAT64": frozenset({"INT64", "NUMERIC", "FLOAT64", "STRING"}),
    "BOOL": frozenset({"INT64", "BOOL", "STRING"}),
    "STRING": _ALL - {"JSON"},
    "BYTES": frozenset({"STRING", "BYTES"}),
    "DATE": frozenset({"STRING", "DATE", "DATETIME", "TIMESTAMP"}),
    "DATETIME": frozenset({"STRING", *MOMENTS}),
    "TIMESTAMP": frozenset({"STRING", *MOMENTS}),
    "TIME": frozenset({"STRING", "TIME"}),
    "JSON": frozenset({"JSON"}),
    "ARRAY": frozenset({"ARRAY"}),
    "STRUCT": frozenset({"STRUCT"}),
}


def is_text_literal(node: Node) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def is_number_literal(node: Any) -> bool:
    """Whether the node is what a number of the query's text was lowered to, with or without a minus."""
    while isinstance(node, exp.Neg | exp.Paren):
        node = node.this
    return isinstance(node, exp.Cast) and bool(node.meta.get("literal"))


def supertype(nodes: Iterable[Node]) -> str | None:
    """The type to which all of them coerce; None when there is none. Literals coerce to more than columns do."""
    texts = floats = integers = False
    kinds: set[str] = set()
    for node in nodes:
        name = kind(node)
        if is_text_literal(node):
            texts = True
        elif name == "FLOAT64" and is_number_literal(node):
            floats = True
        elif name == "INT64" and is_number_literal(node):
            integers = True
        elif name not in OPEN:
            kinds.add(name)
        elif name == "UNKNOWN":
            return "UNKNOWN"
    if integers and not kinds & {"NUMERIC", "FLOAT64"}:
        kinds.add("INT64")
    if floats and "NUMERIC" not in kinds:
        kinds.add("FLOAT64")
    if texts and not (len(kinds) == 1 and kinds <= MOMENTS):
        kinds.add("STRING")
    if not kinds:
        return "NULL"
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= NUMBERS:
        return "FLOAT64" if "FLOAT64" in kinds else "NUMERIC"
    return "DATETIME" if kinds == {"DATE", "DATETIME"} else None


def coerced(node: Node, name: str) -> Node:
    """The node as a value of its supertype, where the engine's own idea of it could be another."""
    given = kind(node)
    if name not in DUCKDB or given == name or given in OPEN:
        return node
    return typed(cast(node, DUCKDB[name]), name)


def unified(what: str, nodes: list[Node]) -> tuple[list[Node], str]:
    """The nodes as values of one type; raises where the service finds no signature."""
    name = supertype(nodes)
    if name is None or (name in NESTED and not _alike(nodes)):
        raise no_signature(what, *(kind(n) for n in nodes))
    return [coerced(n, name) for n in nodes], name


def _alike(nodes: list[Node]) -> bool:
    """Whether arrays and structs agree in the types of their leaves, as far as these are known."""
    known = [n for n in nodes if kind(n) in NESTED and not (isinstance(n, exp.Array) and not n.expressions)]
    shapes = [s for s in (leaves(n.type) for n in known) if s is not None]
    if len({len(s) for s in shapes}) > 1:
        return False
    for column in zip(*shapes, strict=True):
        kinds = {*column} - OPEN
        if len(kinds) > 1 and not kinds <= NUMBERS:
            return False
    return True


def leaves(found: Any) -> list[str] | None:
    """The type names of a nested type's leaves in order; None when a part of it is not known."""
    if not isinstance(found, exp.DataType):
        return None
    name = kind(typed_as(found))
    if name not in NESTED:
        return [name]
    if not found.expressions:
        return None
    out: list[str] = []
    for child in found.expressions:
        inner = leaves(child.kind if isinstance(child, exp.ColumnDef) else child)
        if inner is None:
            return None
        out += inner
    return out


def comparable(left: Node, right: Node) -> bool:
    """BigQuery compares values of one type, numbers with numbers, and dates with literal texts; nothing else."""
    return supertype([left, right]) is not None
