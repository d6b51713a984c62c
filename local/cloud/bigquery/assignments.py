"""Which values a column takes: its own type, what coerces to it, and literals that coerce further."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query
from local.cloud.bigquery.fields import Field, repeated

_WIDENS = frozenset(
    {("INTEGER", "FLOAT"), ("INTEGER", "NUMERIC"), ("NUMERIC", "FLOAT"), ("DATE", "DATETIME")}
)
_OF_TEXT_LITERALS = frozenset({"DATE", "TIMESTAMP", "DATETIME", "TIME"})


def check_assignable(given: Field, column: Field, literal: str = "") -> None:
    """Refuse a value of another type; `literal` says what kind of literal all values of the column are, if any."""
    if literal == "NULL":
        return
    if repeated(given) != repeated(column):
        raise _refused(given, column)
    if given["type"] == "RECORD" and column["type"] == "RECORD":
        if len(given["fields"]) != len(column["fields"]):
            raise _refused(given, column)
        for inner, wanted in zip(given["fields"], column["fields"], strict=True):
            # The literals inside a struct are not followed: a text may stand for a date there, an untyped NULL is INTEGER.
            if (
                not (inner["type"] == "STRING" and wanted["type"] in _OF_TEXT_LITERALS)
                and inner["type"] != "INTEGER"
            ):
                check_assignable(inner, wanted)
        return
    pair = given["type"], column["type"]
    if pair[0] == pair[1] or pair in _WIDENS:
        return
    if repeated(given) and given["type"] == "INTEGER":
        return  # an empty array, whose type is not known; the cast decides
    if literal == "TEXT" and column["type"] in _OF_TEXT_LITERALS:
        return
    if literal == "NUMBER" and pair == ("FLOAT", "NUMERIC"):
        return
    raise _refused(given, column)


def _refused(given: Field, column: Field) -> Exception:
    shown = [f"ARRAY<{f['type']}>" if repeated(f) else f["type"] for f in (given, column)]
    return invalid_query(
        f"Query column has type {shown[0]} which cannot be inserted into column {column['name']}, which has type {shown[1]}"
    )


def literal_columns(query: Any) -> list[str]:
    """For each column of a query TEXT, NUMBER or NULL when all its values are such literals, else nothing."""
    rows = _selects(query)
    width = len(rows[0].expressions) if rows else 0
    out = []
    for index in range(width):
        kinds = {_literal(r.expressions[index]) for r in rows if index < len(r.expressions)}
        kinds = kinds - {"NULL"} or {"NULL"}
        out.append(kinds.pop() if len(kinds) == 1 else "")
    return out


def _selects(node: Any) -> list[exp.Select]:
    while isinstance(node, exp.Subquery):
        node = node.this
    if isinstance(node, exp.SetOperation):
        return _selects(node.this) + _selects(node.expression)
    return [node] if isinstance(node, exp.Select) else []


def _literal(node: Any) -> str:
    node = node.this if isinstance(node, exp.Alias) else node
    while isinstance(node, exp.Neg | exp.Paren):
        node = node.this
    if isinstance(node, exp.Null):
        return "NULL"
    if isinstance(node, exp.Literal):
        return "TEXT" if node.is_string else "NUMBER"
    return ""


def without_default(value: exp.Expression) -> exp.Expression:
    """DEFAULT as a value: NULL, because columns with a default of their own are refused."""
    return exp.Null() if value.sql("bigquery").upper() == "DEFAULT" else value
