"""Texts: lengths and positions count characters, as BigQuery's do."""

from typing import Any

from sqlglot import exp, parse_one

from local.cloud.bigquery.errors import unsupported
from local.cloud.bigquery.lowering.rules import (
    RULES,
    Node,
    call,
    cast,
    integer,
    kind,
    no_signature,
    rule,
    text,
    typed,
)
from local.cloud.bigquery.lowering.signatures import ARRAY, INT, TEXT, TEXTUAL, simple

simple(exp.Upper, "bq_upper", "STRING", ("this", TEXT))
simple(exp.Replace, "replace", "STRING", ("this", TEXT), ("expression", TEXT), ("replacement", TEXT))
simple(exp.Reverse, "reverse", "STRING", ("this", TEXT))
simple(exp.Repeat, "bq_repeat", "STRING", ("this", TEXT), ("times", INT))
simple(exp.StartsWith, "starts_with", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.EndsWith, "suffix", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.Contains, "contains", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.Split, "string_split", "ARRAY<STRING>", ("this", TEXT), ("expression", TEXT))
simple(exp.Left, "bq_left", "STRING", ("this", TEXT), ("expression", INT))
simple(exp.Right, "bq_right", "STRING", ("this", TEXT), ("expression", INT))
simple(exp.Translate, "bq_translate", "STRING", ("this", TEXT), ("from_", TEXT), ("to", TEXT))
simple(exp.Ascii, "bq_ascii", "INT64", ("this", TEXT))
simple(exp.Unicode, "bq_unicode", "INT64", ("this", TEXT))
simple(exp.ToCodePoints, "bq_code_points", "ARRAY<INT64>", ("this", TEXT))
simple(exp.CodePointsToString, "bq_text_of", "STRING", ("this", ARRAY))
simple(exp.CodePointsToBytes, "bq_bytes_of", "BYTES", ("this", ARRAY))
simple(exp.SafeConvertBytesToString, "bq_decode_safely", "STRING", ("this", frozenset({"BYTES", "NULL"})))


@rule(exp.Length, exp.ByteLength)
def _length(node: Any) -> Node:
    name = kind(node.this)
    if name not in TEXTUAL:
        raise no_signature("function LENGTH", name)
    if name == "BYTES":
        return call("octet_length", node.this)
    return call("strlen" if isinstance(node, exp.ByteLength) else "length", node.this)


@rule(exp.Substring)
def _substring(node: exp.Substring) -> Node:
    if kind(node.this) not in TEXT:
        raise no_signature("function SUBSTR", kind(node.this))
    length = node.args.get("length")
    counts = [kind(n) for n in (node.args["start"], length) if n is not None]
    if not {*counts} <= INT:
        raise no_signature("function SUBSTR", kind(node.this), *counts)
    return typed(call("bq_substr", node.this, node.args["start"], *([length] if length else [])), "STRING")


@rule(exp.Trim)
def _trim(node: exp.Trim) -> Node:
    if kind(node.this) not in TEXT:
        raise no_signature("function TRIM", kind(node.this))
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
    extra = node.args.get("expression")
    # Without characters BigQuery trims all white space, DuckDB only blanks.
    return typed(call(name, node.this, extra if extra else text(" \t\n\r\v\f")), "STRING")


@rule(exp.Pad)
def _pad(node: exp.Pad) -> Node:
    name, fill = "LPAD" if node.args.get("is_left") else "RPAD", node.args.get("fill_pattern") or text(" ")
    if not {kind(node.this), kind(fill)} <= TEXT or kind(node.expression) not in INT:
        raise no_signature(f"function {name}", kind(node.this), kind(node.expression), kind(fill))
    length = call("bq_length", node.expression, f"Second argument in {name}")
    return typed(call(name.lower(), node.this, cast(length, "INT"), fill), "STRING")


@rule(exp.StrPosition)
def _position(node: exp.StrPosition) -> Node:
    position, occurrence = node.args.get("position"), node.args.get("occurrence")
    if position is not None:
        return typed(
            call("bq_instr", node.this, node.args["substr"], position, occurrence or integer(1)), "INT64"
        )
    return typed(call("instr", node.this, node.args["substr"]), "INT64")


@rule(exp.Concat)
def _concat(node: exp.Concat) -> Node:
    """CONCAT casts what is no text, as its documentation shows; the operator || does not."""
    if any(kind(item) == "BYTES" for item in node.expressions):
        return piped(node.expressions)
    return piped([item if kind(item) in TEXTUAL else _as_text(item) for item in node.expressions])


def _as_text(item: Node) -> Node:
    if kind(item) not in ("INT64", "FLOAT64", "NUMERIC", "BOOL", "DATE", "TIMESTAMP", "DATETIME", "TIME"):
        raise no_signature("function CONCAT", kind(item))
    cast_ = exp.Cast(this=item, to=exp.DataType.build("STRING", dialect="bigquery"))
    return typed(RULES[exp.Cast](cast_), "STRING")


@rule(exp.Chr)
def _chr(node: exp.Chr) -> Node:
    (code,) = node.expressions
    return typed(call("bq_text_of", exp.Array(expressions=[code])), "STRING")


# What the parser puts in place of delimiters that the author left out.
_WORD_BREAKS = parse_one("INITCAP('')", read="bigquery").args["expression"].name


@rule(exp.Initcap)
def _initcap(node: exp.Initcap) -> Node:
    given = node.args.get("expression")
    if given is not None and given.name != _WORD_BREAKS:
        raise unsupported("INITCAP with delimiters of one's own")
    if kind(node.this) not in TEXT:
        raise no_signature("function INITCAP", kind(node.this))
    return typed(call("bq_initcap", node.this), "STRING")


@rule(exp.Levenshtein)
def _edit_distance(node: exp.Levenshtein) -> Node:
    out = call("levenshtein", node.this, node.expression)
    most = node.args.get("max_dist")
    return typed(call("least", out, most) if most is not None else out, "INT64")


@rule(exp.Normalize)
def _normalize(node: exp.Normalize) -> Node:
    form = node.args.get("form")
    if node.args.get("is_casefold") or (isinstance(form, exp.Var) and form.name.upper() != "NFC"):
        raise unsupported("NORMALIZE to another form than NFC, and NORMALIZE_AND_CASEFOLD")
    return typed(call("nfc_normalize", node.this), "STRING")


@rule(exp.DPipe)
def _pipe(node: exp.DPipe) -> Node:
    left, right = kind(node.this), kind(node.expression)
    if "ARRAY" in (left, right):
        return typed(call("list_concat", node.this, node.expression), "ARRAY")
    return piped([node.this, node.expression])


def piped(items: list[Node]) -> Node:
    mixed = {"STRING", "BYTES"} <= {kind(i) for i in items}
    for item in items:
        if kind(item) not in TEXTUAL or mixed:
            raise no_signature("function CONCAT", *(kind(i) for i in items))
    out = items[0]
    for item in items[1:]:
        out = exp.DPipe(this=out, expression=item)
    if kind(items[0]) == "BYTES":
        return typed(exp.Paren(this=out), "BYTES")
    return typed(cast(exp.Paren(this=out), "TEXT"), "STRING")
