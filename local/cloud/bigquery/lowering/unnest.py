"""UNNEST in FROM: a lateral subquery with BigQuery's element and an offset that counts from 0.

The qualifier has given every UNNEST a table alias and the element a column of it (`_0.i`), so names need
no care here. An element that is a struct stays one column; an UNNEST without an element alias offers the
fields of the struct as columns.
"""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import unsupported
from local.cloud.bigquery.lowering.rules import Node, call, rule


@rule(exp.Unnest)
def unnest_rule(node: exp.Unnest) -> Node:
    """`UNNEST(a) AS x WITH OFFSET o` → `(SELECT unnest(a) AS x, generate_subscripts(a, 1) - 1 AS o) AS _0`."""
    if isinstance(node.parent, exp.In):
        return node
    if len(node.expressions) != 1:
        raise unsupported("UNNEST of several arrays")
    alias = node.args.get("alias")
    table = alias.name if alias is not None else ""
    given = alias.columns[0].name if alias is not None and alias.columns else ""
    element = given or "__element"
    array, offset = node.expressions[0], node.args.get("offset")
    columns: list[Any] = [_named(call("unnest", array), element)]
    if isinstance(offset, exp.Identifier):
        # Elements and positions are unnested side by side, so each keeps its own.
        positions = call("generate_subscripts", array.copy(), 1)
        columns.append(_named(exp.Sub(this=positions, expression=exp.Literal.number(1)), offset.name))
    query = exp.Select(expressions=columns)
    fields = [] if given else _struct_fields(array)
    if fields:
        inner = exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("__rows", quoted=True)))
        base = exp.column(exp.to_identifier(element, quoted=True))
        outer: list[Any] = [
            _named(exp.Dot(this=base.copy(), expression=exp.to_identifier(f, quoted=True)), f) for f in fields
        ]
        if isinstance(offset, exp.Identifier):
            outer.append(exp.column(exp.to_identifier(offset.name, quoted=True)))
        query = exp.Select(expressions=outer, from_=exp.From(this=inner))
    return exp.Subquery(
        this=query, alias=exp.TableAlias(this=exp.to_identifier(table or "__unnest", quoted=True))
    )


def _named(node: Node, name: str) -> Node:
    return exp.Alias(this=node, alias=exp.to_identifier(name, quoted=True))


def _struct_fields(array: Node) -> list[str]:
    kind = array.type
    if not isinstance(kind, exp.DataType) or not kind.expressions:
        return []
    inner = kind.expressions[0]
    return (
        [f.name for f in inner.expressions if isinstance(f, exp.ColumnDef)]
        if isinstance(inner, exp.DataType)
        else []
    )


@rule(exp.Join)
def join_rule(node: exp.Join) -> Node:
    """LEFT JOIN UNNEST(a) has no condition in BigQuery; DuckDB wants one."""
    if node.side and not node.args.get("on") and not node.args.get("using"):
        node.set("on", exp.Boolean(this=True))
    return node
