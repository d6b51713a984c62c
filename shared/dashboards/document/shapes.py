"""The small shapes that dashboard fields are made of: channels, ranges, formats, conditions.

Several accept a short form (`x: month` for `x: {field: month}`). The short form is normalised on the
way in and written again on the way out, so a document has one meaning and stays readable.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

Color = Literal["neutral", "success", "warning", "error"]
Operator = Literal["lt", "le", "gt", "ge", "eq", "ne"]
FieldType = Literal["temporal", "quantitative", "ordinal", "nominal"]
TimeUnit = Literal["hour", "day", "week", "month", "quarter", "year"]

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
TileId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,78}[a-z0-9])?$")]
Column = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Label = Annotated[str, StringConstraints(max_length=200)]

FORMATS = ("auto", "number", "integer", "short", "percent", "currency", "bytes", "duration", "date", "text")
_D3_FORMAT = re.compile(r"[-+ (]?\$?0?[0-9]{0,2},?(\.[0-9]{1,2})?~?[sfdegr%]?\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_RELATIVE = re.compile(
    r"(today|yesterday|all_time|(month|quarter|year)_to_date|(this|previous)_(week|month|quarter|year)"
    r"|last_[1-9][0-9]{0,3}_(days|weeks|months|quarters|years))\Z"
)


def _check_format(value: str) -> str:
    if value not in FORMATS and not (value and _D3_FORMAT.match(value)):
        raise ValueError(f"must be one of {', '.join(FORMATS)}, or a number pattern such as ,.1f")
    return value


def _check_date(value: str) -> str:
    try:
        # Python also takes weeks, 2013-W01-1, which don't compare as texts.
        if _DAY.match(value):
            date.fromisoformat(value)
            return value
    except ValueError:
        pass
    raise ValueError("must be a date as YYYY-MM-DD")


Format = Annotated[str, StringConstraints(max_length=20), AfterValidator(_check_format)]
Day = Annotated[str, StringConstraints(max_length=10), AfterValidator(_check_date)]


class Strict(BaseModel):
    """Base of every part of a document: unknown fields are errors and nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Short(Strict):
    """A shape with a short form: a plain value that stands for one field alone."""

    SHORT: ClassVar[str] = ""
    SHORT_SCHEMA: ClassVar[dict[str, Any]] = {"type": "string"}

    @model_validator(mode="before")
    @classmethod
    def _from_short(cls, value: Any) -> Any:
        return value if isinstance(value, dict | BaseModel) else {cls.SHORT: value}

    @model_serializer(mode="wrap")
    def _to_short(self, handler: Any) -> Any:
        full = handler(self)
        given = {
            name: value
            for name, value in full.items()
            if value != type(self).model_fields[name].get_default(call_default_factory=True)
        }
        return full[self.SHORT] if set(given) <= {self.SHORT} and self._is_shortable() else given

    def _is_shortable(self) -> bool:
        return True

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        full = handler.resolve_ref_schema(handler(schema))
        inner = dict(full)
        full.clear()
        full.update({"anyOf": [cls.SHORT_SCHEMA, inner], "description": inner.pop("description", "")})
        return full


class Channel(Short):
    """A column on an axis, or just its name."""

    SHORT = "field"

    field: Column = Field(description="Column of the query's result.")
    title: Label | None = Field(default=None, description="Axis title; from the column name otherwise.")
    type: FieldType | None = Field(default=None, description="Overrides what the column's type implies.")
    time_unit: TimeUnit | None = Field(default=None, description="Group a time axis by this unit.")
    format: Format | None = Field(default=None, description="Number format of this column.")


class DateRange(Short):
    """Two dates (either may be open), or the name of a range that moves with the clock."""

    SHORT = "relative"

    relative: str | None = Field(
        default=None,
        description="today, yesterday, last_90_days, this_month, previous_quarter, year_to_date, all_time …",
    )
    start: Day | None = Field(default=None, description="First day, inclusive, YYYY-MM-DD.")
    end: Day | None = Field(default=None, description="Last day, inclusive, YYYY-MM-DD.")

    @field_validator("relative")
    @classmethod
    def _known_range(cls, value: str | None) -> str | None:
        if value is not None and not _RELATIVE.match(value):
            raise ValueError(
                "must be a range such as last_90_days, this_month, previous_year, year_to_date or all_time"
            )
        return value

    @model_validator(mode="after")
    def _one_form(self) -> DateRange:
        if self.relative is not None and (self.start or self.end):
            raise ValueError("give either a relative range or start and end, not both")
        if self.relative is None and not (self.start or self.end):
            raise ValueError("give a relative range, or start or end")
        if self.start and self.end and self.start > self.end:
            raise ValueError("start must not be after end")
        return self

    def _is_shortable(self) -> bool:
        return self.relative is not None


class NumberRange(Strict):
    """Two numbers; either end may be open."""

    min: float | None = Field(default=None, description="Least value, inclusive.")
    max: float | None = Field(default=None, description="Greatest value, inclusive.")

    @model_validator(mode="after")
    def _ordered(self) -> NumberRange:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self


class Option(Short):
    """A choice of a select filter, or just its value."""

    SHORT = "value"

    value: Annotated[str, StringConstraints(max_length=300)] = Field(description="What is bound in the SQL.")
    label: Label | None = Field(default=None, description="What is shown; the value otherwise.")


class Compare(Short):
    """What a KPI is held against: previous_period, previous_year, a target or another column."""

    SHORT = "to"

    to: Literal["previous_period", "previous_year"] | None = Field(
        default=None, description="The same query over the shifted date range."
    )
    target: float | None = Field(default=None, description="A fixed number.")
    column: Column | None = Field(default=None, description="A column of the same row.")
    label: Label | None = Field(default=None, description="Words after the delta, e.g. “vs plan”.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Compare:
        if sum(value is not None for value in (self.to, self.target, self.column)) != 1:
            raise ValueError("give exactly one of to, target and column")
        return self

    def _is_shortable(self) -> bool:
        return self.to is not None


class Condition(Strict):
    """A column, an operator and a number or text."""

    column: Column = Field(description="Column of the query's result.")
    op: Operator = Field(description="lt, le, gt, ge, eq or ne.")
    value: float | Annotated[str, StringConstraints(max_length=300)] = Field(
        description="Compared with each row."
    )


class SortKey(Short):
    """A column to sort by, or just its name; `-name` sorts downwards."""

    SHORT = "column"

    column: Column = Field(description="Column of the query's result.")
    descending: bool = Field(default=False, description="Largest first.")

    @model_validator(mode="before")
    @classmethod
    def _minus_means_descending(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("-") and len(value) > 1:
            return {"column": value[1:], "descending": True}
        return value

    @model_serializer(mode="wrap")
    def _to_short(self, handler: Any) -> Any:  # noqa: ARG002 - the shape of a wrapping serializer
        if self.column.startswith("-"):
            return {"column": self.column, "descending": self.descending}
        return f"-{self.column}" if self.descending else self.column


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _single(values: list[Any]) -> Any:
    plain = [
        value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, BaseModel) else value
        for value in values
    ]
    return plain[0] if len(plain) == 1 else plain


class _OneOrMany:
    """Lets the JSON Schema of a list accept one bare item too."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


Channels = Annotated[
    list[Channel],
    Field(min_length=1, max_length=12),
    BeforeValidator(_as_list),
    PlainSerializer(_single),
    _OneOrMany(),
]
"""One channel, or several for measures side by side."""
SortKeys = Annotated[
    list[SortKey], Field(max_length=8), BeforeValidator(_as_list), PlainSerializer(_single), _OneOrMany()
]
"""One sort key or several."""
