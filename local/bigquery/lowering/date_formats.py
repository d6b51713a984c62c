"""FORMAT_DATE, PARSE_DATE and their kin, element by element."""

from typing import Any

from sqlglot import exp

from local.bigquery.errors import unsupported
from local.bigquery.lowering.rules import Node, call, cast, kind, rule, text, typed

_PLAIN = frozenset("YmdHMSybBaAjIpUWVGuwf%z")
_SAME = {
    "%F": "%Y-%m-%d",
    "%T": "%H:%M:%S",
    "%D": "%m/%d/%y",
    "%x": "%m/%d/%y",
    "%h": "%b",
    "%R": "%H:%M",
    "%X": "%H:%M:%S",
}


@rule(exp.TimeToStr)
def _format(node: exp.TimeToStr) -> Node:
    pattern = node.args["format"]
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise unsupported("a date format that is not a literal")
    moment, name = node.this, kind(node.this)
    if name == "TIMESTAMP":
        moment = call("timezone", node.args.get("zone") or text("UTC"), moment)
    elif name == "TIME":
        moment = exp.Paren(this=exp.Add(this=cast(text("1970-01-01"), "DATE"), expression=moment))
    pieces = [_piece(kind_, value, moment) for kind_, value in split_format(pattern.name)]
    out = pieces[0] if pieces else text("")
    for piece in pieces[1:]:
        out = exp.DPipe(this=out, expression=piece)
    return typed(exp.Paren(this=out) if len(pieces) > 1 else out, "STRING")


def split_format(pattern: str) -> list[tuple[str, str]]:
    """Runs that DuckDB's strftime knows, and the single elements that it doesn't."""
    out: list[tuple[str, str]] = []
    run, i = "", 0
    while i < len(pattern):
        if pattern[i] != "%":
            run, i = run + pattern[i], i + 1
            continue
        element = pattern[i : i + 3] if pattern[i + 1 : i + 2] in ("-", "E", "O") else pattern[i : i + 2]
        if element == "%E*" or (element[:2] == "%E" and element[2:].isdigit()):
            element = pattern[i : i + 4]
        i += len(element)
        if element in _SAME:
            run += _SAME[element]
        elif element in ("%n", "%t"):
            run += {"%n": "\n", "%t": "\t"}[element]
        elif len(element) == 2 and element[1] in _PLAIN:
            run += element
        else:
            if run:
                out.append(("run", run))
            out.append(("one", element))
            run = ""
    if run:
        out.append(("run", run))
    return out


def _piece(what: str, value: str, moment: Node) -> Node:
    moment = moment.copy()
    if what == "run":
        return call("strftime", moment, value) if "%" in value else text(value)
    padded = {"%-d": "%d", "%e": "%d", "%k": "%H", "%l": "%I"}
    if value in padded:  # blank instead of a leading zero; sqlglot writes %e as %-d
        return call("lpad", call("ltrim", call("strftime", moment, padded[value]), "0"), 2, " ")
    if value == "%Q":
        return cast(call("quarter", moment), "TEXT")
    if value == "%Z":
        return text("UTC")
    if value in ("%E4Y",):
        return call("strftime", moment, "%Y")
    if value[:2] == "%E" and value[-1:] == "S":
        seconds = call("strftime", moment, "%S.%f")
        if value == "%E*S":
            return call("regexp_replace", seconds, r"\.?0+$", "")
        return (
            call("left", seconds, 3 + int(value[2:-1]))
            if value[2:-1] != "0"
            else call("strftime", moment, "%S")
        )
    if value == "%s":
        return cast(cast(call("epoch", moment), "BIGINT"), "TEXT")
    raise unsupported(f"the date format element {value}")


@rule(exp.StrToDate, exp.StrToTime, exp.ParseDatetime, exp.ParseTime)
def _parse(node: Any) -> Node:
    pattern = node.args["format"]
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise unsupported("a date format that is not a literal")
    spelled = ""
    for what, value in split_format(pattern.name):
        if what == "one" and value not in ("%-d", "%e"):
            raise unsupported(f"the date format element {value} in a PARSE function")
        spelled += value if what == "run" else "%-d"
    parsed = call("strptime", node.this, spelled.replace("%e", "%-d"))
    if isinstance(node, exp.StrToDate):
        return typed(cast(parsed, "DATE"), "DATE")
    if isinstance(node, exp.ParseTime):
        return typed(cast(parsed, "TIME"), "TIME")
    if isinstance(node, exp.ParseDatetime):
        return typed(parsed, "DATETIME")
    return typed(
        call("timezone", node.args.get("zone") or text("UTC"), cast(parsed, "TIMESTAMP")), "TIMESTAMP"
    )
