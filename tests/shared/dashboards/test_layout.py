"""Tiles without a place get one: inside the grid, over nobody, in the order that people read."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.dashboards import reading
from shared.dashboards.document import layout
from shared.dashboards.document.model import Document

KINDS: dict[str, dict[str, Any]] = {
    "kpi": {"query": "q", "options": {"value": "v"}},
    "chart": {"query": "q", "options": {"mark": "bar", "x": "a", "y": "b"}},
    "table": {"query": "q"},
    "text": {"options": {"markdown": "words"}},
    "filter_bar": {},
    "section": {},
}


def dashboard(*tiles: dict[str, Any]) -> Document:
    return Document.model_validate(
        {
            "version": 1,
            "kind": "dashboard",
            "slug": "s",
            "title": "T",
            "connection": "c",
            "queries": [{"id": "q", "sql": "SELECT 1"}],
            "layout": [{"id": f"t{n}", **KINDS[tile["type"]], **tile} for n, tile in enumerate(tiles)],
        }
    )


tiles = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(list(KINDS))},
        optional={"size": st.sampled_from(["small", "medium", "large"])},
    ),
    min_size=1,
    max_size=20,
)


@given(tiles, st.integers(0, 11), st.integers(0, 12))
def test_every_tile_has_a_place_inside_the_grid_and_over_nobody(
    flowing: list[dict[str, Any]], x: int, y: int
) -> None:
    """Also around a tile that stands where its author put it."""
    fixed = {"type": "chart", "position": {"x": x, "y": y, "w": 12 - x, "h": 3}}
    made = dashboard(fixed, *flowing)
    places = layout.place(made)
    assert set(places) == {tile.id for tile in made.layout}
    assert places["t0"] == made.layout[0].position
    cells: set[tuple[int, int]] = set()
    for place in places.values():
        own = {
            (cx, cy) for cx in range(place.x, place.x + place.w) for cy in range(place.y, place.y + place.h)
        }
        assert place.x + place.w <= 12
        assert not own & cells
        cells |= own


def test_kpis_come_first_then_charts_then_tables() -> None:
    """In each section anew; the filter bar above all."""
    made = dashboard(
        *({"type": kind} for kind in ("table", "chart", "kpi", "filter_bar", "section", "table", "kpi"))
    )
    places = layout.place(made)
    order = sorted(places, key=lambda id: (places[id].y, places[id].x))
    assert order == ["t3", "t2", "t1", "t0", "t4", "t6", "t5"]


def test_a_row_is_filled_unless_its_tiles_ask_for_a_size() -> None:
    """Three KPIs fill a row as well as four; five make three and two."""

    def widths(*given: dict[str, Any]) -> list[int]:
        return [place.w for place in layout.place(dashboard(*given)).values()]

    kpi: dict[str, Any] = {"type": "kpi"}
    assert widths(kpi, kpi, kpi, kpi) == [3, 3, 3, 3]
    assert widths(kpi, kpi, kpi) == [4, 4, 4]
    assert widths(kpi, kpi, kpi, kpi, kpi) == [4, 4, 4, 6, 6]
    assert widths({"type": "chart"}) == [12]
    assert widths({"type": "chart"}, {"type": "chart"}) == [6, 6]
    assert widths({"type": "chart", "size": "medium"}) == [6]


def test_fixed_tiles_that_overlap_are_refused_by_name() -> None:
    """The place of the second one is the error."""
    made = dashboard(
        {"type": "chart", "position": {"x": 0, "y": 0, "w": 6, "h": 4}},
        {"type": "chart", "position": {"x": 5, "y": 3, "w": 6, "h": 4}},
    )
    (problem,) = reading.parse(reading.render(made)).errors
    assert (problem.path, problem.message) == ("layout[1].position", "The tile t1 lies over the tile t0.")
