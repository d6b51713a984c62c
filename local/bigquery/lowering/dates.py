"""Rules for dates and times: truncation keeps the type, weeks start on the day that the query says."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local.bigquery.errors import invalid_query, unsupported
from local.bigquery.lowering.rules import Node, call, cast, integer, kind, no_signature, rule, text, typed

_SHIFT = {"MONDAY": 0, "SUNDAY": 1, "SATURDAY": 2, "FRIDAY": 3, "THURSDAY": 4, "WEDNESDAY": 5, "TUESDAY": 6}
_TO_INTERVAL = {
    "YEAR": "to_years", "QUARTER": "to_quarters", "MONTH": "to_months", "WEEK": "to_weeks", "DAY": "to_days",
    "HOUR": "to_hours", "MINUTE": "to_minutes", "SECOND": "to_seconds", "MILLISECOND": "to_milliseconds",
    "MICROSECOND": "to_microseconds",
}  # fmt: skip
_MICROS = {
    "MICROSECOND": 1, "MILLISECOND": 1_000, "SECOND": 1_000_000, "MINUTE": 60_000_000, "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}  # fmt: skip


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
    return typed(interval(node.this, unit), "INTERVAL")


def interval(amount: Node, unit: str) -> Node:
    if unit not in _TO_INTERVAL:
        raise invalid_query(f"A valid date part is required, but found {unit}")
    big = unit in ("HOUR", "MINUTE", "MICROSECOND", "MILLISECOND", "SECOND")
    return call(_TO_INTERVAL[unit], cast(amount, "BIGINT" if big else "INT"))


def _moment(node: Node, default: str) -> tuple[Node, str]:
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
        moment, name = _moment(node.this, default)
        unit, _ = unit_of(node.args["unit"]) if node.args.get("unit") else ("DAY", 0)
        if name == "DATE" and unit in _MICROS and unit != "DAY" and default == "DATE":
            raise invalid_query(
                f"DATE_ADD does not support the {unit} date part when the argument is DATE type"
            )
        if name == "TIMESTAMP" and unit not in _MICROS:
            raise invalid_query(f"TIMESTAMP_ADD does not support the {unit} date part")
        step = interval(node.expression, unit)
        operator = exp.Add if sign > 0 else exp.Sub
        moved = operator(this=exp.Paren(this=moment), expression=step)
        return typed(cast(exp.Paren(this=moved), _DUCK[name]), name)

    return lowered


for _cls, _default, _sign in (
    (exp.DateAdd, "DATE", 1), (exp.DateSub, "DATE", -1), (exp.DatetimeAdd, "DATETIME", 1),
    (exp.DatetimeSub, "DATETIME", -1), (exp.TimestampAdd, "TIMESTAMP", 1), (exp.TimestampSub, "TIMESTAMP", -1),
    (exp.TimeAdd, "TIME", 1), (exp.TimeSub, "TIME", -1),
):  # fmt: skip
    rule(_cls)(_shift(_default, _sign))


def _difference(default: str) -> Callable[[Any], Node]:
    def lowered(node: Any) -> Node:
        (end, name), (start, other) = _moment(node.this, default), _moment(node.expression, default)
        if name != other:
            raise no_signature(f"function {default}_DIFF", name, other)
        unit, days = unit_of(node.args["unit"]) if node.args.get("unit") else ("DAY", 0)
        if name == "TIMESTAMP":
            if unit not in _MICROS:
                raise invalid_query(f"TIMESTAMP_DIFF does not support the {unit} date part")
            return typed(call("bq_micros_diff", end, start, _MICROS[unit]), "INT64")
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
        moment, name = _moment(node.this, default)
        unit, days = unit_of(node.args["unit"])
        zone = node.args.get("zone")
        if name == "DATE" and unit in _MICROS and unit != "DAY":
            raise invalid_query(
                f"DATE_TRUNC does not support the {unit} date part when the argument is DATE type"
            )
        local = call("timezone", zone or text("UTC"), moment) if name == "TIMESTAMP" else moment
        if name == "TIME":
            if unit not in _MICROS or unit == "DAY":
                raise invalid_query(f"TIME_TRUNC does not support the {unit} date part")
            return typed(call("bq_time_trunc", local, _MICROS[unit]), name)
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
        local, name = _moment(source, "TIMESTAMP")
        if name == "TIMESTAMP":
            local = call("timezone", text("UTC"), local)
    raw = "WEEK" if isinstance(node.this, exp.WeekStart) else node.this.name.upper()
    if raw not in _PARTS and not raw.startswith("WEEK("):
        raise invalid_query(f"A valid date part is required, but found {raw}")
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
    moment, _ = _moment(node.this, "DATE")
    unit, days = unit_of(node.args["unit"]) if node.args.get("unit") else ("MONTH", 0)
    if unit == "WEEK":
        return typed(
            cast(exp.Add(this=call("bq_week_trunc", moment, days), expression=call("to_days", 6)), "DATE"),
            "DATE",
        )
    return typed(call("bq_last_day", moment, unit.lower()), "DATE")


# -- now --------------------------------------------------------------------------------------------------------------


@rule(exp.CurrentTimestamp)
def _now(_node: Node) -> Node:
    return typed(call("now"), "TIMESTAMP")


@rule(exp.CurrentDate)
def _today(node: exp.CurrentDate) -> Node:
    return typed(cast(call("timezone", node.this or text("UTC"), call("now")), "DATE"), "DATE")


@rule(exp.CurrentDatetime)
def _now_local(node: exp.CurrentDatetime) -> Node:
    return typed(call("timezone", node.this or text("UTC"), call("now")), "DATETIME")


@rule(exp.CurrentTime)
def _clock(node: exp.CurrentTime) -> Node:
    return typed(cast(call("timezone", node.this or text("UTC"), call("now")), "TIME"), "TIME")


# -- constructors and conversions -------------------------------------------------------------------------------------


@rule(exp.Date)
def _date(node: exp.Date) -> Node:
    zone = node.args.get("zone")
    if kind(node.this) == "TIMESTAMP":
        return typed(cast(call("timezone", zone or text("UTC"), node.this), "DATE"), "DATE")
    return typed(cast(node.this, "DATE"), "DATE")


@rule(exp.DateFromParts)
def _date_parts(node: exp.DateFromParts) -> Node:
    return typed(call("make_date", *(node.args[p] for p in ("year", "month", "day"))), "DATE")


@rule(exp.TimestampFromParts)
def _datetime_parts(node: exp.TimestampFromParts) -> Node:
    parts = [node.args[p] for p in ("year", "month", "day", "hour", "min")]
    return typed(call("make_timestamp", *parts, cast(node.args["sec"], "DOUBLE")), "DATETIME")


@rule(exp.TsOrDsToDatetime)
def _to_datetime(node: Node) -> Node:
    if kind(node.this) == "TIMESTAMP":
        return typed(call("timezone", text("UTC"), node.this), "DATETIME")
    return typed(cast(node.this, "TIMESTAMP"), "DATETIME")


@rule(exp.Datetime)
def _datetime(node: exp.Datetime) -> Node:
    second = node.args.get("expression")
    if kind(node.this) == "TIMESTAMP":
        return typed(call("timezone", second or text("UTC"), node.this), "DATETIME")
    if second is not None:
        return typed(
            exp.Paren(this=exp.Add(this=cast(node.this, "DATE"), expression=cast(second, "TIME"))), "DATETIME"
        )
    return typed(cast(node.this, "TIMESTAMP"), "DATETIME")


@rule(exp.Timestamp)
def _timestamp(node: exp.Timestamp) -> Node:
    zone = node.args.get("zone")
    if kind(node.this) == "TIMESTAMP":
        return node.this
    if zone is not None:
        return typed(call("timezone", zone, cast(node.this, "TIMESTAMP")), "TIMESTAMP")
    return typed(cast(node.this, "TIMESTAMPTZ"), "TIMESTAMP")


@rule(exp.TsOrDsToTime)
def _time(node: Node) -> Node:
    moment, name = _moment(node.this, "TIME")
    return typed(
        cast(call("timezone", text("UTC"), moment) if name == "TIMESTAMP" else moment, "TIME"), "TIME"
    )


@rule(exp.Time)
def _time_of(node: exp.Time) -> Node:
    """TIME(timestamp[, zone]) and TIME(datetime)."""
    moment, name = _moment(node.this, "TIME")
    zone = node.args.get("zone")
    local = call("timezone", zone or text("UTC"), moment) if name == "TIMESTAMP" else moment
    return typed(cast(local, "TIME"), "TIME")


@rule(exp.TimeFromParts)
def _time_parts(node: exp.TimeFromParts) -> Node:
    parts = [node.args["hour"], node.args["min"], cast(node.args["sec"], "DOUBLE")]
    return typed(call("make_time", *parts), "TIME")


@rule(exp.TsOrDsToDate, exp.TsOrDsToTimestamp)
def _kept(node: Node) -> Node:
    """The operand of FORMAT_DATE and FORMAT_TIMESTAMP; literals take the function's type."""
    name = "DATE" if isinstance(node, exp.TsOrDsToDate) else "TIMESTAMP"
    moment, found = _moment(node.this, name)
    if name == "DATE" and found != "DATE":
        return typed(cast(moment, "DATE"), "DATE")
    return typed(moment, found)


@rule(exp.UnixSeconds, exp.UnixMillis, exp.UnixMicros)
def _to_epoch(node: Node) -> Node:
    moment, _ = _moment(node.this, "TIMESTAMP")
    micros = call("epoch_us", moment)
    scale = {exp.UnixSeconds: 1_000_000, exp.UnixMillis: 1_000, exp.UnixMicros: 1}[type(node)]
    if scale == 1:
        return typed(micros, "INT64")
    floored = call("floor", exp.Div(this=cast(micros, "DECIMAL(38, 0)"), expression=integer(scale)))
    return typed(cast(floored, "BIGINT"), "INT64")


@rule(exp.UnixToTime)
def _from_epoch(node: exp.UnixToTime) -> Node:
    scale = node.args.get("scale")
    power = 0
    while isinstance(scale, exp.Cast):
        scale = scale.this
    if scale is not None:
        power = int(scale.name)
    micros = exp.Mul(this=exp.Paren(this=node.this), expression=integer(10 ** (6 - power)))
    return typed(call("timezone", text("UTC"), call("make_timestamp", micros)), "TIMESTAMP")


@rule(exp.UnixDate)
def _unix_date(node: Node) -> Node:
    return typed(call("date_diff", text("day"), cast(text("1970-01-01"), "DATE"), node.this), "INT64")


@rule(exp.DateFromUnixDate)
def _from_unix_date(node: Node) -> Node:
    moved = exp.Add(this=cast(text("1970-01-01"), "DATE"), expression=cast(node.this, "INT"))
    return typed(cast(exp.Paren(this=moved), "DATE"), "DATE")


@rule(exp.GenerateDateArray)
def _date_array(node: exp.GenerateDateArray) -> Node:
    return _series(node, "DATE")


@rule(exp.GenerateTimestampArray)
def _timestamp_array(node: exp.GenerateTimestampArray) -> Node:
    return _series(node, "TIMESTAMPTZ")


def _series(node: Any, duckdb: str) -> Node:
    step = node.args.get("step") or call("to_days", 1)
    series = call("generate_series", cast(node.args["start"], duckdb), cast(node.args["end"], duckdb), step)
    return cast(series, f"{duckdb}[]")
