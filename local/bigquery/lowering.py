"""From an annotated BigQuery tree to DuckDB SQL with BigQuery's meaning, or a refusal.

The tree is walked from the leaves up. Every node class needs a rule here (or in `lowering_text`,
`lowering_dates`, `lowering_aggregates`): what no rule names is refused, because passing an unknown
function through gives answers that are wrong without a sign of it.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from sqlglot import exp

from local.bigquery.errors import invalid_query, unsupported

Node: TypeAlias = exp.Expression
Rule = Callable[[Any], Node]
RULES: dict[type, Rule] = {}

_NAMES = {
    "BIGINT": "INT64", "INT": "INT64", "SMALLINT": "INT64", "TINYINT": "INT64", "DOUBLE": "FLOAT64",
    "FLOAT": "FLOAT64", "DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC", "TEXT": "STRING", "VARCHAR": "STRING",
    "CHAR": "STRING", "BINARY": "BYTES", "VARBINARY": "BYTES", "BOOLEAN": "BOOL", "DATE": "DATE",
    "TIMESTAMP": "DATETIME", "DATETIME": "DATETIME", "TIMESTAMPTZ": "TIMESTAMP", "TIMESTAMPLTZ": "TIMESTAMP",
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


def lower(tree: Node) -> Node:
    """The DuckDB tree; `tree` is consumed."""
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
    if isinstance(node, _STRUCTURE):
        return node
    name = node.sql("bigquery")
    raise unsupported(f"{type(node).__name__} in {name[:80]}")


# Nodes that mean the same in both engines and need no rule.
_STRUCTURE: tuple[type, ...] = (
    exp.Select, exp.Subquery, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit,
    exp.Offset, exp.With, exp.CTE, exp.TableAlias, exp.Alias, exp.Identifier, exp.Column, exp.Star, exp.Table,
    exp.Union, exp.Except, exp.Intersect, exp.Distinct, exp.Qualify, exp.Paren, exp.Null, exp.Boolean, exp.Var,
    exp.And, exp.Or, exp.Not, exp.Is, exp.Exists, exp.Window, exp.WindowSpec, exp.DataType, exp.DataTypeParam,
    exp.Tuple, exp.Cube, exp.Rollup, exp.GroupingSets, exp.If, exp.Case, exp.Coalesce, exp.Nullif, exp.Abs,
    exp.PropertyEQ, exp.Neg, exp.ColumnDef, exp.NullSafeEQ, exp.NullSafeNEQ, exp.RecursiveWithSearch,
    exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot, exp.Aliases, exp.JSONPath, exp.JSONPathRoot,
    exp.JSONPathKey, exp.JSONPathSubscript, exp.WeekStart, exp.HavingMax, exp.Pivot, exp.PivotAlias, exp.UnpivotColumns,
    exp.PivotAny, exp.Placeholder, exp.Values,
)  # fmt: skip


# -- literals and operators -------------------------------------------------------------------------------------------

_RAW_PARENTS = (
    exp.Limit,
    exp.Offset,
    exp.Ordered,
    exp.Group,
    exp.DataTypeParam,
    exp.JSONPathSubscript,
    exp.WindowSpec,
)


@rule(exp.Literal)
def _literal(node: exp.Literal) -> Node:
    if node.is_string or isinstance(node.parent, _RAW_PARENTS):
        return node
    if any(c in node.this for c in ".eE"):
        return cast(node, "DOUBLE")
    if isinstance(node.parent, exp.Neg) and node.this == "9223372036854775808":
        return node
    return cast(node, "BIGINT")


@rule(exp.RawString, exp.UnicodeString)
def _raw_string(node: Node) -> Node:
    return text(node.this)


@rule(exp.ByteString)
def _bytes(node: Node) -> Node:
    return call("encode", text(node.this))


@rule(exp.Dot)
def _dot(node: exp.Dot) -> Node:
    if isinstance(node.expression, exp.Func):
        raise unsupported(f"{node.sql('bigquery')}")
    return node


@rule(exp.Add, exp.Sub, exp.Mul)
def _arithmetic(node: exp.Binary) -> Node:
    left, right = kind(node.this), kind(node.expression)
    both = {left, right}
    operator = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}[type(node)]
    if both & {"STRING", "BOOL", "BYTES", "ARRAY", "STRUCT", "JSON"}:
        raise no_signature(f"operator {operator}", left, right)
    if left == "DATE" and right == "INT64" and not isinstance(node, exp.Mul):
        amount = cast(node.expression, "INT")
        return typed(cast(type(node)(this=node.this, expression=amount), "DATE"), "DATE")
    if "INTERVAL" in both and both & {"DATE", "DATETIME"}:
        return typed(node, "DATETIME")
    if isinstance(node, exp.Sub) and both <= {"DATE", "DATETIME", "TIMESTAMP", "TIME"}:
        raise unsupported("subtracting dates to an INTERVAL; use DATE_DIFF, DATETIME_DIFF or TIMESTAMP_DIFF")
    if "NUMERIC" in both and "FLOAT64" not in both:
        return typed(cast(exp.Paren(this=node), "DECIMAL(38, 9)"), "NUMERIC")
    return node


@rule(exp.Div)
def _divide(node: exp.Div) -> Node:
    _numbers("operator /", node.this, node.expression)
    return _quotient("bq_div", node)


@rule(exp.SafeDivide)
def _safe_divide(node: exp.SafeDivide) -> Node:
    _numbers("SAFE_DIVIDE", node.this, node.expression)
    return _quotient("bq_safe_divide", node)


def _quotient(macro: str, node: Any) -> Node:
    both = {kind(node.this), kind(node.expression)}
    out = call(macro, node.this, node.expression)
    if "NUMERIC" in both and "FLOAT64" not in both:
        return typed(cast(out, "DECIMAL(38, 9)"), "NUMERIC")
    return typed(out, "FLOAT64")


def _numbers(name: str, *nodes: Node) -> None:
    kinds = [kind(n) for n in nodes]
    if not {*kinds} <= NUMBERS | {"NULL", "UNKNOWN"}:
        raise no_signature(name, *kinds)


@rule(exp.Mod)
def _mod(node: exp.Mod) -> Node:
    _numbers("MOD", node.this, node.expression)
    return exp.Paren(this=exp.Mod(this=_paren(node.this), expression=_paren(node.expression)))


@rule(exp.IntDiv)
def _int_div(node: exp.IntDiv) -> Node:
    _numbers("DIV", node.this, node.expression)
    # DuckDB's // floors for floating point only; on integers it truncates, as DIV does.
    return exp.Paren(
        this=exp.IntDiv(this=_paren(cast(node.this, "BIGINT")), expression=cast(node.expression, "BIGINT"))
    )


def _paren(node: Node) -> Node:
    return exp.Paren(this=node) if isinstance(node, exp.Binary) else node


def typed(node: Node, name: str) -> Node:
    """Record the BigQuery type of a new node, for the rules of its parents."""
    node.type = exp.DataType.build(name, dialect="bigquery")
    return node


def no_signature(name: str, *kinds: str) -> Exception:
    return invalid_query(f"No matching signature for {name} for argument types: {', '.join(kinds)}")


_LITERAL_COERCES = frozenset({"DATE", "DATETIME", "TIMESTAMP", "TIME"})


def comparable(left: Node, right: Node) -> bool:
    """BigQuery compares equal types, numbers with numbers, and dates with literal texts; nothing else."""
    a, b = kind(left), kind(right)
    if a == b or {a, b} & {"UNKNOWN", "NULL", "ARRAY", "STRUCT"} or {a, b} <= NUMBERS:
        return True
    for one, other in ((left, right), (right, left)):
        if is_text_literal(one) and kind(other) in _LITERAL_COERCES:
            return True
    return False


def is_text_literal(node: Node) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _compare(name: str, left: Node, right: Node) -> tuple[Node, Node]:
    if not comparable(left, right):
        raise no_signature(f"operator {name}", kind(left), kind(right))
    # A text literal beside a date takes the date's type, also where DuckDB would compare texts.
    if is_text_literal(left) and kind(right) in _LITERAL_COERCES:
        left = cast(left, DUCKDB[kind(right)])
    if is_text_literal(right) and kind(left) in _LITERAL_COERCES:
        right = cast(right, DUCKDB[kind(left)])
    return left, right


_SYMBOLS = {exp.EQ: "=", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}


@rule(*_SYMBOLS)
def _comparison(node: exp.Binary) -> Node:
    left, right = _compare(_SYMBOLS[type(node)], node.this, node.expression)
    if left is not node.this:
        node.set("this", left)
    if right is not node.expression:
        node.set("expression", right)
    return node


@rule(exp.Between)
def _between(node: exp.Between) -> Node:
    low, high = node.args["low"], node.args["high"]
    node.set("low", _compare("BETWEEN", node.this, low)[1])
    node.set("high", _compare("BETWEEN", node.this, high)[1])
    return node


@rule(exp.In)
def _in(node: exp.In) -> Node:
    for index, item in enumerate(list(node.expressions)):
        node.expressions[index] = _compare("IN", node.this, item)[1]
        node.expressions[index].parent = node
    unnest = node.args.get("unnest")
    if unnest is not None:
        # NULL among the elements makes a miss NULL, as in SQL's IN; list_contains would say false.
        column = exp.Subquery(this=exp.Select(expressions=[call("unnest", unnest.expressions[0])]))
        return exp.In(this=node.this, query=column)
    return node


@rule(exp.TableColumn)
def _whole_row(node: exp.TableColumn) -> Node:
    """A table's alias as a value: the row as a struct, in both engines."""
    return exp.Column(this=exp.to_identifier(node.name, quoted=True))


@rule(exp.Like)
def _like(node: exp.Like) -> Node:
    if not {kind(node.this), kind(node.expression)} <= TEXTUAL | {"NULL", "UNKNOWN"}:
        raise no_signature("operator LIKE", kind(node.this), kind(node.expression))
    # BigQuery's LIKE knows the backslash as escape.
    return exp.Escape(this=node, expression=text("\\"))


# -- casts ------------------------------------------------------------------------------------------------------------


@rule(exp.Cast, exp.TryCast)
def _cast(node: exp.Cast) -> Node:
    if node.args.get("format"):
        raise unsupported("CAST … FORMAT; use FORMAT_DATE, FORMAT_TIMESTAMP or PARSE_DATE")
    safe = isinstance(node, exp.TryCast)
    target = kind(_typed_as(node.to))
    if target in ("UNKNOWN", "BIGNUMERIC", "INTERVAL"):
        raise unsupported(f"CAST to {node.to.sql('bigquery')}")
    source = kind(node.this)
    inner = node.this
    if source in ("FLOAT64", "NUMERIC") and target == "INT64":
        return call("try", call("bq_float_to_int", inner)) if safe else call("bq_float_to_int", inner)
    if source == "FLOAT64" and target == "STRING":
        return call("bq_float_to_text", inner)
    if source == "NUMERIC" and target == "STRING":
        return call("bq_numeric_to_text", inner)
    if source == "BYTES" and target == "STRING":
        return call("decode", inner)
    if source == "STRING" and target == "BYTES":
        return call("encode", inner)
    if target == "BOOL" and source == "STRING":
        pass
    forbidden = {
        ("DATE", "INT64"),
        ("TIMESTAMP", "INT64"),
        ("INT64", "DATE"),
        ("INT64", "TIMESTAMP"),
        ("BOOL", "FLOAT64"),
    }
    if (source, target) in forbidden and not isinstance(inner, exp.Null):
        raise invalid_query(f"Invalid cast from {source} to {target}")
    to = duckdb_datatype(node.to)
    return exp.TryCast(this=inner, to=to) if safe else exp.Cast(this=inner, to=to)


def _typed_as(to: exp.DataType) -> Any:
    holder = exp.Placeholder()
    holder.type = to
    return holder


def duckdb_datatype(to: exp.DataType) -> exp.DataType:
    """BigQuery's NUMERIC is DECIMAL(38, 9) and its DATETIME a plain TIMESTAMP, at any depth."""
    from sqlglot import parse_one

    spelled = to.sql("bigquery")
    name = kind(_typed_as(to))
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
    raise unsupported(f"type {spelled or parse_one}")


@rule(exp.Struct)
def _struct(node: exp.Struct) -> Node:
    pairs, seen = [], set()
    for index, item in enumerate(node.expressions):
        if isinstance(item, exp.PropertyEQ):
            name, value = item.name, item.expression
        else:
            name = item.output_name if isinstance(item, exp.Column | exp.Dot | exp.Alias) else ""
            value = item.this if isinstance(item, exp.Alias) else item
        name = name or f"_field_{index + 1}"
        if name.lower() in seen:
            raise unsupported(f"a STRUCT with two fields named {name}")
        seen.add(name.lower())
        pairs.append(exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value))
    return exp.Struct(expressions=pairs)


@rule(exp.Array)
def _array(node: exp.Array) -> Node:
    """The elements of an array of structs share the field names of the first one, by position."""
    first = node.expressions[0] if node.expressions else None
    names = [p.name for p in first.expressions] if isinstance(first, exp.Struct) else []
    for index, item in enumerate(list(node.expressions)):
        if isinstance(item, exp.Struct | exp.Tuple) and names:
            values = [p.expression if isinstance(p, exp.PropertyEQ) else p for p in item.expressions]
            if len(values) != len(names):
                raise invalid_query(
                    "Array elements of types with different numbers of fields do not have a common supertype"
                )
            pairs = [
                exp.PropertyEQ(this=exp.to_identifier(n, quoted=True), expression=v)
                for n, v in zip(names, values, strict=True)
            ]
            node.expressions[index] = exp.Struct(expressions=pairs)
            node.expressions[index].parent = node
    return node


@rule(exp.Bracket)
def _bracket(node: exp.Bracket) -> Node:
    if len(node.expressions) != 1 or kind(node.this) == "JSON":
        raise unsupported("JSON subscripts; use JSON_VALUE or JSON_QUERY")
    if kind(node.this) == "STRUCT":
        raise unsupported("struct subscripts; use the field's name")
    index = node.expressions[0]
    if not node.args.get("offset"):
        index = exp.Add(this=_paren(index), expression=integer(1))
    return call("bq_safe_at" if node.args.get("safe") else "bq_at", node.this, index)


@rule(exp.SafeFunc)
def _safe_function(node: exp.SafeFunc) -> Node:
    return call("try", node.this)
