"""Charts compile to Vega-Lite that the real compiler accepts, with the house's choices made."""

from __future__ import annotations

import re
from typing import Any

import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dashboards import page, reading
from shared.dashboards.charts import grammar as charts
from shared.dashboards.charts import raw_spec
from shared.dashboards.charts import theme as chart_theme
from shared.dashboards.document.model import ChartTile
from shared.warehouses.bigquery.dialect import BIGQUERY

LOADING = "url(http://evil.example/x)"
FIELDS = [
    BIGQUERY.field("month", "DATE"),
    BIGQUERY.field("at", "TIMESTAMP"),
    BIGQUERY.field("carrier", "STRING"),
    BIGQUERY.field("flights", "INT64"),
    BIGQUERY.field("avg.delay's [min]", "FLOAT64"),
    BIGQUERY.field("amount", "NUMERIC(38, 9)"),
    BIGQUERY.field("parts", "ARRAY<STRING>"),
    BIGQUERY.field("shape", "STRING"),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "line": {"mark": "line", "x": "month", "y": "flights", "series": "carrier"},
    "line of several": {"mark": "line", "x": "month", "y": ["flights", "avg.delay's [min]"]},
    "line over names": {"mark": "line", "x": "carrier", "y": "flights"},
    "line over instants": {"mark": "line", "x": {"field": "at", "time_unit": "hour"}, "y": "flights"},
    "area": {"mark": "area", "x": "month", "y": "flights", "series": "carrier", "stack": "normalize"},
    "bar": {"mark": "bar", "x": "carrier", "y": "flights", "top": 5, "format": "currency"},
    "bar across": {"mark": "bar", "x": "flights", "y": "carrier"},
    "bar of time": {"mark": "bar", "x": "month", "y": "amount"},
    "bars side by side": {"mark": "bar", "x": "carrier", "y": ["flights", "amount"]},
    "stacked": {"mark": "stacked_bar", "x": "month", "y": "flights", "series": "carrier"},
    "point": {"mark": "point", "x": "flights", "y": "avg.delay's [min]", "series": "carrier"},
    "heatmap": {"mark": "heatmap", "x": "month", "y": "carrier", "series": "flights"},
    "arc": {"mark": "arc", "x": "carrier", "y": "flights", "top": 4},
    "histogram": {"mark": "histogram", "x": "avg.delay's [min]"},
    "histogram of time": {"mark": "histogram", "x": "at", "series": "carrier"},
    "boxplot": {"mark": "boxplot", "x": "carrier", "y": "flights"},
    "geoshape": {"mark": "geoshape", "x": "shape", "y": "flights", "series": "carrier"},
    "facet": {"mark": "line", "x": "month", "y": "flights", "facet": "carrier"},
    "line of the largest": {"mark": "line", "x": "month", "y": "flights", "series": "carrier", "top": 3},
    "rules": {
        "mark": "line",
        "x": "month",
        "y": "flights",
        "reference_lines": [
            {"value": 10, "label": "Plan", "color": "warning"},
            {"value": "2013-02-01", "axis": "x"},
        ],
    },
    "raw": {"vega_lite": {"mark": "bar", "encoding": {"x": {"field": "carrier", "type": "nominal"}}}},
}
ROWS = [
    {"month": "2013-01-01", "at": "2013-01-01T10:00:00Z", "carrier": "AA", "flights": 3, "avg.delay's [min]": 1.5,
     "amount": 10, "shape": None},
    {"month": "2013-02-01", "at": "2013-01-01T11:00:00Z", "carrier": "DL", "flights": None, "avg.delay's [min]": 2,
     "amount": -4, "shape": None},
]  # fmt: skip


def tile(options: dict[str, Any]) -> ChartTile:
    return ChartTile.model_validate({"id": "t", "type": "chart", "query": "q", "options": options})


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_vega_lite_compiler_accepts_every_kind_of_chart(name: str, theme: str) -> None:
    """With rows, with column names that look like paths, in both themes."""
    import vl_convert

    made = tile(OPTIONS[name])
    assert list(charts.missing(made.options)) == []
    for spec in (charts.compile(made, FIELDS), charts.compile_direct(made, FIELDS)):
        if spec is None:
            continue
        assert spec["data"] == {"name": "rows"}
        shown = spec | {"data": {"values": [] if name == "geoshape" else ROWS}}
        config = chart_theme.config(theme)  # type: ignore[arg-type]
        vega = vl_convert.vegalite_to_vega(shown, vl_version="6.4", config=config)
        assert vega["marks"]


def test_the_chosen_columns_are_drawn_from_the_rows() -> None:
    """An exact picture: names with dots and brackets reach their column, short units are K and not k."""
    import vl_convert

    made = tile({"mark": "bar", "x": "carrier", "y": "avg.delay's [min]"})
    spec = charts.compile(made, FIELDS) | {
        "data": {"values": [{"carrier": "AA", "avg.delay's [min]": 12_400}]}
    }
    svg = vl_convert.vegalite_to_svg(spec | {"width": 200, "height": 100}, vl_version="6.4")
    bar = re.search(r'aria-label="([^"]*12400[^"]*)"', svg)
    assert bar is not None
    assert "AA" in bar[1]
    assert ">10 K<" in svg


def test_bars_start_at_zero_and_are_sorted_by_size() -> None:
    """Unless the author sorts; numbers and time keep their order."""
    bars = charts.compile(tile(OPTIONS["bar"]), FIELDS)["encoding"]
    assert bars["y"]["scale"]["zero"] is True
    assert bars["x"]["sort"] == {"field": "flights", "op": "sum", "order": "descending"}
    sorted_by_name = charts.compile(tile(OPTIONS["bar"] | {"sort": "x"}), FIELDS)["encoding"]
    assert sorted_by_name["x"]["sort"] == "ascending"
    across = charts.compile(tile(OPTIONS["bar across"]), FIELDS)["encoding"]
    assert across["x"]["scale"]["zero"] is True
    assert across["y"]["sort"]["order"] == "descending"
    timed = charts.compile(tile(OPTIONS["bar of time"]), FIELDS)["encoding"]
    assert (timed["x"]["timeUnit"], "sort" in timed["x"]) == ("utcyearmonth", False)


def test_top_keeps_the_largest_categories_or_series_whole() -> None:
    """A carrier stays with all its months or goes with all of them."""
    for options, kept in ((OPTIONS["bar"], "carrier"), (OPTIONS["line"] | {"top": 3}, "carrier")):
        steps = charts.compile(tile(options), FIELDS)["transform"]
        assert steps[0]["groupby"] == [kept]
        assert steps[-1] == {"filter": {"field": "_rank", "lte": options["top"]}}


def test_time_is_utc_and_gaps_stay_gaps() -> None:
    """A reader's own zone must not move a month's first day into the month before."""
    spec = charts.compile(tile(OPTIONS["line"]), FIELDS)
    line = spec["layer"][0]
    assert line["encoding"]["x"]["scale"] == {"type": "utc"}
    assert line["mark"]["invalid"] == "break-paths-show-domains"


def test_up_to_four_series_are_labelled_at_their_ends() -> None:
    """Where the number of series is known the answer says so; areas and bars keep a legend."""
    made = reading.parse(
        "version: 1\nkind: dashboard\nslug: s\ntitle: T\nconnection: c\n"
        "queries: [{id: q, sql: SELECT 1}]\n"
        "layout:\n  - {id: t, type: chart, query: q, options: {mark: line, x: month, y: flights, series: carrier}}\n"
    ).document
    assert made is not None
    chart = page.build(made, {"q": FIELDS})["tiles"][0]["chart"]
    assert (chart["direct"]["series"], chart["direct"]["up_to"]) == ("carrier", 4)
    assert chart["direct"]["spec"]["layer"][0]["encoding"]["color"]["legend"] is None
    assert charts.compile_direct(tile(OPTIONS["area"]), FIELDS) is None
    five = tile(
        {"mark": "line", "x": "month", "y": ["flights", "amount", "avg.delay's [min]", "at", "month"]}
    )
    assert charts.compile_direct(five, FIELDS) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mark": "line", "x": "mnth", "y": "flights"}, "The result has no column mnth."),
        ({"mark": "line", "x": "month", "y": "carrier"}, "carrier is STRING; y needs a number."),
        ({"mark": "bar", "x": "parts", "y": "flights"}, "parts is nested; a chart needs plain values."),
        ({"mark": "histogram", "x": "carrier"}, "carrier is STRING; a histogram needs a number."),
        ({"mark": "heatmap", "x": "month", "y": "carrier", "series": "carrier"}, "series needs a number."),
        (
            {"vega_lite": {"mark": "bar", "encoding": {"x": {"field": "nope"}}}},
            "The result has no column nope.",
        ),
    ],
)
def test_an_encoding_that_the_result_can_not_serve_is_named(options: dict[str, Any], message: str) -> None:
    """Before anybody opens an empty chart."""
    assert message in " ".join(found for _, found, _ in charts.check(tile(options), FIELDS))


def test_every_chart_of_this_file_passes_the_check() -> None:
    """The check does not refuse what is right."""
    assert [name for name, options in OPTIONS.items() if list(charts.check(tile(options), FIELDS))] == []


@pytest.mark.parametrize(
    "spec",
    [
        {"mark": "bar", "data": {"url": "https://example.com/x.csv"}},
        {"mark": "bar", "encoding": {"href": {"field": "link"}}},
        {"mark": "bar", "encoding": {"x": {"field": "a", "axis": {"labelExpr": "datum.label"}}}},
        {"mark": "bar", "transform": [{"calculate": "1", "as": "b"}]},
        {"mark": "bar", "transform": [{"filter": "datum.a > 1"}]},
        {"mark": "bar", "transform": [{"filter": {"and": [{"field": "a", "gt": 1}, {"not": "datum.b"}]}}]},
        {"mark": "bar", "transform": [{"lookup": "a", "from": {"data": {"url": "x"}}}]},
        {"mark": {"type": "image"}, "encoding": {"url": {"field": "a"}}},
        {"mark": "image"},
        {"layer": [{"mark": "bar"}, {"mark": {"type": "rule", "size": {"signal": "x"}}}]},
        {"mark": {"type": "bar", "width": {"expr": "1"}}},
        {"mark": "bar", "params": [{"name": "p", "select": "interval"}]},
        {"mark": "bar", "usermeta": {"embedOptions": {"loader": {}}}},
        {"mark": "bar", "config": {"background": "red"}},
        {
            "mark": "bar",
            "encoding": {"color": {"condition": {"test": "datum.a", "value": "red"}, "value": "blue"}},
        },
        {"mark": {"type": "bar", "fill": "url(http://evil.example/x)"}},
        {"mark": {"type": "bar", "cursor": "URL( '//evil.example/x' ), auto"}},
        {"mark": {"type": "bar", "stroke": r"\75 rl(//evil.example/x)"}},
        {"mark": "bar", "title": {"text": "t", "color": "image-set('//evil.example/x' 1x)"}},
        {"mark": "bar", "view": {"fill": "url(#inner)"}},
        {"mark": "bar", "encoding": {"color": {"value": "data:image/svg+xml,x"}}},
        {
            "mark": "bar",
            "encoding": {"color": {"field": "a", "scale": {"range": ["red", "url(//evil.example)"]}}},
        },
        {"mark": "bar", "encoding": {"color": {"field": "a", "scale": None}}},
        {"mark": "bar", "encoding": {"fill": {"aggregate": "min", "field": "a", "scale": False}}},
        {"mark": "bar", "encoding": {"stroke": {"field": "a", "scale": {"type": "identity"}}}},
        {"mark": "bar", "encoding": {"color": {"field": "a", "scale": {"range": {"field": "a"}}}}},
        {"mark": "bar", "encoding": {"color": {"value": "red", "condition": {"field": "a", "scale": None}}}},
        {
            "repeat": ["a"],
            "spec": {"mark": "bar", "encoding": {"color": {"field": {"repeat": "repeat"}, "scale": None}}},
        },
        {
            "mark": "bar",
            "encoding": {
                "color": {
                    "field": "a",
                    "legend": {"encode": {"labels": {"update": {"fill": {"field": "value"}}}}},
                }
            },
        },
        {"title": "nothing drawn"},
        {"mark": "bar", "a": [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]},
    ],
)
def test_a_raw_spec_can_not_load_link_or_evaluate(spec: dict[str, Any]) -> None:
    """Whatever the depth at which it tries."""
    assert list(raw_spec.refusals(spec))


def test_a_plain_raw_spec_is_accepted() -> None:
    """Marks, encodings, field predicates, aggregates, colours of the author's own, titles that speak of addresses."""
    spec = {
        "title": "Images (data: https://example.com)",
        "transform": [{"filter": {"field": "flights", "gt": 1}}, {"aggregate": [], "groupby": ["carrier"]}],
        "layer": [
            {"mark": "bar", "encoding": {"x": {"field": "carrier"}, "y": {"aggregate": "count"}}},
            {
                "mark": {"type": "point", "fill": "#333", "stroke": "rgb(1, 2, 3)"},
                "encoding": {
                    "color": {"field": "carrier", "scale": {"domain": ["AA"], "range": ["teal"]}},
                    "x": {"field": "flights", "scale": None},
                },
            },
        ],
    }
    assert list(raw_spec.refusals(spec)) == []


PAINTS = st.sampled_from(["color", "fill", "stroke"])
SCALES = st.sampled_from(
    [
        None,
        {"range": {"field": "c"}},
        {"type": "identity"},
        {},
        {"scheme": "greys"},
        {"range": ["red"]},
        {"domain": ["x"]},
    ]
)
PAINT = st.one_of(
    st.fixed_dictionaries(
        {"field": st.just("c"), "type": st.sampled_from(["nominal", "ordinal"]), "scale": SCALES}
    ),
    st.fixed_dictionaries({"value": st.sampled_from(["red", LOADING, "#123"])}),
    st.fixed_dictionaries(
        {
            "value": st.sampled_from(["red", LOADING]),
            "condition": st.fixed_dictionaries(
                {
                    "test": st.just({"field": "n", "gt": 0}),
                    "field": st.just("c"),
                    "type": st.just("nominal"),
                    "scale": SCALES,
                }
            ),
        }
    ),
)


@settings(max_examples=40)
@given(PAINTS, PAINT, st.sampled_from(["bar", "point", "rect"]))
def test_what_passes_draws_nothing_that_loads(channel: str, paint: dict[str, Any], mark: str) -> None:
    """Vega itself draws what the guard lets through: no colour of the picture is an address, whatever the rows hold."""
    spec = {"mark": mark, "encoding": {"y": {"field": "n", "type": "quantitative"}, channel: paint}}
    if list(raw_spec.refusals(spec)):
        return
    rows = {"data": {"values": [{"c": LOADING, "n": 1}]}}
    drawn = vl_convert.vegalite_to_svg(rows | spec, allowed_base_urls=[])
    assert not re.search(r'(?:fill|stroke|style|href|src)="[^"]*url\(', drawn)


def test_greys_hold_their_contrast_in_both_themes() -> None:
    """Lines and text against their surface: 3 to 1 for lines, 4.5 to 1 for text."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        high, low = sorted((luminance(one), luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for colors in chart_theme.PALETTES.values():
        assert all(contrast(colors[name], colors["surface"]) >= 4.5 for name in ("ink", "muted"))
        assert all(contrast(grey, colors["surface"]) >= 3 for grey in colors["series"])
        assert all(
            contrast(colors[name], colors["surface"]) >= 4.5 for name in ("success", "warning", "error")
        )
