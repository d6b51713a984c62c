"""FORMAT_DATE, PARSE_DATE and their kin, element by element."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import unsupported
from local.cloud.bigquery.lowering.rules import Node, call, cast, kind, no_signature, paren, rule, text, typed
from local.cloud.bigquery.lowering.signatures import TEXT

_PLAIN = frozenset("YmdHMSybBaAjIpUWVGuw%")
_CLOCK = frozenset("HIkMSpTRXrlcPs+zZ")
_CALENDAR = frozenset("YymdbBhaAjUWVGguwFDxCeQcs+J")
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
    zone = node.args.get("zone") or text("UTC")
    instant = moment if name == "TIMESTAMP" else None
    _require_elements(pattern.name, name)
    if name == "TIMESTAMP":
        moment = call("timezone", zone, moment)
    elif name == "TIME":
        moment = exp.Paren(this=exp.Add(this=cast(text("1970-01-01"), "DATE"), expression=moment))
    pieces = [
        _zoned(value, instant, zone) or _piece(what, value, moment)
        for what, value in split_format(pattern.name)
    ]
    out = pieces[0] if pieces else text("")
    for piece in pieces[1:]:
        out = exp.DPipe(this=out, expression=piece)
    return typed(exp.Paren(this=out) if len(pieces) > 1 else out, "STRING")


def _require_elements(pattern: str, name: str) -> None:
    """A date has no clock and a time no calendar: the service writes such elements out as they are."""
    absent = {"DATE": _CLOCK, "TIME": _CALENDAR | frozenset("zZ"), "DATETIME": frozenset("zZ")}.get(
        name, frozenset()
    )
    for what, value in split_format(pattern):
        found = value[1:] if what == "run" else value[-1:]
        elements = (
            {found[i + 1] for i in range(-1, len(found) - 1) if i < 0 or found[i] == "%"}
            if what == "run"
            else {found}
        )
        wrong = elements & absent
        if what == "run":
            wrong = {e for e in wrong if f"%{e}" in value}
        if wrong:
            raise unsupported(f"the date format element %{min(wrong)} for a {name}")


def _zoned(value: str, instant: Node | None, zone: Node) -> Node | None:
    """The elements that depend on the instant and its zone, not on what the clock shows there."""
    if value == "%z" or value == "%Ez":
        colon = ":" if value == "%Ez" else ""
        if instant is None:
            raise unsupported(f"the date format element {value} of what is no TIMESTAMP")
        return call("bq_zone_offset", instant.copy(), zone.copy(), colon)
    if value == "%s" and instant is not None:
        return cast(call("bq_whole_seconds", instant.copy()), "TEXT")
    if value == "%Z":
        if not (isinstance(zone, exp.Literal) and zone.name.upper() == "UTC"):
            raise unsupported("the date format element %Z in another zone than UTC")
        return text("UTC")
    return None


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
    if value == "%k":
        return call("lpad", cast(call("hour", moment), "TEXT"), 2, " ")
    padded = {"%-d": "%d", "%e": "%d", "%l": "%I"}
    if value in padded:  # blank instead of a leading zero; sqlglot writes %e as %-d
        return call("lpad", call("ltrim", call("strftime", moment, padded[value]), "0"), 2, " ")
    if value == "%Q":
        return cast(call("quarter", moment), "TEXT")
    if value == "%E4Y":
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
        return cast(call("bq_whole_seconds", moment), "TEXT")
    raise unsupported(f"the date format element {value}")


_DAYS_OF_WEEKS = frozenset("UWVGgu")


def _parsed(value: Node, pattern: str) -> Node:
    """STRPTIME. What the text doesn't say is of 1970, not of 1900; %E*S takes seconds with and without a fraction."""
    if kind(value) not in TEXT:
        raise no_signature("a PARSE function", kind(value))
    spelled, fraction, year = "", False, False
    for what, element in split_format(pattern):
        if what == "one" and element == "%E*S":
            fraction, spelled = True, spelled + _SECONDS
        elif what == "one" and element not in ("%-d", "%e"):
            if element != "%z":
                raise unsupported(f"the date format element {element} in a PARSE function")
            spelled += element
        else:
            spelled += element if what == "run" else "%-d"
        if what == "run":
            weeks = {e for e in _DAYS_OF_WEEKS if f"%{e}" in element.replace("%%", "")}
            if weeks:
                raise unsupported(f"the date format element %{min(weeks)} in a PARSE function")
            year = year or any(f"%{e}" in element.replace("%%", "") for e in "Yycx")
    spelled = spelled.replace("%e", "%-d")
    if not year:
        value, spelled = exp.DPipe(this=text("1970 "), expression=paren(value)), "%Y " + spelled
    if not fraction:
        return call("strptime", value, spelled)
    whole, parts = spelled.replace(_SECONDS, "%S"), spelled.replace(_SECONDS, "%S.%f")
    return exp.Coalesce(
        this=call("try_strptime", value.copy(), parts), expressions=[call("strptime", value, whole)]
    )


# Stands for %E*S until both forms are written.
_SECONDS = "\x00"


@rule(exp.StrToDate, exp.StrToTime, exp.ParseDatetime, exp.ParseTime)
def _parse(node: Any) -> Node:
    pattern = node.args["format"]
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise unsupported("a date format that is not a literal")
    parsed = _parsed(node.this, pattern.name)
    if isinstance(node, exp.StrToDate):
        return typed(cast(parsed, "DATE"), "DATE")
    if isinstance(node, exp.ParseTime):
        return typed(cast(parsed, "TIME"), "TIME")
    if isinstance(node, exp.ParseDatetime):
        return typed(parsed, "DATETIME")
    return typed(
        call("timezone", node.args.get("zone") or text("UTC"), cast(parsed, "TIMESTAMP")), "TIMESTAMP"
    )
