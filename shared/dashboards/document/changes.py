"""What changed between two versions, in words that a person would use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.dashboards.document.model import Document

MOST = 40
_PLAIN = (
    "title",
    "description",
    "view_type",
    "connection",
    "timezone",
    "currency",
    "locale",
    "theme",
    "tags",
)


def summarize(before: Document | None, after: Document) -> list[str]:
    """One line a change, most important kinds first."""
    if before is None:
        return [f"created with {len(after.layout)} tiles and {len(after.queries)} queries"]
    lines = [f"{name} changed" for name in _PLAIN if getattr(before, name) != getattr(after, name)]
    if before.refresh != after.refresh:
        lines.append("refresh changed")
    for noun, name in (("query", "queries"), ("tile", "layout"), ("filter", "filters"), ("alert", "alerts")):
        lines += _items(noun, getattr(before, name), getattr(after, name))
    if [tile.id for tile in before.layout] != [tile.id for tile in after.layout] and not any(
        line.startswith("tile ") and ("added" in line or "removed" in line) for line in lines
    ):
        lines.append("tiles reordered")
    return lines[:MOST] or ["nothing that a reader would see"]


def _items(noun: str, before: Sequence[Any], after: Sequence[Any]) -> list[str]:
    old, new = ({item.id: item for item in items} for items in (before, after))
    lines = [f"{noun} {id} added" for id in new if id not in old]
    lines += [f"{noun} {id} removed" for id in old if id not in new]
    for id in new:
        if id in old and old[id] != new[id]:
            changed = [
                name
                for name in dict.fromkeys([*type(old[id]).model_fields, *type(new[id]).model_fields])
                if getattr(old[id], name, None) != getattr(new[id], name, None)
            ]
            lines.append(
                f"{noun} {id}: {', '.join('SQL' if name == 'sql' else name for name in changed)} changed"
            )
    return lines
