"""One look for every chart: greys carry structure and data, in light and in dark."""

from __future__ import annotations

from typing import Any, Literal

Theme = Literal["light", "dark"]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
PALETTES: dict[Theme, dict[str, Any]] = {
    "light": {
        "ink": "#1f2328",
        "muted": "#59626c",
        "line": "#d9dde1",
        "surface": "#ffffff",
        "series": ["#1f2328", "#868e96", "#57606a", "#8a929b", "#30363d", "#6e7781", "#474f58", "#7d8590"],
        "fills": ["#30363d", "#8a929b", "#57606a", "#b3bac1", "#434b54", "#9fa7af", "#6e7781", "#c8cdd2"],
        "ramp": ["#f0f2f4", "#c8cdd2", "#9fa7af", "#6e7781", "#3d444d", "#1f2328"],
        "success": "#1a7f37",
        "warning": "#9a6700",
        "error": "#cf222e",
    },
    "dark": {
        "ink": "#e6e9ed",
        "muted": "#a1a9b2",
        "line": "#343a41",
        "surface": "#15181c",
        "series": ["#e6e9ed", "#868f98", "#b6bdc5", "#7d868f", "#ced4da", "#959da6", "#a8b0b8", "#8f98a1"],
        "fills": ["#ced4da", "#7d868f", "#a8b0b8", "#5b646d", "#e6e9ed", "#959da6", "#6c757e", "#494f57"],
        "ramp": ["#22272d", "#3c434b", "#5b646d", "#868f98", "#b6bdc5", "#e6e9ed"],
        "success": "#3fb950",
        "warning": "#d29922",
        "error": "#f85149",
    },
}
DASHES = [[1, 0], [1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [10, 4], [1, 3]]


def config(theme: Theme) -> dict[str, Any]:
    """The Vega-Lite config that every spec is shown with."""
    colors = PALETTES[theme]
    text = {
        "labelColor": colors["muted"],
        "titleColor": colors["muted"],
        "labelFont": FONT,
        "titleFont": FONT,
    }
    return {
        "background": "transparent",
        "font": FONT,
        "padding": {"left": 4, "right": 4, "top": 4, "bottom": 4},
        "view": {"stroke": None},
        "axis": text
        | {
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "labelPadding": 6,
            "labelLimit": 160,
            "labelOverlap": "greedy",
            "labelSeparation": 12,
            "domain": False,
            "ticks": False,
            "grid": False,
            "gridColor": colors["line"],
        },
        "axisX": {"domain": True, "domainColor": colors["line"], "labelFlush": True},
        "axisQuantitative": {"grid": True, "tickCount": 5},
        "axisTemporal": {"tickCount": 8},
        "legend": text
        | {
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "orient": "top",
            "direction": "horizontal",
            "columns": 6,
            "symbolLimit": 24,
            "labelLimit": 160,
            "symbolStrokeWidth": 2,
            "offset": 8,
        },
        "header": text | {"labelFontSize": 12, "titleFontSize": 12, "labelAnchor": "start"},
        "title": {"color": colors["ink"], "font": FONT, "fontSize": 13, "fontWeight": 600, "anchor": "start"},
        "range": {
            "category": colors["series"],
            "ordinal": colors["fills"],
            "ramp": colors["ramp"],
            "heatmap": colors["ramp"],
        },
        "line": {"color": colors["ink"], "strokeWidth": 1.75, "strokeCap": "round", "strokeJoin": "round"},
        "area": {"color": colors["series"][1], "fillOpacity": 0.35, "line": False},
        "bar": {"color": colors["series"][2], "cornerRadiusEnd": 2},
        "rect": {"color": colors["series"][2]},
        "point": {"color": colors["ink"], "filled": True, "size": 36, "opacity": 0.7},
        "arc": {"stroke": colors["surface"], "strokeWidth": 1},
        "geoshape": {"fill": colors["series"][3], "stroke": colors["surface"], "strokeWidth": 0.5},
        "boxplot": {
            "box": {"fill": colors["series"][3]},
            "median": {"stroke": colors["ink"]},
            "rule": {"stroke": colors["muted"]},
            "outliers": {"color": colors["muted"], "size": 16},
        },
        "rule": {"color": colors["muted"]},
        "text": {"color": colors["ink"], "font": FONT, "fontSize": 12},
        "style": {
            "direct-label": {"font": FONT, "fontSize": 12, "fontWeight": 500},
            "reference": {"stroke": colors["muted"], "strokeDash": [4, 3], "strokeWidth": 1},
            "reference-label": {
                "fill": colors["muted"],
                "fontSize": 11,
                "align": "left",
                "baseline": "bottom",
            },
            "comparison": {"stroke": colors["series"][1], "strokeWidth": 1.25},
            **{
                f"semantic-{name}": {"fill": colors[name], "stroke": colors[name]}
                for name in ("success", "warning", "error")
            },
        },
    }
