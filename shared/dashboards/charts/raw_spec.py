"""The guard of raw Vega-Lite specs: plain marks and encodings, nothing that loads, links or evaluates.

Every key that can hold an expression, an address or a data source is refused wherever it stands, and so is every
text for which a style would load something, so a spec can't reach the network or run text that somebody wrote. Nor
may a column's values be paint as they are: nobody has read what a query answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.platform.text import links

MAX_DEPTH = 20
MAX_NODES = 4_000

_REFUSED_KEYS = {
    "url": "addresses are not loaded; the tile's query is the data",
    "href": "links are not accepted",
    "data": "the tile's query is the data",
    "datasets": "the tile's query is the data",
    "signal": "signals are not accepted",
    "expr": "expressions are not accepted",
    "signals": "signals are not accepted",
    "calculate": "expressions are not accepted; compute the column in SQL",
    "labelExpr": "expressions are not accepted",
    "params": "parameters are not accepted; use the dashboard's filters",
    "param": "parameters are not accepted; use the dashboard's filters",
    "lookup": "look-ups load other data; join in SQL",
    "usermeta": "it is not accepted",
    "loader": "it is not accepted",
    "events": "event streams are not accepted",
    "on": "event streams are not accepted",
    "bind": "input bindings are not accepted",
    "key": "it is not accepted",
    "image": "images are not loaded",
    "$schema": "leave it out; the page fixes the version",
    "config": "the shared theme styles every chart",
    "background": "the shared theme styles every chart",
    "formatType": "custom formatters are not accepted",
    "encode": "the mark's and the axes' own properties style a chart",
}
_PAINT = ("color", "fill", "stroke")
_EXPRESSION_KEYS = ("filter", "test")
_COMPOSITION = {"mark", "layer", "hconcat", "vconcat", "concat", "repeat", "facet", "spec"}


def refusals(spec: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every place of the spec that can't be accepted, with the reason."""
    if not _COMPOSITION & set(spec):
        yield (), "vega_lite needs a mark or a layer."
    nodes = 0
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), spec)]
    while stack:
        path, value = stack.pop()
        nodes += 1
        if nodes > MAX_NODES or len(path) > MAX_DEPTH:
            yield path, "the spec is too large or too deep."
            return
        if isinstance(value, dict):
            for key, item in value.items():
                if reason := _refusal(key, item, path):
                    yield (*path, key), f"{key}: {reason}."
                else:
                    stack.append(((*path, key), item))
        elif isinstance(value, list):
            stack.extend(((*path, index), item) for index, item in enumerate(value))
        elif isinstance(value, str) and links.loads(value):
            yield path, f"{path[-1]}: pictures and styles are not loaded from addresses."


def _refusal(key: str, value: Any, path: tuple[str | int, ...]) -> str | None:
    if key in _REFUSED_KEYS:
        return _REFUSED_KEYS[key]
    if key in _EXPRESSION_KEYS and _holds_text_expression(value):
        return "text expressions are not accepted; use a field predicate"
    if key == "mark" and (value == "image" or (isinstance(value, dict) and value.get("type") == "image")):
        return "images are not loaded"
    if key == "from" and "transform" in path:
        return _REFUSED_KEYS["lookup"]
    if key == "scale" and any(name in path for name in _PAINT) and _shows_values_as_they_are(value):
        return "a column's values can't be colours; give the scale a range of colours"
    return None


def _shows_values_as_they_are(scale: Any) -> bool:
    """A scale that is left out on purpose, that changes nothing, or that reads its range from the data."""
    if not isinstance(scale, dict):
        return scale is None or scale is False
    return scale.get("type") == "identity" or isinstance(scale.get("range"), dict)


def _holds_text_expression(value: Any) -> bool:
    """A predicate may be text (an expression) at any depth of and, or, not."""
    if isinstance(value, str):
        return True
    if isinstance(value, list):
        return any(_holds_text_expression(item) for item in value)
    if isinstance(value, dict):
        return any(_holds_text_expression(value[name]) for name in ("and", "or", "not") if name in value)
    return False


def fields(spec: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The columns that encodings of the spec name, where no transform makes columns of its own."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), spec)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            if "transform" in value:
                continue
            if isinstance(value.get("field"), str) and "encoding" in path:
                yield (*path, "field"), value["field"]
            stack.extend(((*path, key), item) for key, item in value.items())
        elif isinstance(value, list):
            stack.extend(((*path, index), item) for index, item in enumerate(value))
