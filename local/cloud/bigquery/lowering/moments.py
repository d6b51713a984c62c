"""Moments made and converted: the present, constructors from parts and texts, Unix time, series."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.dates import MICROS, moment_of
from local.cloud.bigquery.lowering.kinds import is_text_literal
from local.cloud.bigquery.lowering.rules import (
    DUCKDB,
    Node,
    call,
    cast,
    integer,
    kind,
    no_signature,
    paren,
    rule,
    text,
    typed,
)

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
    moment, name = moment_of(node.this, "TIME")
    return typed(
        cast(call("timezone", text("UTC"), moment) if name == "TIMESTAMP" else moment, "TIME"), "TIME"
    )


@rule(exp.Time)
def _time_of(node: exp.Time) -> Node:
    """TIME(timestamp[, zone]) and TIME(datetime)."""
    moment, name = moment_of(node.this, "TIME")
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
    moment, found = moment_of(node.this, name)
    if name == "DATE" and found != "DATE":
        return typed(cast(moment, "DATE"), "DATE")
    return typed(moment, found)


@rule(exp.UnixSeconds, exp.UnixMillis, exp.UnixMicros)
def _to_epoch(node: Node) -> Node:
    moment, _ = moment_of(node.this, "TIMESTAMP")
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


# -- series -----------------------------------------------------------------------------------------------------------

_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_DAYS = {"DAY": 1, "WEEK": 7}


def _step(node: Any) -> tuple[str, Node]:
    """The date part and the amount of the step; a day when there is none."""
    step = node.args.get("step")
    if step is None:
        return "DAY", integer(1)
    if "part" not in step.meta:
        raise unsupported(f"{type(node).__name__} with a step that is not written as INTERVAL n part")
    return step.meta["part"], cast(step.expressions[0].this.copy(), "BIGINT")


def _times(amount: Node, factor: int) -> Node:
    return exp.Paren(this=exp.Mul(this=paren(amount), expression=integer(factor)))


@rule(exp.GenerateDateArray)
def _date_array(node: exp.GenerateDateArray) -> Node:
    part, amount = _step(node)
    start, end = (_as_type(node.args[k], "DATE") for k in ("start", "end"))
    if part in _MONTHS:
        return typed(call("bq_months_series", start, end, _times(amount, _MONTHS[part])), "ARRAY<DATE>")
    if part not in _DAYS:
        raise invalid_query(f"GENERATE_DATE_ARRAY does not support the {part} date part")
    return typed(call("bq_days_series", start, end, _times(amount, _DAYS[part])), "ARRAY<DATE>")


@rule(exp.GenerateTimestampArray)
def _timestamp_array(node: exp.GenerateTimestampArray) -> Node:
    part, amount = _step(node)
    if part not in MICROS:
        raise invalid_query(f"GENERATE_TIMESTAMP_ARRAY does not support the {part} date part")
    start, end = (_as_type(node.args[k], "TIMESTAMP") for k in ("start", "end"))
    series = call("bq_instants_series", start, end, _times(amount, MICROS[part]))
    return typed(series, "ARRAY<TIMESTAMP>")


def _as_type(node: Node, name: str) -> Node:
    if is_text_literal(node):
        return cast(node, DUCKDB[name])
    if kind(node) not in (name, "NULL", "UNKNOWN"):
        raise no_signature(f"function GENERATE_{name}_ARRAY", kind(node))
    return cast(node, DUCKDB[name])
