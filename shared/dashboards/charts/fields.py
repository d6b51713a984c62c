"""What a result's columns mean on a chart: time, number, order or name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from shared.dashboards.document.shapes import Channel, FieldType, TimeUnit
from shared.warehouses.types import Field, Kind

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
        self._fields = {field.name: field for field in fields}

    def has(self, name: str) -> bool:
        """Whether the result has this column."""
        return name in self._fields

    def type(self, name: str) -> str:
        """The warehouse's own name for the type of a column, to be shown."""
        return self._fields[name].type if name in self._fields else str(Kind.TEXT)

    def is_nested(self, name: str) -> bool:
        """Whether the column holds arrays or records."""
        return self._holds(name).is_nested

    def is_number(self, name: str) -> bool:
        """Whether the column holds numbers."""
        return self._holds(name).is_number

    def numbers(self) -> list[str]:
        """The columns that hold numbers."""
        return [name for name in self._fields if self.is_number(name)]

    def kind(self, channel: Channel) -> FieldType:
        """How the column is to be read on an axis."""
        if channel.type is not None:
            return channel.type
        if self._holds(channel.field).is_time:
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
        return "day" if self._holds(channel.field) is Kind.DATE else None

    def _holds(self, name: str) -> Kind:
        return self._fields[name].kind if name in self._fields else Kind.TEXT


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
