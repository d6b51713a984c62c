"""Query parameters as typed literals in the tree."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid, invalid_query, unsupported

_SCALARS = frozenset(
    [
        "INT64",
        "FLOAT64",
        "STRING",
        "BYTES",
        "BOOL",
        "DATE",
        "DATETIME",
        "TIME",
        "TIMESTAMP",
        "NUMERIC",
        "JSON",
    ]
)
_ALIASES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC"}


def bind(tree: exp.Expression, parameters: list[dict[str, Any]], mode: str | None) -> exp.Expression:
    """Put the values in place of `@name` and `?`."""
    named = {p["name"].lower(): p for p in parameters if p.get("name")}
    positional = [p for p in parameters if not p.get("name")]
    if named and positional:
        raise invalid("Query parameters can't be both named and positional")
    marks = [n for n in tree.find_all(exp.Placeholder, bfs=False) if isinstance(n, exp.Placeholder)]
    uses = list(tree.find_all(exp.Parameter))
    if (marks and uses) or (mode == "NAMED" and marks) or (mode == "POSITIONAL" and uses):
        raise invalid_query("Query parameters can't be both named and positional")
    if marks and len(marks) != len(positional):
        raise invalid_query(f"Query has {len(marks)} positional parameters, but {len(positional)} were given")
    for mark, given in zip(marks, positional, strict=False):
        tree = _put(tree, mark, literal(given.get("parameterType"), given.get("parameterValue")))
    for use in uses:
        name = use.this.name.lower() if isinstance(use.this, exp.Expression) else str(use.this).lower()
        if name not in named:
            raise invalid_query(f"Query parameter '{name}' not found")
        given = named[name]
        tree = _put(tree, use, literal(given.get("parameterType"), given.get("parameterValue")))
    return tree


def _put(tree: exp.Expression, old: exp.Expression, new: exp.Expression) -> exp.Expression:
    if old is tree:
        return new
    if isinstance(old.parent, exp.Limit | exp.Offset) and isinstance(new, exp.Cast):
        new = new.this  # LIMIT takes a bare number
    old.replace(new)
    return tree


def literal(kind: Any, value: Any) -> exp.Expression:
    """One value with its declared type, as the client sends them."""
    if not isinstance(kind, dict) or not kind.get("type"):
        raise invalid("A query parameter has no type")
    value = value or {}
    name = str(kind["type"]).upper()
    name = _ALIASES.get(name, name)
    if name == "ARRAY":
        inner = kind.get("arrayType") or {}
        items = [literal(inner, item) for item in value.get("arrayValues") or []]
        return exp.Cast(this=exp.Array(expressions=items), to=_type(kind))
    if name == "STRUCT":
        fields = kind.get("structTypes") or []
        values = value.get("structValues") or {}
        pairs = [
            exp.PropertyEQ(this=exp.to_identifier(f.get("name") or f"_field_{i}"), expression=literal(f.get("type"), values.get(f.get("name"))))
            for i, f in enumerate(fields, 1)
        ]  # fmt: skip
        return exp.Struct(expressions=pairs)
    if name not in _SCALARS:
        raise unsupported(f"query parameters of type {name}")
    text = value.get("value")
    to = exp.DataType.build(name, dialect="bigquery")
    if text is None:
        return exp.Cast(this=exp.Null(), to=to)
    text = str(text)
    if name == "INT64":
        try:
            number = int(text)
        except ValueError:
            raise invalid(f"Invalid value for INT64 query parameter: {text!r}") from None
        bare = exp.Literal.number(abs(number))
        return exp.Cast(this=exp.Neg(this=bare) if number < 0 else bare, to=to)
    if name == "BOOL":
        return exp.Boolean(this=text.lower() == "true")
    if name == "STRING":
        return exp.Literal.string(text)  # bare: as a literal it coerces to dates, and so does a parameter
    if name == "BYTES":
        return exp.FromBase64(this=exp.Literal.string(text))
    return exp.Cast(this=exp.Literal.string(text), to=to)


def _type(kind: dict[str, Any]) -> exp.DataType:
    name = str(kind.get("type", "")).upper()
    if name == "ARRAY":
        return exp.DataType.build(
            f"ARRAY<{_type(kind.get('arrayType') or {}).sql('bigquery')}>", dialect="bigquery"
        )
    if name == "STRUCT":
        inner = ", ".join(
            f"{f['name']} {_type(f['type']).sql('bigquery')}" for f in kind.get("structTypes") or []
        )
        return exp.DataType.build(f"STRUCT<{inner}>", dialect="bigquery")
    name = _ALIASES.get(name, name)
    if name not in _SCALARS:
        raise unsupported(f"query parameters of type {name or 'unknown'}")
    return exp.DataType.build(name, dialect="bigquery")
