"""The chart grammar, compiled to Vega-Lite.

    mark, x, y, series, facet, sort, top, format, stack, reference_lines ─► {"data": {"name": "rows"}, …}

The rows stand under the name `rows`; the theme comes separately (`theme.config`), so one spec serves
light and dark. Every choice that a careful designer would repeat is made here: bars start at zero and
are sorted, time is UTC, series are told apart by grey and by dash, missing points stay gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from shared.dashboards.charts import marks, parts, raw_spec
from shared.dashboards.charts.fields import Columns, humanize
from shared.dashboards.document.model import ChartOptions, ChartTile, KpiTile
from shared.dashboards.document.problems import Hint, did_you_mean
from shared.dashboards.document.shapes import Channel
from shared.warehouses.types import Field

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
DIRECT_LABELS = 4
"""Up to so many series are labelled at their line's end and need no legend."""

_NEEDS: dict[str, tuple[str, ...]] = {
    "line": ("x", "y"),
    "area": ("x", "y"),
    "bar": ("x", "y"),
    "stacked_bar": ("x", "y"),
    "point": ("x", "y"),
    "heatmap": ("x", "y", "series"),
    "arc": ("x", "y"),
    "histogram": ("x",),
    "boxplot": ("y",),
    "geoshape": ("x",),
}
_WHY = {
    ("heatmap", "series"): "a heatmap needs series, the number that shades the cells",
    ("arc", "x"): "an arc needs x, the category of the slices",
    ("arc", "y"): "an arc needs y, the size of the slices",
    ("geoshape", "x"): "a geoshape needs x, the column of GeoJSON texts",
}


def missing(options: ChartOptions) -> Iterator[tuple[str, str]]:
    """The channels that the mark needs and the tile does not give."""
    mark = options.mark or ""
    for name in _NEEDS.get(mark, ()):
        if getattr(options, name) is None:
            yield name, f"{_WHY.get((mark, name), f'a {mark} needs {name}')}."
    if options.series is not None and options.y is not None and len(options.y) > 1:
        yield "series", "give either series or several y, not both."
    if (
        options.y is not None
        and len(options.y) > 1
        and mark not in ("line", "area", "bar", "stacked_bar", "point")
    ):
        yield "y", f"a {mark} takes one y."


def check(tile: ChartTile, fields: Sequence[Field]) -> Iterator[tuple[tuple[str | int, ...], str, Hint]]:
    """Encodings that the result can't serve: (place below options, message, hint)."""
    names = {field.name: None for field in fields}
    options = tile.options
    if options.vega_lite is not None:
        for path, name in raw_spec.fields(options.vega_lite):
            if name.replace("\\", "") not in names:
                hint = partial(did_you_mean, name, names)
                yield ("vega_lite", *path), f"The result has no column {name}.", hint
        return
    columns = Columns(fields)
    for place, channel in _channels(options):
        if channel.field not in names:
            hint = partial(did_you_mean, channel.field, names)
            yield place, f"The result has no column {channel.field}.", hint
            continue
        kind = columns.kind(channel)
        measured = place[0] == "y" or (place[0] == "series" and options.mark == "heatmap")
        if options.mark == "heatmap" and place[0] == "y":
            measured = False
        if columns.is_nested(channel.field):
            yield place, f"{channel.field} is nested; a chart needs plain values.", "Unnest it in SQL."
        elif measured and kind != "quantitative" and not _is_flipped(options, columns):
            yield (
                place,
                f"{channel.field} is {columns.type(channel.field)}; {place[0]} needs a number.",
                f"Numbers here: {', '.join(columns.numbers()) or 'none'}.",
            )
        elif options.mark == "histogram" and place[0] == "x" and kind not in ("quantitative", "temporal"):
            yield (
                place,
                f"{channel.field} is {columns.type(channel.field)}; a histogram needs a number.",
                None,
            )


def compile(tile: ChartTile, fields: Sequence[Field], *, currency: str = "USD") -> dict[str, Any]:
    """The Vega-Lite spec of a chart tile for a result with these columns."""
    return _document(marks.view(tile.options, Columns(fields), currency), tile)


def compile_direct(
    tile: ChartTile, fields: Sequence[Field], *, currency: str = "USD"
) -> dict[str, Any] | None:
    """The same chart with labels at the ends of its lines, for up to DIRECT_LABELS series."""
    options = tile.options
    if options.mark not in ("line",) or options.facet is not None or options.vega_lite is not None:
        return None
    if options.series is None and (options.y is None or not 1 < len(options.y) <= DIRECT_LABELS):
        return None
    return _document(marks.view(options, Columns(fields), currency, direct=True), tile)


def compile_sparkline(tile: KpiTile, fields: Sequence[Field]) -> dict[str, Any] | None:
    """The small line of a KPI: no axes, the last point marked."""
    line = tile.options.sparkline
    return None if line is None else _base(parts.sparkline(line, Columns(fields)))


def _document(view: dict[str, Any], tile: ChartTile) -> dict[str, Any]:
    spec = _base(view)
    spec["description"] = tile.title or humanize(tile.id)
    return spec


def _base(view: dict[str, Any]) -> dict[str, Any]:
    sized: dict[str, Any] = {"$schema": SCHEMA, "data": {"name": "rows"}}
    if not {"facet", "hconcat", "vconcat", "concat", "repeat"} & set(view):
        sized |= {
            "width": "container",
            "height": "container",
            "autosize": {"type": "fit", "contains": "padding"},
        }
    return sized | view


def _channels(options: ChartOptions) -> Iterator[tuple[tuple[str | int, ...], Channel]]:
    for name in ("x", "series", "facet"):
        channel = getattr(options, name)
        if channel is not None:
            yield (name,), channel
    many = options.y or []
    for index, channel in enumerate(many):
        yield ("y",) if len(many) == 1 else ("y", index), channel


def _is_flipped(options: ChartOptions, columns: Columns) -> bool:
    """Horizontal bars: the number across, the category up."""
    return (
        options.mark in ("bar", "stacked_bar", "boxplot", "point")
        and options.x is not None
        and columns.has(options.x.field)
        and columns.kind(options.x) == "quantitative"
    )
