"""Views for each mark of the chart grammar."""

from __future__ import annotations

from typing import Any

from shared.dashboards.charts.fields import TIME_UNITS, Columns, encoded, escaped, title
from shared.dashboards.charts.parts import View, by, faceted, ordered, quoted, time_scale, with_rules
from shared.dashboards.charts.theme import DASHES
from shared.dashboards.document import formats
from shared.dashboards.document.model import ChartOptions
from shared.dashboards.document.shapes import Channel

_MEASURES, _MEASURE = "measure", "value"
"""Columns that fold makes of several y: the measure's title and its number."""


def view(options: ChartOptions, columns: Columns, currency: str, *, direct: bool = False) -> View:
    """The view of a chart: marks, encodings, transforms. `direct` labels lines instead of a legend."""
    if options.vega_lite is not None:
        return dict(options.vega_lite)
    made = _Chart(options, columns, currency, direct).build()
    if options.facet is not None:
        made = faceted(made, options.facet, columns)
    return made


class _Chart:
    """One chart on its way to a spec: what is across, what is up, how series are told apart."""

    def __init__(self, options: ChartOptions, columns: Columns, currency: str, direct: bool) -> None:
        self.options, self.columns, self.currency, self.direct = options, columns, currency, direct
        self.transform: list[dict[str, Any]] = []
        ys = options.y or []
        self.folded = len(ys) > 1
        self._y = (
            Channel(field=_MEASURE, title="", type="quantitative") if self.folded else ys[0] if ys else None
        )
        self._series = Channel(field=_MEASURES, title="", type="nominal") if self.folded else options.series
        if self.folded:
            self._fold(ys)

    @property
    def x(self) -> Channel:
        """What is across; `charts.missing` has refused a document without it."""
        return _given("x", self.options.x)

    @property
    def y(self) -> Channel:
        """What is up."""
        return _given("y", self._y)

    @property
    def series(self) -> Channel:
        """What tells series apart."""
        return _given("series", self._series)

    def build(self) -> View:
        match self.options.mark:
            case "line" | "area":
                made = self._lines()
            case "bar" | "stacked_bar":
                made = self._bars()
            case "point":
                made = self._points()
            case "heatmap":
                made = self._heatmap()
            case "arc":
                made = self._arc()
            case "histogram":
                made = self._histogram()
            case "boxplot":
                made = self._boxplot()
            case _:
                made = self._geoshape()
        made = with_rules(made, self.options)
        return {"transform": self.transform, **made} if self.transform else made

    # Marks --------------------------------------------------------------------------------------

    def _lines(self) -> View:
        options = self.options
        if self._series is not None:
            self._keep_top(self.series, self.y)
        encoding: dict[str, Any] = {"x": self._across(), "y": self._up(zero=options.mark == "area")}
        if options.mark == "area":
            stacked = {None: "zero", "none": None}.get(options.stack, options.stack)
            encoding["y"]["stack"] = stacked if self._series is not None else None
            mark: dict[str, Any] = {"type": "area", "line": {"strokeWidth": 1.25}}
        else:
            mark = {"type": "line", "interpolate": "linear"}
        if self._series is not None:
            encoding |= self._series_encoding(dashes=options.mark == "line")
        encoding["tooltip"] = self._tooltip()
        line = {"mark": mark | {"invalid": "break-paths-show-domains"}, "encoding": encoding}
        hover = {
            "mark": {"type": "point", "opacity": 0, "size": 80, "tooltip": True},
            "encoding": {k: v for k, v in encoding.items() if k not in ("strokeDash", "color")}
            | ({"detail": {"field": escaped(self.series.field)}} if self._series else {}),
        }
        layers = [line] if options.mark == "area" else [line, hover]
        if self.direct and self._series is not None:
            layers.append(self._end_labels())
        return {"layer": layers} if len(layers) > 1 else line

    def _end_labels(self) -> View:
        """The series' name at its last point."""
        x = escaped(self.x.field)
        last = {"argmax": x}
        return {
            "mark": {"type": "text", "style": "direct-label", "align": "left", "dx": 6, "clip": False},
            "encoding": {
                "x": {k: v for k, v in self._across().items() if k != "timeUnit"} | {"aggregate": "max"},
                "y": {"aggregate": last, "field": escaped(self.y.field), "type": "quantitative"},
                "text": {"aggregate": last, "field": escaped(self.series.field)},
                "detail": {"field": escaped(self.series.field), "type": "nominal"},
            },
        }

    def _bars(self) -> View:
        options, columns = self.options, self.columns
        flipped = (
            columns.kind(self.x) == "quantitative"
            and self._y is not None
            and not self.folded
            and columns.kind(self.y) not in ("quantitative",)
        )
        measure, category = (self.x, self.y) if flipped else (self.y, self.x)
        self._keep_top(category, measure)
        along = self._measure_axis(measure, zero=True)
        stacked = options.mark == "stacked_bar" or options.stack in ("zero", "normalize")
        encoding: dict[str, Any] = {}
        if self._series is not None:
            encoding |= self._series_encoding(dashes=False)
            along["stack"] = (options.stack if options.stack == "normalize" else "zero") if stacked else None
            if not stacked:
                encoding["yOffset" if flipped else "xOffset"] = {"field": escaped(self.series.field)}
        position = self._category_axis(category, measure, flipped)
        encoding["y" if flipped else "x"] = position
        encoding["x" if flipped else "y"] = along
        encoding["tooltip"] = self._tooltip()
        return {"mark": {"type": "bar"}, "encoding": encoding}

    def _points(self) -> View:
        encoding: dict[str, Any] = {
            "x": self._across(),
            "y": self._up(zero=False),
            "tooltip": self._tooltip(),
        }
        encoding["x"]["scale"] = encoding["x"].get("scale", {}) | (
            {"zero": False} if encoding["x"]["type"] == "quantitative" else {}
        )
        if self._series is not None:
            encoding |= self._series_encoding(dashes=False)
            encoding["shape"] = {"field": escaped(self.series.field), "type": "nominal", "legend": None}
        return {"mark": {"type": "point"}, "encoding": encoding}

    def _heatmap(self) -> View:
        shade = encoded(self.series, "quantitative", legend={"gradientLength": 120, "gradientThickness": 8})
        encoding: dict[str, Any] = {
            "x": self._cell(self.x),
            "y": self._cell(self.y),
            "color": shade,
            "tooltip": self._tooltip(),
        }
        return {"mark": {"type": "rect"}, "encoding": encoding}

    def _arc(self) -> View:
        self._keep_top(self.x, self.y)
        return {
            "mark": {"type": "arc", "innerRadius": {"expr": "min(width, height) / 4"}},
            "encoding": {
                "theta": encoded(self.y, "quantitative", stack=True),
                "order": {"field": escaped(self.y.field), "type": "quantitative", "sort": "descending"},
                "color": encoded(
                    self.x,
                    "nominal",
                    sort={"field": escaped(self.y.field), "order": "descending"},
                    legend={"orient": "right", "direction": "vertical", "columns": 1},
                    scale={"range": "ordinal"},
                ),
                "tooltip": self._tooltip(),
            },
        }

    def _histogram(self) -> View:
        options = self.options
        kind = self.columns.kind(self.x)
        encoding: dict[str, Any] = {"x": encoded(self.x, kind, scale=time_scale(kind))}
        if kind == "temporal":
            encoding["x"]["timeUnit"] = TIME_UNITS[self.columns.time_unit(self.x) or "day"]
        else:
            encoding["x"]["bin"] = {"maxbins": 30}
        if self._y is not None:
            encoding["y"] = encoded(self.y, "quantitative", aggregate="sum")
        else:
            encoding["y"] = {"aggregate": "count", "type": "quantitative", "title": "Count"}
        encoding["y"] |= {"axis": formats.axis(options.format, self.currency), "scale": {"zero": True}}
        if self._series is not None:
            encoding |= self._series_encoding(dashes=False)
        encoding["tooltip"] = [
            {**{k: v for k, v in encoding["x"].items() if k != "scale"}},
            {k: v for k, v in encoding["y"].items() if k not in ("axis", "scale")} | {"format": ","},
        ]
        return {"mark": {"type": "bar"}, "encoding": encoding}

    def _boxplot(self) -> View:
        encoding: dict[str, Any] = {"y": self._up(zero=False)}
        if self.options.x is not None:
            encoding["x"] = encoded(self.options.x, "nominal", axis={"labelAngle": 0})
        return {"mark": {"type": "boxplot", "extent": 1.5}, "encoding": encoding}

    def _geoshape(self) -> View:
        """Rows come as GeoJSON features: the geometry from x, the row as its properties."""
        encoding: dict[str, Any] = {}
        if self._y is not None:
            field = f"properties.{escaped(self.y.field)}"
            encoding["color"] = {"field": field, "type": "quantitative", "title": title(self.y)}
            encoding["tooltip"] = [{"field": field, "type": "quantitative", "title": title(self.y)}]
        if self.options.series is not None:
            name = {"field": f"properties.{escaped(self.options.series.field)}", "type": "nominal"}
            encoding.setdefault("tooltip", []).insert(0, name | {"title": title(self.options.series)})
        return {"mark": {"type": "geoshape"}, "projection": {"type": "equalEarth"}, "encoding": encoding}

    # Parts --------------------------------------------------------------------------------------

    def _fold(self, measures: list[Channel]) -> None:
        """Several measures as one column of values and one of names, in the order given."""
        names = {channel.field: title(channel) for channel in measures}
        self.measure_titles = list(dict.fromkeys(names.values()))
        self.transform.append({"fold": [escaped(name) for name in names], "as": ["_measure_key", _MEASURE]})
        text = "datum._measure_key"
        for name, shown in names.items():
            text = f"datum._measure_key === {quoted(name)} ? {quoted(shown)} : ({text})"
        self.transform.append({"calculate": text, "as": _MEASURES})

    def _across(self) -> dict[str, Any]:
        channel, columns = self.x, self.columns
        kind = ordered(columns.kind(channel))
        definition = encoded(channel, kind, scale=time_scale(kind))
        if kind == "temporal":
            definition["title"] = channel.title if channel.title is not None else None
            if channel.time_unit is not None:
                definition["timeUnit"] = TIME_UNITS[channel.time_unit]
        if kind == "ordinal":
            definition |= {"sort": self._explicit_sort() or None, "axis": {"labelAngle": 0}}
        if kind == "quantitative":
            definition["axis"] = {"grid": False, **formats.axis(channel.format or "auto", self.currency)}
        return definition

    def _up(self, *, zero: bool) -> dict[str, Any]:
        return self._measure_axis(self.y, zero=zero)

    def _measure_axis(self, channel: Channel, *, zero: bool) -> dict[str, Any]:
        name = channel.format or self.options.format
        definition = encoded(
            channel,
            "quantitative",
            axis=formats.axis(name, self.currency),
            scale={"zero": zero, "nice": True},
        )
        if not definition["title"]:
            definition["title"] = None
        return definition

    def _category_axis(self, category: Channel, measure: Channel, flipped: bool) -> dict[str, Any]:
        kind = self.columns.kind(category)
        if kind == "temporal":
            unit = self.columns.time_unit(category) or "day"
            return {
                "field": escaped(category.field),
                "type": "temporal",
                "timeUnit": TIME_UNITS[unit],
                "title": category.title,
                "scale": {"type": "utc"},
                "bandPosition": 0.5,
            }
        given = self._explicit_sort()
        if given in ("x", "-x", "y", "-y"):
            on_category = given.lstrip("-") == ("y" if flipped else "x")
            order = "descending" if given.startswith("-") else "ascending"
            sort: Any = order if on_category else by(measure, order)
        elif kind in ("quantitative", "ordinal"):
            sort = "ascending"
        else:
            sort = by(measure, "descending")
        axis = {"labelAngle": 0, "grid": False} if not flipped else {"grid": False}
        return encoded(category, "ordinal" if kind != "nominal" else "nominal", axis=axis) | {"sort": sort}

    def _cell(self, channel: Channel) -> dict[str, Any]:
        kind = self.columns.kind(channel)
        definition = encoded(channel, "ordinal" if kind != "nominal" else "nominal", axis={"labelAngle": 0})
        if kind == "temporal":
            definition["timeUnit"] = TIME_UNITS[self.columns.time_unit(channel) or "day"]
        return definition

    def _series_encoding(self, *, dashes: bool) -> dict[str, Any]:
        field = {"field": escaped(self.series.field), "type": "nominal"}
        shown = title(self.series) or None
        domain = {"domain": self.measure_titles} if self.folded else {}
        color: dict[str, Any] = field | {"title": shown}
        # Thin marks take the theme's `category` greys, which hold their contrast; areas of colour take
        # `ordinal`, whose neighbours differ more. Both names are Vega's own: a spec needs no theme to draw.
        thin = self.options.mark in ("line", "point")
        if domain or not thin:
            color["scale"] = domain | ({} if thin else {"range": "ordinal"})
        if self.direct:
            color["legend"] = None
        made = {"color": color}
        if dashes:
            made["strokeDash"] = (
                field
                | {
                    "title": shown,
                    "scale": domain | {"range": DASHES},
                }
                | ({"legend": None} if self.direct else {})
            )
        return made

    def _tooltip(self) -> list[dict[str, Any]]:
        options, shown = self.options, []
        for channel in (options.x, self._series, self._y):
            if channel is None:
                continue
            kind = self.columns.kind(channel)
            item: dict[str, Any] = {
                "field": escaped(channel.field),
                "type": kind,
                "title": title(channel) or "Value",
            }
            if kind == "temporal":
                unit = self.columns.time_unit(channel)
                item |= (
                    {"timeUnit": TIME_UNITS[unit]} if unit else {"timeUnit": "utcyearmonthdatehoursminutes"}
                )
            elif kind == "quantitative":
                name = channel.format or (options.format if channel is self.y else "auto")
                pattern = formats.tooltip(name)
                item |= {"format": pattern} if pattern else {}
            shown.append(item)
        return shown

    def _keep_top(self, category: Channel, measure: Channel) -> None:
        """Keep the categories with the largest sums; all of a category's series stay or go together."""
        if self.options.top is None:
            return
        self.transform += [
            {
                "joinaggregate": [{"op": "sum", "field": escaped(measure.field), "as": "_total"}],
                "groupby": [escaped(category.field)],
            },
            {
                "window": [{"op": "dense_rank", "as": "_rank"}],
                "sort": [
                    {"field": "_total", "order": "descending"},
                    {"field": escaped(category.field), "order": "ascending"},
                ],
            },
            {"filter": {"field": "_rank", "lte": self.options.top}},
        ]

    def _explicit_sort(self) -> str | None:
        return self.options.sort


def _given(name: str, channel: Channel | None) -> Channel:
    if channel is None:
        raise ValueError(f"the chart gives no {name}")
    return channel
