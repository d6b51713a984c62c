"""Rules for dates and times: truncation keeps the type, weeks start on the day that the query says."""

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.kinds import is_text_literal
from local.cloud.bigquery.lowering.rules import (
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
from local.cloud.bigquery.lowering.signatures import INT

_SHIFT = {"MONDAY": 0, "SUNDAY": 1, "SATURDAY": 2, "FRIDAY": 3, "THURSDAY": 4, "WEDNESDAY": 5, "TUESDAY": 6}
_TO_INTERVAL = {
    "YEAR": "to_years", "QUARTER": "to_quarters", "MONTH": "to_months", "WEEK": "to_weeks", "DAY": "to_days",
    "HOUR": "to_hours", "MINUTE": "to_minutes", "SECOND": "to_seconds", "MILLISECOND": "to_milliseconds",
    "MICROSECOND": "to_microseconds",
}  # fmt: skip
MICROS = {
    "MICROSECOND": 1, "MILLISECOND": 1_000, "SECOND": 1_000_000, "MINUTE": 60_000_000, "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}  # fmt: skip
_CLOCK = frozenset(MICROS) - {"DAY"}
_CALENDAR = frozenset({"DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "ISOYEAR"})


def _require_unit(function: str, unit: str, name: str) -> None:
    """Dates have no clock and times no calendar; DuckDB would take units that BigQuery doesn't know."""
    allowed = {"DATE": _CALENDAR, "TIME": _CLOCK}.get(name, _CALENDAR | _CLOCK)
    if unit not in allowed:
        raise invalid_query(
            f"{function} does not support the {unit} date part when the argument is {name} type"
        )


def unit_of(node: Any) -> tuple[str, int]:
    """The unit's name and, for weeks, the days that move its first day onto Monday."""
    if isinstance(node, exp.WeekStart):
        return "WEEK", _SHIFT[node.this.name.upper()]
    name = node.name.upper()
    if name == "WEEK":
        return "WEEK", _SHIFT["SUNDAY"]
    if name == "ISOWEEK":
        return "WEEK", 0
    if name.startswith("WEEK("):
        return "WEEK", _SHIFT[name[5:-1]]
    return name, 0


@rule(exp.Interval)
def _interval(node: exp.Interval) -> Node:
    if not isinstance(node.args.get("unit"), exp.Var):
        raise unsupported(f"intervals of several units ({node.sql('bigquery')})")
    unit, _ = unit_of(node.args["unit"])
    out = typed(interval(node.this, unit), "INTERVAL")
    out.meta["part"] = unit
    return out


def interval(amount: Node, unit: str) -> Node:
    if unit not in _TO_INTERVAL:
        raise invalid_query(f"A valid date part is required, but found {unit}")
    if is_text_literal(amount):  # how the parser keeps a number
        if not re.fullmatch(r"[+-]?\d+", amount.name.strip()):
            raise invalid_query(f"An INTERVAL of one date part needs an INT64, not {amount.name!r}")
    elif kind(amount) not in INT:
        raise no_signature("INTERVAL", kind(amount))
    big = unit in ("HOUR", "MINUTE", "MICROSECOND", "MILLISECOND", "SECOND")
    return call(_TO_INTERVAL[unit], cast(amount, "BIGINT" if big else "INT"))


def moment_of(node: Node, default: str) -> tuple[Node, str]:
    """The operand with its type; a text literal takes the type of the function's name."""
    name = kind(node)
    if isinstance(node, exp.Literal) and node.is_string:
        return cast(
            node,
            {"DATE": "DATE", "DATETIME": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ", "TIME": "TIME"}[default],
        ), default
    if name == "NULL":
        return node, default
    if name == "UNKNOWN":
        raise unsupported(
            f"a date function on {node.sql('bigquery')[:60]!r}, whose type can't be inferred; CAST it"
        )
    if name not in ("DATE", "DATETIME", "TIMESTAMP", "TIME"):
        raise no_signature(f"a {default} function", name)
    return node, name


_DUCK = {"DATE": "DATE", "DATETIME": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ", "TIME": "TIME"}


def _shift(default: str, sign: int) -> Callable[[Any], Node]:
    def lowered(node: Any) -> Node:
        moment, name = moment_of(node.this, default)
        unit, _ = unit_of(node.args["unit"]) if node.args.get("unit") else ("DAY", 0)
        if name == "DATE" and unit in MICROS and unit != "DAY" and default == "DATE":
            raise invalid_query(
                f"DATE_ADD does not support the {unit} date part when the argument is DATE type"
            )
        if name == "TIME" and unit not in _CLOCK:
            raise invalid_query(f"TIME_ADD does not support the {unit} date part")
        if name == "TIMESTAMP" and unit not in MICROS:
            raise invalid_query(f"TIMESTAMP_ADD does not support the {unit} date part")
        step = interval(node.expression, unit)
        operator = exp.Add if sign > 0 else exp.Sub
        moved = operator(this=exp.Paren(this=moment), expression=step)
        out = cast(exp.Paren(this=moved), _DUCK[name])
        if isinstance(node.parent, exp.SafeFunc) and name != "TIME":
            out = call(
                "bq_within_years", out
            )  # without the prefix a result is checked where it leaves the query
        return typed(out, name)

    return lowered


for _cls, _default, _sign in (
    (exp.DateAdd, "DATE", 1), (exp.DateSub, "DATE", -1), (exp.DatetimeAdd, "DATETIME", 1),
    (exp.DatetimeSub, "DATETIME", -1), (exp.TimestampAdd, "TIMESTAMP", 1), (exp.TimestampSub, "TIMESTAMP", -1),
    (exp.TimeAdd, "TIME", 1), (exp.TimeSub, "TIME", -1),
):  # fmt: skip
    rule(_cls)(_shift(_default, _sign))


def _difference(default: str) -> Callable[[Any], Node]:
    def lowered(node: Any) -> Node:
        (end, name), (start, other) = moment_of(node.this, default), moment_of(node.expression, default)
        if name != other:
            raise no_signature(f"function {default}_DIFF", name, other)
        unit, days = unit_of(node.args["unit"]) if node.args.get("unit") else ("DAY", 0)
        if name == "TIMESTAMP":
            if unit not in MICROS:
                raise invalid_query(f"TIMESTAMP_DIFF does not support the {unit} date part")
            return typed(call("bq_micros_diff", end, start, MICROS[unit]), "INT64")
        _require_unit(f"{default}_DIFF", unit, name)
        if unit == "WEEK":
            return typed(call("bq_week_diff", end, start, days), "INT64")
        if unit == "ISOYEAR":
            return exp.Paren(this=exp.Sub(this=call("isoyear", end), expression=call("isoyear", start)))
        return typed(call("date_diff", text(unit.lower()), start, end), "INT64")

    return lowered


for _cls, _default in (
    (exp.DateDiff, "DATE"), (exp.DatetimeDiff, "DATETIME"), (exp.TimestampDiff, "TIMESTAMP"), (exp.TimeDiff, "TIME"),
):  # fmt: skip
    rule(_cls)(_difference(_default))


def _truncation(default: str) -> Callable[[Any], Node]:
    def lowered(node: Any) -> Node:
        moment, name = moment_of(node.this, default)
        unit, days = unit_of(node.args["unit"])
        zone = node.args.get("zone")
        _require_unit(f"{default}_TRUNC", unit, name)
        if name == "TIMESTAMP" and unit in _CLOCK:
            return typed(call("bq_trunc_instant", moment, unit.lower(), zone or text("UTC")), name)
        local = call("timezone", zone or text("UTC"), moment) if name == "TIMESTAMP" else moment
        if name == "TIME":
            return typed(call("bq_time_trunc", local, MICROS[unit]), name)
        if unit == "WEEK":
            cut = call("bq_week_trunc", local, days)
        elif unit == "ISOYEAR":
            cut = call("bq_isoyear_trunc", local)
        else:
            cut = call("date_trunc", text(unit.lower()), local)
        if name == "TIMESTAMP":
            return typed(call("timezone", zone.copy() if zone else text("UTC"), cast(cut, "TIMESTAMP")), name)
        return typed(cast(cut, _DUCK[name]), name)

    return lowered


for _cls, _default in (
    (exp.DateTrunc, "DATE"), (exp.DatetimeTrunc, "DATETIME"), (exp.TimestampTrunc, "TIMESTAMP"),
    (exp.TimeTrunc, "TIME"),
):  # fmt: skip
    rule(_cls)(_truncation(_default))

_PARTS = {
    "YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "DAYOFYEAR",
    "DAYOFWEEK", "ISOYEAR", "ISOWEEK", "WEEK", "DATE", "TIME", "DATETIME",
}  # fmt: skip


@rule(exp.Extract)
def _extract(node: exp.Extract) -> Node:
    source = node.expression
    local = source
    if isinstance(source, exp.AtTimeZone):
        local, name = call("timezone", source.args["zone"], source.this), "DATETIME"
    else:
        local, name = moment_of(source, "TIMESTAMP")
        if name == "TIMESTAMP":
            local = call("timezone", text("UTC"), local)
    if name not in ("DATE", "DATETIME", "TIMESTAMP", "TIME"):
        raise no_signature("function EXTRACT", name)
    raw = "WEEK" if isinstance(node.this, exp.WeekStart) else node.this.name.upper()
    if raw not in _PARTS and not raw.startswith("WEEK("):
        raise invalid_query(f"A valid date part is required, but found {raw}")
    clock = raw in _CLOCK
    if (name == "DATE" and (clock or raw in ("DATE", "TIME", "DATETIME"))) or (name == "TIME" and not clock):
        raise invalid_query(f"EXTRACT from {name} does not support the {raw} date part")
    if raw in ("DATE", "TIME", "DATETIME"):
        return typed(cast(local, {"DATE": "DATE", "TIME": "TIME", "DATETIME": "TIMESTAMP"}[raw]), raw)
    if raw == "ISOWEEK":
        return typed(call("weekofyear", local), "INT64")
    if raw.startswith("WEEK"):
        return typed(call("bq_week_number", local, unit_of(node.this)[1]), "INT64")
    if raw == "DAYOFWEEK":
        return typed(exp.Paren(this=exp.Add(this=call("dayofweek", local), expression=integer(1))), "INT64")
    if raw in ("MILLISECOND", "MICROSECOND"):
        scale = 1_000_000 if raw == "MICROSECOND" else 1_000
        return typed(
            exp.Paren(this=exp.Mod(this=call(raw.lower(), local), expression=integer(scale))), "INT64"
        )
    return typed(call(raw.lower(), local), "INT64")


@rule(exp.AtTimeZone)
def _at_time_zone(node: exp.AtTimeZone) -> Node:
    if isinstance(node.parent, exp.Extract):
        return node
    raise unsupported("AT TIME ZONE outside EXTRACT")


@rule(exp.LastDay)
def _last_day(node: exp.LastDay) -> Node:
    moment, _ = moment_of(node.this, "DATE")
    unit, days = unit_of(node.args["unit"]) if node.args.get("unit") else ("MONTH", 0)
    if unit == "WEEK":
        return typed(
            cast(exp.Add(this=call("bq_week_trunc", moment, days), expression=call("to_days", 6)), "DATE"),
            "DATE",
        )
    if unit == "ISOYEAR":
        return typed(call("bq_last_isoyear_day", moment), "DATE")
    if unit not in ("MONTH", "QUARTER", "YEAR"):
        raise invalid_query(f"LAST_DAY does not support the {unit} date part")
    return typed(call("bq_last_day", moment, unit.lower()), "DATE")
