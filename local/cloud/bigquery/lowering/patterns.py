"""Regular expressions (both engines use RE2) and LIKE."""

import re
from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.rules import Node, call, integer, kind, no_signature, rule, text, typed
from local.cloud.bigquery.lowering.signatures import TEXT, TEXTUAL, simple

simple(exp.RegexpLike, "regexp_matches", "BOOL", ("this", TEXT), ("expression", TEXT))


@rule(exp.RegexpExtract)
def _regexp_extract(node: exp.RegexpExtract) -> Node:
    position, occurrence = node.args.get("position"), node.args.get("occurrence")
    group = _group(node.expression)
    if position is not None:
        found = call(
            "bq_regexp_extract_nth", node.this, node.expression, group, position, occurrence or integer(1)
        )
    else:
        found = call("bq_regexp_extract", node.this, node.expression, group)
    # A group that took no part is NULL in BigQuery and '' in DuckDB; only an optional group can take no part.
    if group and re.search(r"(?<!\\)\)[?*]", node.expression.name):
        found = call("nullif", found, text(""))
    return typed(found, "STRING")


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


@rule(exp.RegexpInstr)
def _regexp_instr(node: exp.RegexpInstr) -> Node:
    if any(node.args.get(name) is not None for name in ("position", "occurrence", "option")):
        raise unsupported("REGEXP_INSTR with a position or an occurrence")
    if _group(node.expression):
        raise unsupported("REGEXP_INSTR with a capturing group")
    return typed(call("bq_regexp_instr", node.this, node.expression), "INT64")


# -- LIKE ---------------------------------------------------------------------------------------------------------------


@rule(exp.Any, exp.All)
def _quantified(node: Any) -> Node:
    if not isinstance(node.parent, exp.Like) or not isinstance(node.this, exp.Tuple | exp.Paren):
        raise unsupported(f"{type(node).__name__.upper()} with anything but a list of patterns after LIKE")
    return node


@rule(exp.Like)
def _like(node: exp.Like) -> Node:
    pattern = node.expression
    if not isinstance(pattern, exp.Any | exp.All):
        found = _matches(node.this, pattern)
        return typed(exp.Not(this=exp.Paren(this=found)), "BOOL") if node.args.get("negate") else found
    if node.args.get("negate"):
        raise unsupported("NOT LIKE ANY and NOT LIKE ALL; write NOT (… LIKE ANY (…))")
    listed = pattern.this.expressions if isinstance(pattern.this, exp.Tuple) else [pattern.this.this]
    tests = [_matches(node.this.copy(), p) for p in listed]
    join = exp.or_ if isinstance(pattern, exp.Any) else exp.and_
    return typed(exp.Paren(this=join(*tests, copy=False)), "BOOL")


def _matches(value: Node, pattern: Node) -> Node:
    if not {kind(value), kind(pattern)} <= TEXTUAL:
        raise no_signature("operator LIKE", kind(value), kind(pattern))
    # BigQuery's LIKE knows the backslash as escape.
    return typed(exp.Escape(this=exp.Like(this=value, expression=pattern), expression=text("\\")), "BOOL")
