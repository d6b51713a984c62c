"""FORMAT with a literal pattern."""

import re

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.rules import Node, call, cast, kind, no_signature, rule, text, typed
from local.cloud.bigquery.lowering.signatures import INT, NUMERIC, TEXT
from local.cloud.bigquery.lowering.texts import piped

_SPEC = re.compile(r"%(?P<flags>[-+ 0#']*)(?P<width>\d*)(?:\.(?P<precision>\d+))?(?P<type>[a-zA-Z%])")


@rule(exp.Format)
def _format(node: exp.Format) -> Node:
    """FORMAT with a literal pattern, one DuckDB call for each element."""
    if not (isinstance(node.this, exp.Literal) and node.this.is_string):
        raise unsupported("FORMAT with a pattern that is not a literal")
    pattern, args, pieces, at = node.this.name, list(node.expressions), [], 0
    for match in _SPEC.finditer(pattern):
        pieces += [text(pattern[at : match.start()])] if match.start() > at else []
        at = match.end()
        if match["type"] == "%":
            pieces.append(text("%"))
            continue
        if not args:
            raise invalid_query("Too few arguments to FORMAT for pattern")
        pieces.append(_formatted(match, args.pop(0)))
    rest = pattern[at:]
    if "%" in rest or any("%" in p.name for p in pieces if isinstance(p, exp.Literal) and p.name != "%"):
        raise unsupported(f"the FORMAT pattern {pattern!r}")
    if args:
        raise invalid_query("Too many arguments to FORMAT for pattern")
    pieces += [text(rest)] if rest else []
    return piped([typed(p, "STRING") for p in pieces] or [text("")])


def _formatted(match: re.Match[str], value: Node) -> Node:
    element, flags, name = match["type"], match["flags"], kind(value)
    width = match["width"]
    if element in "di":
        if name not in INT:
            raise no_signature("function FORMAT (%d)", name)
        if "'" in flags:
            sign = "+" if "+" in flags else ""
            return call("format", text("{:" + sign + (f">{width}" if width else "") + ",}"), value)
        return call("printf", text(f"%{flags}{width}d"), value)
    if element in "fFeEgG":
        if name not in NUMERIC - {"INT64"}:
            raise no_signature(f"function FORMAT (%{element})", name)
        digits = match["precision"] if match["precision"] is not None else "6"
        if name == "NUMERIC":
            if element not in "fF" or flags or width or int(digits) > 9:
                raise unsupported(f"the FORMAT element {match[0]} of NUMERIC")
            return cast(cast(call("round", value, int(digits)), f"DECIMAL(38, {digits})"), "TEXT")
        if "'" in flags:
            if element not in "fF" or width:
                raise unsupported(f"the FORMAT element {match[0]}")
            return call("format", text("{:,." + digits + "f}"), cast(value, "DOUBLE"))
        return call("printf", text(f"%{flags}{width}.{digits}{element}"), cast(value, "DOUBLE"))
    if element == "s":
        if name not in TEXT:
            raise no_signature("function FORMAT (%s)", name)
        precision = f".{match['precision']}" if match["precision"] else ""
        return call("printf", text(f"%{flags}{width}{precision}s"), value)
    if element in "xXo" and name in INT and not flags.strip("0"):
        return call("printf", text(f"%{flags}{width}{element}"), value)
    if element == "t" and name in {"STRING", "INT64", "DATE", "BOOL", "TIME"} and not (flags or width):
        return exp.Coalesce(this=cast(value, "TEXT"), expressions=[text("NULL")])
    raise unsupported(f"the FORMAT element {match[0]} of {name}")
