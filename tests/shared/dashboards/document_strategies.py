"""Documents by hypothesis: every field of the model, valid by construction."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from shared.dashboards.document.model import Document
from shared.dashboards.document.shapes import FORMATS

text = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\ufeff\x85"
    ),
    min_size=1,
    max_size=30,
)
columns = st.sampled_from(
    ["month", "flights", "avg delay", "weird.name[0]", "-minus", "naïve", "a: b", "#1", "no"]
)
formats = st.sampled_from([*FORMATS, ",.1f", "$,.2f", ".0%", "~s"])
colors = st.sampled_from(["neutral", "success", "warning", "error"])
numbers = st.one_of(st.integers(-(10**9), 10**9).map(float), st.floats(-1e6, 1e6, allow_nan=False))
days = st.dates().map(lambda day: day.isoformat())
relative = st.sampled_from(
    ["today", "yesterday", "all_time", "year_to_date", "this_week", "previous_quarter", "last_90_days"]
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def record(required: dict[str, Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {k: v if isinstance(v, st.SearchStrategy) else st.just(v) for k, v in required.items()},
        optional=fields,
    )


channels = st.one_of(
    columns,
    record(
        {"field": columns},
        title=text,
        type=st.sampled_from(["temporal", "quantitative", "ordinal", "nominal"]),
        time_unit=st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]),
        format=formats,
    ),
)
conditions = record(
    {
        "column": columns,
        "op": st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]),
        "value": st.one_of(numbers, text),
    }
)
ranges = st.one_of(
    relative,
    st.builds(lambda a, b: {"start": min(a, b), "end": max(a, b)}, days, days),
    st.builds(lambda a: {"start": a}, days),
)
number_ranges = st.builds(lambda a, b: {"min": min(a, b), "max": max(a, b)}, numbers, numbers)
options = st.lists(
    st.one_of(text, record({"value": text}, label=text)),
    min_size=1,
    max_size=3,
    unique_by=lambda option: option if isinstance(option, str) else option["value"],
)


@st.composite
def filters(draw: Any) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        draw(record({"id": "period", "type": "date_range"}, label=text, default=ranges)),
        draw(record({"id": "delay", "type": "number_range"}, label=text, default=number_ranges)),
        draw(record({"id": "late", "type": "toggle"}, default=st.booleans())),
        draw(record({"id": "words", "type": "search"}, default=text)),
        draw(record({"id": "carrier", "type": "select", "options_query": "choices"}, default=text)),
    ]
    several = draw(record({"id": "hubs", "type": "multi_select", "options": options}))
    values = [option if isinstance(option, str) else option["value"] for option in several["options"]]
    several["default"] = draw(st.lists(st.sampled_from(values), unique=True))
    return [*made, several]


charts = st.one_of(
    record(
        {
            "mark": st.sampled_from(["line", "area", "bar", "stacked_bar", "point"]),
            "x": channels,
            "y": channels,
        },
        series=channels,
        facet=channels,
        sort=st.sampled_from(["x", "-x", "y", "-y"]),
        top=st.integers(1, 100),
        format=formats,
        stack=st.sampled_from(["zero", "normalize", "none"]),
        reference_lines=st.lists(
            record(
                {"value": st.one_of(numbers, text)},
                axis=st.sampled_from(["x", "y"]),
                label=text,
                color=colors,
            ),
            max_size=2,
        ),
    ),
    record({"mark": "line", "x": channels, "y": st.lists(channels, min_size=2, max_size=3)}),
    st.just({"vega_lite": {"mark": "bar", "encoding": {"x": {"field": "month", "type": "nominal"}}}}),
)
kpis = record(
    {"value": columns},
    compare=st.one_of(
        st.sampled_from(["previous_period", "previous_year"]),
        record({"target": numbers}, label=text),
        record({"column": columns}, label=text),
        record({"to": "previous_year"}, label=text),
    ),
    format=formats,
    unit=text,
    good_direction=st.sampled_from(["up", "down", "none"]),
    sparkline=record({"x": columns, "y": columns}, query=st.just("monthly")),
)
sort_keys = st.one_of(
    columns, columns.map(lambda name: f"-{name}"), record({"column": columns}, descending=st.booleans())
)
tables = optional(
    columns=st.lists(
        st.one_of(
            columns,
            record(
                {"field": columns},
                title=text,
                format=formats,
                align=st.sampled_from(["left", "right", "center"]),
            ),
        ),
        max_size=3,
    ),
    sort=st.one_of(sort_keys, st.lists(sort_keys, max_size=3)),
    conditional=st.lists(record({"when": conditions, "color": colors}), max_size=2),
    totals=st.lists(columns, max_size=2),
    page_size=st.integers(5, 500),
)


@st.composite
def tiles(draw: Any) -> list[dict[str, Any]]:
    common = {
        "title": text,
        "subtitle": text,
        "size": st.sampled_from(["small", "medium", "large"]),
        "color": colors,
    }
    kinds = [
        record({"type": "kpi", "query": "total", "options": kpis}, **common),
        record({"type": "chart", "query": "monthly", "options": charts}, **common),
        record({"type": "table", "query": "monthly"}, options=tables, **common),
        record({"type": "text", "options": record({"markdown": text})}, **common),
        record({"type": "filter_bar"}, options=optional(filters=st.just(["period"])), **common),
        record({"type": "section"}, **common),
    ]
    made = draw(st.lists(st.one_of(kinds), min_size=1, max_size=7))
    for n, tile in enumerate(made):
        tile["id"] = f"t{n}"
        if draw(st.booleans()):
            x = draw(st.integers(0, 11))
            tile["position"] = {
                "x": x,
                "y": 10 * n,
                "w": draw(st.integers(1, 12 - x)),
                "h": draw(st.integers(1, 9)),
            }
    return made


QUERIES = [
    {"id": "choices", "sql": "SELECT DISTINCT carrier FROM d.t"},
    {
        "id": "monthly",
        "sql": "SELECT month, COUNT(*) AS flights\nFROM d.t -- it's\nWHERE @period_start IS NULL OR day >= @period_start\nGROUP BY 1",
        "warehouse": "bigquery",
        "depends_on": ["choices"],
        "max_bytes_billed": 10_000,
        "timeout_seconds": 30,
        "cache_ttl_seconds": 60,
    },
    {"id": "total", "sql": "SELECT SUM(flights) AS flights FROM {{ ref('monthly') }}"},
]


@st.composite
def documents(draw: Any) -> dict[str, Any]:
    """A dashboard as data, that the model accepts."""
    return draw(  # type: ignore[no-any-return]
        record(
            {
                "version": 1,
                "kind": "dashboard",
                "slug": st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True),
                "title": text,
                "connection": text,
                "filters": filters(),
                "queries": QUERIES,
                "layout": tiles(),
            },
            description=text,
            view_type=st.sampled_from(["analytical", "operational", "strategic"]),
            tags=st.lists(text, max_size=3),
            theme=st.just("monotone"),
            owner_email=text,
            created_at=text,
            updated_at=text,
            timezone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
            currency=st.sampled_from(["USD", "EUR", "XTS"]),
            locale=st.sampled_from(["en-US", "de"]),
            refresh=optional(
                ttl_seconds=st.integers(1, 86_400),
                schedule=st.just("0 6 * * 1"),
                stale_while_revalidate_seconds=st.integers(0, 86_400),
            ),
            alerts=st.lists(
                record(
                    {"id": "a1", "query": "total", "condition": conditions, "recipients": ["ada@example.com"]}
                ),
                max_size=1,
            ),
        )
    )


def model(data: dict[str, Any]) -> Document:
    """The model of such data."""
    return Document.model_validate(data)
