"""Places for tiles on the grid of 12 columns.

A tile with a position stands there. The others flow: the filter bar first, then for each section its
heading, KPIs, charts and text in reading order, tables last. A row that is not full is widened, unless
its tiles ask for a size: three KPIs fill a row as well as four do.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.dashboards.document.model import COLUMNS, WIDTHS, Document, Position, Tile
from shared.dashboards.document.problems import Problems

HEIGHTS = {"kpi": 2, "chart": 5, "table": 6, "text": 2, "filter_bar": 1, "section": 1}
"""Rows of a tile without a position; a row is 64 pixels on the page."""
DEFAULT_WIDTHS = {"kpi": 3, "chart": 6, "table": 12, "text": 12, "filter_bar": 12, "section": 12}
_RANK = {"kpi": 0, "chart": 1, "text": 1, "table": 2}


def check(document: Document, problems: Problems) -> None:
    """Report fixed tiles that overlap."""
    fixed = [(index, tile) for index, tile in enumerate(document.layout) if tile.position is not None]
    for here, (index, tile) in enumerate(fixed):
        for _, other in fixed[:here]:
            if tile.position and other.position and _overlap(tile.position, other.position):
                problems.error(
                    ("layout", index, "position"),
                    f"The tile {tile.id} lies over the tile {other.id}.",
                    "Move one, or leave the position out and let the layout rules place it.",
                )


def place(document: Document) -> dict[str, Position]:
    """The position of every tile, by tile id."""
    places = {tile.id: tile.position for tile in document.layout if tile.position is not None}
    taken = {cell for position in places.values() for cell in _cells(position)}
    cursor = 0
    for row in _rows(document):
        height = max(_height(tile) for tile in row)
        widths = _widths(row)
        while any((x, cursor + y) in taken for x in range(sum(widths)) for y in range(height)):
            cursor += 1
        x = 0
        for tile, width in zip(row, widths, strict=True):
            places[tile.id] = Position(x=x, y=cursor, w=width, h=height)
            x += width
        cursor += height
    return places


def _rows(document: Document) -> Iterator[list[Tile]]:
    flowing = [tile for tile in document.layout if tile.position is None]
    for tile in flowing:
        if tile.type == "filter_bar":
            yield [tile]
    groups: list[list[Tile]] = [[]]
    for tile in flowing:
        if tile.type == "section":
            groups.append([tile])
        elif tile.type != "filter_bar":
            groups[-1].append(tile)
    for group in groups:
        if group and group[0].type == "section":
            yield group[:1]
        for rank in (0, 1, 2):
            ranked = [tile for tile in group if _RANK.get(tile.type) == rank]
            yield from _kpi_rows(ranked) if rank == 0 else _shelves(ranked)


def _kpi_rows(tiles: list[Tile]) -> Iterator[list[Tile]]:
    """Up to four a row, evenly: five make three and two."""
    if any(tile.size for tile in tiles):
        yield from _shelves(tiles)
        return
    rows = -(-len(tiles) // 4)
    start = 0
    for row in range(rows):
        end = start + -(-(len(tiles) - start) // (rows - row))
        yield tiles[start:end]
        start = end


def _shelves(tiles: list[Tile]) -> Iterator[list[Tile]]:
    shelf: list[Tile] = []
    for tile in tiles:
        if shelf and sum(map(_width, shelf)) + _width(tile) > COLUMNS:
            yield shelf
            shelf = []
        shelf.append(tile)
    if shelf:
        yield shelf


def _widths(row: list[Tile]) -> list[int]:
    """Widths that fill the row: what is left goes to the tiles that asked for no size."""
    widths = [_width(tile) for tile in row]
    elastic = [index for index, tile in enumerate(row) if tile.size is None]
    left = COLUMNS - sum(widths)
    while left > 0 and elastic:
        narrowest = min(elastic, key=lambda index: widths[index])
        widths[narrowest] += 1
        left -= 1
    return widths


def _width(tile: Tile) -> int:
    return WIDTHS[tile.size] if tile.size else DEFAULT_WIDTHS[tile.type]


def _height(tile: Tile) -> int:
    return HEIGHTS[tile.type]


def _cells(position: Position) -> Iterator[tuple[int, int]]:
    for x in range(position.x, position.x + position.w):
        for y in range(position.y, position.y + position.h):
            yield x, y


def _overlap(one: Position, other: Position) -> bool:
    return (
        one.x < other.x + other.w
        and other.x < one.x + one.w
        and one.y < other.y + other.h
        and other.y < one.y + one.h
    )
