"""What fields say of each other: ids, references, cycles, parameters, colours.

Every finding is reported, so an author (or a model) mends a document in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.dashboards.compiling import filters, templates
from shared.dashboards.document.model import (
    ChartOptions,
    ChartTile,
    Document,
    Filter,
    FilterBarTile,
    KpiTile,
    MultiSelectFilter,
    SelectFilter,
    TableTile,
    TextTile,
)
from shared.dashboards.document.problems import Problems, did_you_mean
from shared.platform.text import links
from shared.platform.text.safe_yaml import Path
from shared.warehouses.dialect import Dialect
from shared.warehouses.sql import text as sql_text

DATA_TILES = (KpiTile, ChartTile, TableTile)


@dataclass(frozen=True)
class _Said:
    """What the texts of a document's queries say, each read once."""

    refs: Mapping[str, list[str]]
    parameters: Mapping[str, list[str]]
    edges: Mapping[str, list[str]]
    dialect: Dialect

    @classmethod
    def of(cls, document: Document, dialect: Dialect) -> _Said:
        refs = {query.id: templates.refs(query.sql, dialect) for query in document.queries}
        return cls(
            refs,
            {query.id: sql_text.parameters(query.sql, dialect) for query in document.queries},
            _edges(document, refs),
            dialect,
        )


def check(document: Document, problems: Problems, dialect: Dialect) -> None:
    """Report every id that is not unique and every reference that does not resolve."""
    for name in ("filters", "queries", "layout", "alerts"):
        _unique(name, getattr(document, name), problems)
    queries = [query.id for query in document.queries]
    _check_filters(document, queries, problems)
    said = _Said.of(document, dialect)
    _check_queries(document, said, queries, problems)
    _check_tiles(document, said, queries, problems)
    for index, alert in enumerate(document.alerts):
        _resolves(("alerts", index, "query"), alert.query, queries, "query", problems)


def dependencies(document: Document, dialect: Dialect) -> dict[str, list[str]]:
    """For each query the ones it builds on or was told to wait for, as far as they exist."""
    return _edges(document, {query.id: templates.refs(query.sql, dialect) for query in document.queries})


def _edges(document: Document, refs: Mapping[str, list[str]]) -> dict[str, list[str]]:
    known = {query.id for query in document.queries}
    return {
        query.id: [
            name
            for name in dict.fromkeys([*refs[query.id], *query.depends_on])
            if name in known and name != query.id
        ]
        for query in document.queries
    }


def cycle(edges: dict[str, list[str]]) -> list[str] | None:
    """One cycle, as the path that closes it, or None."""
    done: set[str] = set()
    for start in edges:
        trail: list[str] = []
        stack = [(start, iter(edges[start]))] if start not in done else []
        trail = [start] if stack else []
        while stack:
            node, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                done.add(node)
                stack.pop()
                trail.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            elif following not in done:
                stack.append((following, iter(edges[following])))
                trail.append(following)
    return None


def _unique(name: str, items: Sequence[Any], problems: Problems) -> None:
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        if item.id in seen:
            problems.error(
                (name, index, "id"),
                f"The id {item.id} stands twice: it is {name}[{seen[item.id]}] too.",
                "Give each its own id.",
            )
        seen.setdefault(item.id, index)


def _resolves(path: Path, id: str, known: Iterable[str], noun: str, problems: Problems) -> bool:
    if id in (choices := list(known)):
        return True
    problems.error(path, f"There is no {noun} {id}.", partial(did_you_mean, id, choices))
    return False


def _check_filters(document: Document, queries: list[str], problems: Problems) -> None:
    owners: dict[str, str] = dict.fromkeys(filters.CLOCK, "the clock")
    for index, item in enumerate(document.filters):
        if item.id in filters.RESERVED:
            problems.error(
                ("filters", index, "id"), f"{item.id} has a meaning in addresses.", "Choose another id."
            )
        for name in filters.parameter_names(item):
            if name in owners and owners[name] != item.id:
                problems.error(
                    ("filters", index, "id"),
                    f"Its parameter @{name} belongs to {owners[name]} already.",
                    "Choose another id.",
                )
            owners.setdefault(name, item.id)
        for position, query in enumerate(item.applies_to):
            _resolves(("filters", index, "applies_to", position), query, queries, "query", problems)
        if isinstance(item, SelectFilter | MultiSelectFilter):
            _check_options(index, item, queries, problems)


def _check_options(
    index: int, item: SelectFilter | MultiSelectFilter, queries: list[str], problems: Problems
) -> None:
    path: Path = ("filters", index)
    if item.options_query is not None:
        _resolves((*path, "options_query"), item.options_query, queries, "query", problems)
    if bool(item.options) == (item.options_query is not None):
        problems.error(path, f"The filter {item.id} needs either options or options_query.")
    values = [option.value for option in item.options]
    wanted = item.default if isinstance(item.default, list) else [item.default] if item.default else []
    for value in wanted:
        if values and value not in values:
            problems.error(
                (*path, "default"),
                f"The default {value} is not one of the options.",
                partial(did_you_mean, value, values),
            )


def _check_queries(document: Document, said: _Said, queries: list[str], problems: Problems) -> None:
    offered = {name: item for item in document.filters for name in filters.parameter_names(item)}
    for index, query in enumerate(document.queries):
        path: Path = ("queries", index)
        for position, name in enumerate(query.depends_on):
            _resolves((*path, "depends_on", position), name, queries, "query", problems)
        for name in said.refs[query.id]:
            _resolves((*path, "sql"), name, queries, "query", problems)
        for text in templates.unknown(query.sql, said.dialect):
            problems.error(
                (*path, "sql"), f"{text[:60]} is not understood.", "Only {{ ref('query_id') }} is a template."
            )
        for name in said.parameters[query.id]:
            if name not in offered and name not in filters.CLOCK:
                problems.error(
                    (*path, "sql"),
                    f"@{name} belongs to no filter.",
                    partial(did_you_mean, name, [*offered, *filters.CLOCK]),
                )
        for name, item in offered.items():
            if query.id in item.applies_to and not _mentions(said, query.id, item):
                problems.warning(
                    (*path, "sql"),
                    f"The filter {item.id} applies to {query.id}, which does not use @{name}.",
                    f"Use @{name} in the SQL or leave {query.id} out of applies_to.",
                )
    edges = dict(said.edges)
    for query in document.queries:
        if query.id in said.refs[query.id]:
            edges[query.id] = [*edges[query.id], query.id]
    if (loop := cycle(edges)) is not None:
        at = queries.index(loop[0])
        problems.error(("queries", at), f"The queries build on each other in a circle: {' → '.join(loop)}.")


def _mentions(said: _Said, query: str, item: Filter) -> bool:
    names = set(filters.parameter_names(item))
    seen, stack = set[str](), [query]
    while stack:
        current = stack.pop()
        if current not in seen:
            seen.add(current)
            if not names.isdisjoint(said.parameters[current]):
                return True
            stack.extend(said.edges[current])
    return False


def _check_tiles(document: Document, said: _Said, queries: list[str], problems: Problems) -> None:
    used: set[str] = {alert.query for alert in document.alerts}
    used |= {name for names in said.edges.values() for name in names}
    used |= {getattr(item, "options_query", None) or "" for item in document.filters}
    dated = [item for item in document.filters if item.type == "date_range"]
    for index, tile in enumerate(document.layout):
        path: Path = ("layout", index)
        if isinstance(tile, DATA_TILES):
            used.add(tile.query)
            known = _resolves((*path, "query"), tile.query, queries, "query", problems)
            if isinstance(tile, KpiTile):
                _check_kpi(path, tile, said, queries, dated if known else None, problems)
                used.add((tile.options.sparkline.query if tile.options.sparkline else None) or "")
            elif isinstance(tile, ChartTile):
                _check_chart(path, tile.options, problems)
        elif isinstance(tile, TextTile):
            for address in links.refused(tile.options.markdown):
                problems.warning(
                    (*path, "options", "markdown"),
                    f"The link to {address[:80]} is shown as plain text.",
                    "Link to a path of this console (/dash/sales) or to an address that begins with https://.",
                )
        elif isinstance(tile, FilterBarTile):
            for position, name in enumerate(tile.options.filters):
                _resolves(
                    (*path, "options", "filters", position),
                    name,
                    [item.id for item in document.filters],
                    "filter",
                    problems,
                )
    for index, query in enumerate(document.queries):
        if query.id not in used:
            problems.warning(
                ("queries", index, "id"),
                f"Nothing shows the query {query.id}; it would still be run.",
                "Remove it.",
            )


def _check_kpi(
    path: Path,
    tile: KpiTile,
    said: _Said,
    queries: list[str],
    dated: Sequence[Filter] | None,
    problems: Problems,
) -> None:
    options = tile.options
    if options.sparkline is not None and options.sparkline.query is not None:
        _resolves(
            (*path, "options", "sparkline", "query"), options.sparkline.query, queries, "query", problems
        )
    shifts = options.compare.to if options.compare is not None else None
    if shifts and dated is not None and not any(_mentions(said, tile.query, item) for item in dated):
        problems.error(
            (*path, "options", "compare"),
            f"compare: {shifts} needs a date_range filter that the query {tile.query} uses.",
            "Use the filter's @…_start and @…_end in its WHERE, or compare with a target or a column.",
        )


def _check_chart(path: Path, options: ChartOptions, problems: Problems) -> None:
    from shared.dashboards.charts import grammar as charts
    from shared.dashboards.charts import raw_spec

    if options.vega_lite is not None:
        for place, message in raw_spec.refusals(options.vega_lite):
            problems.error((*path, "options", "vega_lite", *place), message)
        return
    for name, message in charts.missing(options):
        problems.error((*path, "options", name), message)
