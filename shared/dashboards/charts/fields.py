"""What a result's columns mean on a chart: time, number, order or name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from shared.dashboards.document.shapes import Channel, FieldType, TimeUnit
from shared.warehouses.contract import Field

_TIME = {"DATE", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ"}
_NUMBER = re.compile(r"(INT|INTEGER|SMALLINT|BIGINT|FLOAT|DOUBLE|REAL|NUMERIC|BIGNUMERIC|DECIMAL|NUMBER)")
_NESTED = ("ARRAY", "STRUCT", "RECORD", "JSON", "OBJECT", "VARIANT")
_UNIT_IN_NAME = re.compile(r"(?:^|_)(hour|day|week|month|quarter|year)(?:_(?:start|begin|date))?$")
TIME_UNITS: dict[str, str] = {
    "hour": "utcyearmonthdatehours",
    "day": "utcyearmonthdate",
    "week": "utcyearweek",
    "month": "utcyearmonth",
    "quarter": "utcyearquarter",
    "year": "utcyear",
}


class Columns:
    """The columns of one result."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._types = {field.name: field.type.upper() for field in fields}

    def has(self, name: str) -> bool:
        """Whether the result has this column."""
        return name in self._types

    def type(self, name: str) -> str:
        """The warehouse's type of a column."""
        return self._types.get(name, "STRING")

    def is_nested(self, name: str) -> bool:
        """Whether the column holds arrays or records."""
        return self.type(name).startswith(_NESTED)

    def is_number(self, name: str) -> bool:
        """Whether the column holds numbers."""
        return bool(_NUMBER.match(self.type(name)))

    def numbers(self) -> list[str]:
        """The columns that hold numbers."""
        return [name for name in self._types if self.is_number(name)]

    def kind(self, channel: Channel) -> FieldType:
        """How the column is to be read on an axis."""
        if channel.type is not None:
            return channel.type
        declared = self.type(channel.field)
        if declared.split("(")[0] in _TIME:
            return "temporal"
        return "quantitative" if self.is_number(channel.field) else "nominal"

    def time_unit(self, channel: Channel) -> TimeUnit | None:
        """The unit that a time axis is grouped by: as asked for, or as the column's name tells."""
        if self.kind(channel) != "temporal":
            return None
        if channel.time_unit is not None:
            return channel.time_unit
        match = _UNIT_IN_NAME.search(channel.field.lower())
        if match is not None:
            return match[1]  # type: ignore[return-value]
        return "day" if self.type(channel.field) == "DATE" else None


def escaped(name: str) -> str:
    """A column's name as Vega-Lite reads it: dots and brackets are not paths into objects."""
    return re.sub(r"([.\[\]\\'])", r"\\\1", name)


def humanize(name: str) -> str:
    """avg_dep_delay → Avg dep delay."""
    words = re.sub(r"[_\-]+", " ", name).strip()
    return words[:1].upper() + words[1:]


def title(channel: Channel) -> str:
    """What a reader sees of a column."""
    return channel.title if channel.title is not None else humanize(channel.field)


def encoded(channel: Channel, kind: str, **more: Any) -> dict[str, Any]:
    """A field definition without what says nothing."""
    definition: dict[str, Any] = {"field": escaped(channel.field), "type": kind, "title": title(channel)}
    return definition | {key: value for key, value in more.items() if value is not None}
