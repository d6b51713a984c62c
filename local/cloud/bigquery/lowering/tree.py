"""From an annotated BigQuery tree to DuckDB SQL with BigQuery's meaning, or a refusal.

The tree is walked from the leaves up, one rule a node (`rules.py`).
"""

from sqlglot import exp

from local.cloud.bigquery.errors import unsupported
from local.cloud.bigquery.lowering import (  # noqa: F401  (each registers its rules)
    aggregates,
    arrays,
    casts,
    comparisons,
    conditions,
    date_formats,
    dates,
    encodings,
    formats,
    json_values,
    moments,
    numbers,
    operators,
    patterns,
    safe,
    set_operations,
    texts,
    unnamed,
    unnest,
)
from local.cloud.bigquery.lowering.rules import RULES, Node


def lower(tree: Node) -> Node:
    """The DuckDB tree; `tree` is consumed."""
    safe.hoist(tree)
    for node in list(tree.walk(bfs=True))[::-1]:
        # Taken before the rule runs: a rule may wrap the node, which then has another parent.
        parent, key, index = node.parent, node.arg_key, node.index
        lowered = _lower_node(node)
        if lowered is node:
            continue
        if lowered.type is None:
            lowered.type = node.type
        if node is tree or parent is None:
            tree = lowered
            tree.parent = None
        else:
            parent.set(key, lowered, index)
    return tree


def _lower_node(node: Node) -> Node:
    found = RULES.get(type(node))
    if found is not None:
        return found(node)
    if isinstance(node, (*_STRUCTURE, exp.JSONPathPart)):
        return node
    name = node.sql("bigquery")
    raise unsupported(f"{type(node).__name__} in {name[:80]}")


# Nodes that mean the same in both engines and need no rule.
_STRUCTURE: tuple[type, ...] = (
    exp.Subquery, exp.From, exp.Order, exp.Limit,
    exp.Offset, exp.With, exp.CTE, exp.TableAlias, exp.Alias, exp.Identifier, exp.Column, exp.Star, exp.Table,
    exp.Distinct, exp.Paren, exp.Null, exp.Boolean, exp.Var,
    exp.Exists, exp.Window, exp.WindowSpec, exp.DataType, exp.DataTypeParam,
    exp.Cube, exp.Rollup, exp.GroupingSets,
    exp.PropertyEQ, exp.ColumnDef, exp.RecursiveWithSearch, exp.Aliases, exp.JSONPath, exp.JSONPathRoot,
    exp.JSONPathKey, exp.JSONPathSubscript, exp.WeekStart, exp.HavingMax, exp.Placeholder, exp.Values,
)  # fmt: skip
