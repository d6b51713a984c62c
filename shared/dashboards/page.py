"""What the page needs of a document: tiles with their places and compiled specs, filters with choices.

Made once, when a version is saved or indexed, and kept in the row: opening a dashboard reads no object
and parses no YAML. docs/dashboards.md describes the form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.dashboards.charts import grammar as charts
from shared.dashboards.charts.fields import Columns, humanize
from shared.dashboards.compiling.compiler import comparison_id
from shared.dashboards.document import layout
from shared.dashboards.document.model import (
    ChartTile,
    Document,
    Filter,
    FilterBarTile,
    KpiTile,
    MultiSelectFilter,
    SelectFilter,
    TableOptions,
    TableTile,
    TextTile,
    Tile,
)
from shared.warehouses.types import Field

Schemas = Mapping[str, Sequence[Field]]
ROW_HEIGHT = 64
_COMPARED = {"previous_period": "vs previous period", "previous_year": "vs previous year"}


def build(document: Document, schemas: Schemas) -> dict[str, Any]:
    """Tiles in reading order and filters, as the page draws them."""
    places = layout.place(document)
    tiles = [_tile(document, tile, schemas) for tile in document.layout]
    for tile in tiles:
        tile["position"] = places[tile["id"]].model_dump()
    tiles.sort(key=lambda tile: (tile["position"]["y"], tile["position"]["x"]))
    return {
        "tiles": tiles,
        "filters": [_filter(item) for item in document.filters],
        "currency": document.currency,
        "locale": document.locale,
        "theme": document.theme,
        "refresh": document.refresh.model_dump(),
        "connection": document.connection,
    }


def _tile(document: Document, tile: Tile, schemas: Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": tile.id,
        "type": tile.type,
        "title": tile.title,
        "subtitle": tile.subtitle,
        "color": tile.color,
        "query": getattr(tile, "query", None),
    }
    match tile:
        case KpiTile():
            made["kpi"] = _kpi(tile, schemas)
        case ChartTile():
            made["chart"] = _chart(document, tile, schemas.get(tile.query, ()))
        case TableTile():
            made["table"] = _table(tile.options, schemas.get(tile.query, ()))
        case TextTile():
            made["text"] = {"markdown": tile.options.markdown}
        case FilterBarTile():
            shown = tile.options.filters or [item.id for item in document.filters]
            made["filter_bar"] = {"filters": shown}
    return made


def _kpi(tile: KpiTile, schemas: Schemas) -> dict[str, Any]:
    options = tile.options
    compare: dict[str, Any] | None = None
    if (against := options.compare) is not None:
        if against.to is not None:
            compare = {
                "kind": "query",
                "query": comparison_id(tile.query, against.to),
                "column": options.value,
                "label": against.label or _COMPARED[against.to],
            }
        elif against.column is not None:
            label = against.label or f"vs {humanize(against.column).lower()}"
            compare = {"kind": "column", "column": against.column, "label": label}
        else:
            compare = {"kind": "target", "value": against.target, "label": against.label or "vs target"}
    spark: dict[str, Any] | None = None
    if options.sparkline is not None:
        query = options.sparkline.query or tile.query
        spark = {"query": query, "spec": charts.compile_sparkline(tile, schemas.get(query, ()))}
    return {
        "value": options.value,
        "format": options.format,
        "unit": options.unit,
        "good_direction": options.good_direction,
        "compare": compare,
        "sparkline": spark,
    }


def _chart(document: Document, tile: ChartTile, fields: Sequence[Field]) -> dict[str, Any]:
    options = tile.options
    made: dict[str, Any] = {
        "rows_as": "records",
        "spec": charts.compile(tile, fields, currency=document.currency),
        "direct": None,
    }
    if options.mark == "geoshape" and options.x is not None:
        made |= {"rows_as": "features", "geometry_field": options.x.field}
    direct = charts.compile_direct(tile, fields, currency=document.currency)
    if direct is not None:
        series = options.series.field if options.series is not None else None
        made["direct"] = {"spec": direct, "series": series, "up_to": charts.DIRECT_LABELS}
    return made


def _table(options: TableOptions, fields: Sequence[Field]) -> dict[str, Any]:
    types = Columns(fields)
    columns = [
        {
            "field": column.field,
            "title": column.title if column.title is not None else humanize(column.field),
            "type": types.type(column.field),
            "format": column.format,
            "align": column.align or ("right" if types.is_number(column.field) else "left"),
        }
        for column in options.columns
    ] or [
        {
            "field": field.name,
            "title": humanize(field.name),
            "type": field.type,
            "format": "auto",
            "align": "right" if types.is_number(field.name) else "left",
        }
        for field in fields
    ]
    return {
        "columns": columns,
        "sort": [key.__dict__ for key in options.sort],
        "conditional": [rule.model_dump() for rule in options.conditional],
        "totals": list(options.totals),
        "page_size": options.page_size,
    }


def _filter(item: Filter) -> dict[str, Any]:
    data = item.model_dump(mode="json")
    default: Any = data.get("default")
    if isinstance(default, str) and item.type == "date_range":
        default = {"relative": default}
    made = {
        "id": item.id,
        "type": item.type,
        "label": item.label or humanize(item.id),
        "default": default,
        "options": [],
        "options_query": None,
    }
    if isinstance(item, SelectFilter | MultiSelectFilter):
        made["options"] = [
            {"value": option.value, "label": option.label if option.label is not None else option.value}
            for option in item.options
        ]
        made["options_query"] = item.options_query
    return made
