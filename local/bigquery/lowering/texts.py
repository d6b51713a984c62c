"""Texts and regular expressions (both engines use RE2); lengths and positions count as BigQuery's do."""

import re
from typing import Any

from sqlglot import exp

from local.bigquery.errors import invalid_query, unsupported
from local.bigquery.lowering.rules import Node, call, cast, kind, no_signature, rule, text, typed
from local.bigquery.lowering.signatures import INT, TEXT, TEXTUAL, simple

simple(exp.Upper, "upper", "STRING", ("this", TEXT))
simple(exp.Replace, "replace", "STRING", ("this", TEXT), ("expression", TEXT), ("replacement", TEXT))
simple(exp.Reverse, "reverse", "STRING", ("this", TEXT))
simple(exp.Repeat, "repeat", "STRING", ("this", TEXT), ("times", INT))
simple(exp.StartsWith, "starts_with", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.EndsWith, "suffix", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.Contains, "contains", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.Split, "string_split", "ARRAY<STRING>", ("this", TEXT), ("expression", TEXT))
simple(exp.Left, "left", "STRING", ("this", TEXT), ("expression", INT))
simple(exp.Right, "right", "STRING", ("this", TEXT), ("expression", INT))
simple(exp.RegexpLike, "regexp_matches", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.Levenshtein, "levenshtein", "INT64", ("this", TEXT), ("expression", TEXT))
simple(exp.Translate, "translate", "STRING", ("this", TEXT), ("from_", TEXT), ("to", TEXT))
simple(exp.Chr, "chr", "STRING", ("this", INT))
simple(exp.Initcap, "bq_initcap", "STRING", ("this", TEXT))


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
    fill = node.args.get("fill_pattern")
    return typed(
        call(
            "lpad" if node.args.get("is_left") else "rpad",
            node.this,
            cast(node.expression, "INT"),
            fill or text(" "),
        ),
        "STRING",
    )


@rule(exp.StrPosition)
def _position(node: exp.StrPosition) -> Node:
    if node.args.get("position") or node.args.get("occurrence"):
        raise unsupported("INSTR with a start position or an occurrence")
    return typed(call("instr", node.this, node.args["substr"]), "INT64")


@rule(exp.Concat)
def _concat(node: exp.Concat) -> Node:
    return piped(node.expressions)


@rule(exp.DPipe)
def _pipe(node: exp.DPipe) -> Node:
    left, right = kind(node.this), kind(node.expression)
    if "ARRAY" in (left, right):
        return typed(call("list_concat", node.this, node.expression), "ARRAY")
    return piped([node.this, node.expression])


def piped(items: list[Node]) -> Node:
    for item in items:
        if kind(item) not in TEXTUAL:
            raise no_signature("function CONCAT", *(kind(i) for i in items))
    out = items[0]
    for item in items[1:]:
        out = exp.DPipe(this=out, expression=item)
    if kind(items[0]) == "BYTES":
        return typed(exp.Paren(this=out), "BYTES")
    return typed(cast(exp.Paren(this=out), "TEXT"), "STRING")


# -- regular expressions: both engines use RE2 ------------------------------------------------------------------------


@rule(exp.RegexpExtract)
def _regexp_extract(node: exp.RegexpExtract) -> Node:
    if node.args.get("position") or node.args.get("occurrence"):
        raise unsupported("REGEXP_EXTRACT with a position or an occurrence")
    return typed(call("bq_regexp_extract", node.this, node.expression, _group(node.expression)), "STRING")


@rule(exp.RegexpExtractAll)
def _regexp_extract_all(node: exp.RegexpExtractAll) -> Node:
    return typed(
        call("regexp_extract_all", node.this, node.expression, _group(node.expression)), "ARRAY<STRING>"
    )


def _group(pattern: Node) -> int:
    """1 when the pattern has its one permitted group, 0 for the whole match."""
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise unsupported("REGEXP_EXTRACT with a pattern that is not a literal")
    groups = re.findall(r"(?<!\\)\((?!\?(?!P<))", re.sub(r"\[[^\]]*\]", "", pattern.name))
    if len(groups) > 1:
        raise invalid_query(
            "Regular expressions passed into extraction functions must not have more than 1 capturing group"
        )
    return len(groups)


@rule(exp.RegexpReplace)
def _regexp_replace(node: exp.RegexpReplace) -> Node:
    return typed(call("regexp_replace", node.this, node.expression, node.args["replacement"], "g"), "STRING")
