"""Pieces that charts share: reference lines, small multiples, sparklines."""

from __future__ import annotations

from typing import Any

from shared.dashboards.charts.fields import Columns, encoded, escaped
from shared.dashboards.document.model import ChartOptions, Sparkline
from shared.dashboards.document.shapes import Channel

View = dict[str, Any]


def sparkline(line: Sparkline, columns: Columns) -> View:
    """A line without axes and a dot on its last point."""
    x, y = Channel(field=line.x), Channel(field=line.y)
    across = encoded(x, ordered(columns.kind(x)), axis=None, scale=time_scale(columns.kind(x)))
    up = encoded(y, "quantitative", axis=None, scale={"zero": False})
    last = {"aggregate": "max", "field": escaped(x.field), "type": across["type"], "axis": None}
    return {
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": {"x": across, "y": up}},
            {
                "mark": {"type": "point", "filled": True, "size": 28},
                "encoding": {
                    "x": last,
                    "y": {
                        "aggregate": {"argmax": escaped(x.field)},
                        "field": escaped(y.field),
                        "type": "quantitative",
                        "axis": None,
                    },
                },
            }
            if columns.kind(x) in ("temporal", "quantitative")
            else {"mark": {"type": "point", "size": 0}, "encoding": {"x": across, "y": up}},
        ]
    }


def with_rules(made: View, options: ChartOptions) -> View:
    """The chart with its reference lines drawn over it."""
    lines = options.reference_lines
    if not lines or options.mark in ("arc", "geoshape"):
        return made
    layers = list(made.pop("layer")) if "layer" in made else [made]
    for line in lines:
        style = ["reference"] if line.color == "neutral" else ["reference", f"semantic-{line.color}"]
        at = {line.axis: {"datum": line.value}}
        layers.append({"mark": {"type": "rule", "style": style}, "encoding": at})
        if line.label:
            offset = {"dy": -3} if line.axis == "y" else {"dx": 4}
            text = {"type": "text", "style": "reference-label", "text": line.label, **offset}
            edge = {"x": {"value": 4}} if line.axis == "y" else {"y": {"value": 10}}
            layers.append({"mark": text, "encoding": at | edge})
    return {"layer": layers}


def faceted(made: View, facet: Channel, columns: Columns) -> View:
    """Small multiples of a chart."""
    transform = made.pop("transform", None)
    cell = {"width": 220, "height": 140} | made
    kind = columns.kind(facet)
    whole: View = {
        "facet": encoded(facet, "ordinal" if kind != "nominal" else "nominal"),
        "columns": 3,
        "spec": cell,
    }
    return {"transform": transform, **whole} if transform else whole


def by(measure: Channel, order: str) -> dict[str, Any]:
    """Sorted by the sum of a measure."""
    return {"field": escaped(measure.field), "op": "sum", "order": order}


def ordered(kind: str) -> str:
    """A category on a line's axis keeps the order of the rows."""
    return "ordinal" if kind == "nominal" else kind


def time_scale(kind: str) -> dict[str, str] | None:
    """UTC for time, nothing for the rest."""
    return {"type": "utc"} if kind == "temporal" else None


def quoted(text: str) -> str:
    """A text as a Vega expression writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", " ") + "'"
