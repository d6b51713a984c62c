"""Change a dashboard's document and its SQL as trees. Every function answers the new document and what it changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from shared.analyst.builtin.goal import Grain
from shared.analyst.builtin.trees import Restriction, column_of, table_of
from shared.analyst.builtin.view import Table
from shared.warehouses.dialect import Dialect
from shared.warehouses.sql import parsing

_ADVERB = {
    "hour": "hourly",
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
    "quarter": "quarterly",
    "year": "yearly",
}
_STEPS = tuple(_ADVERB)

Document = dict[str, Any]


def tables(document: Mapping[str, Any], dialect: Dialect) -> list[str]:
    """The tables that the queries read, those of the first chart first."""
    charts = [tile["query"] for tile in document["layout"] if tile["type"] in ("chart", "table")]
    order = {id: index for index, id in reversed(list(enumerate(charts)))}
    queries = sorted(document["queries"], key=lambda query: order.get(query["id"], len(charts)))
    found: list[str] = []
    for query in queries:
        tree = _parse(query["sql"], dialect)
        common = {entry.alias for entry in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if table.db or table.name not in common:
                found.append(".".join(part for part in (table.catalog, table.db, table.name) if part))
    return list(dict.fromkeys(found))


def with_grain(document: Document, grain: Grain, dialect: Dialect) -> tuple[Document, list[str]]:
    """Show what runs over time by another step."""
    old: str | None = None
    queries = []
    for query in document["queries"]:
        tree = _parse(query["sql"], dialect)
        step = _step(tree)
        if step is None or step == grain:
            queries.append(query)
            continue
        old = old or step
        queries.append({**query, "id": query["id"], "sql": _regrained(tree, step, grain, dialect)})
    if old is None:
        return document, []
    changed = _renamed_fields({**document, "queries": queries}, old, grain)
    pairs = ((_ADVERB[old], _ADVERB[grain]), (old, grain))
    for was, now in pairs:
        changed = with_words(changed, rf"\b{was}\b", now)
        changed = with_words(changed, rf"\b{was.capitalize()}\b", now.capitalize())
    return changed, [f"Steps of time: {old} is now {grain}."]


def _step(tree: exp.Expression) -> str | None:
    """The step of time that a query is grouped by, told by the name of its column."""
    for select in tree.find_all(exp.Select):
        for shown in select.expressions:
            if shown.alias in _STEPS and select.find(exp.Group) is not None:
                return str(shown.alias)
    return next(
        (
            shown.alias_or_name
            for shown in tree.expressions
            if shown.alias_or_name in _STEPS and tree.args.get("group")
        ),
        None,
    )


def _regrained(tree: exp.Expression, old: str, grain: Grain, dialect: Dialect) -> str:
    def change(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Alias) and node.alias == old:
            inner = node.this
            if isinstance(inner, exp.Column) and inner.table in ("picked", "subject", "companion"):
                return exp.alias_(exp.column(grain, table=inner.table), grain)
            day = dialect.day_in(inner).copy()
            return exp.alias_(day if grain == "day" else dialect.start_of(grain, day), grain)
        if (
            isinstance(node, exp.Column)
            and node.name == old
            and node.table in ("picked", "subject", "companion", "leaders", "")
        ):
            return exp.column(grain, table=node.table or None)
        return node

    return dialect.write(tree.transform(change), pretty=True)


def _renamed_fields(document: Document, old: str, new: str) -> Document:
    """Tiles that show the step follow its new name."""

    def follow(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: follow(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [follow(inner, key) for inner in value]
        if isinstance(value, str) and key in (
            "x",
            "y",
            "field",
            "series",
            "sort",
            "facet",
            "column",
            "columns",
        ):
            return new if value == old else f"-{new}" if value == f"-{old}" else value
        return value

    layout = [
        {**tile, "options": follow(tile["options"])} if "options" in tile else tile
        for tile in document["layout"]
    ]
    return {**document, "layout": layout}


def with_top(document: Document, count: int, dialect: Dialect) -> tuple[Document, list[str]]:
    """Rank more or fewer members."""
    queries, lines = [], []
    ranked = {
        tile["query"]
        for tile in document["layout"]
        if tile["type"] == "chart" and tile.get("options", {}).get("mark") in ("bar", "stacked_bar")
    }
    old: set[int] = set()
    for query in document["queries"]:
        tree = _parse(query["sql"], dialect)
        limit = tree.args.get("limit")
        if (
            query["id"] in ranked
            and isinstance(limit, exp.Limit)
            and isinstance(limit.expression, exp.Literal)
            and 1 <= int(limit.expression.name) <= 100
            and int(limit.expression.name) != count
        ):
            old.add(int(limit.expression.name))
            tree.set("limit", exp.Limit(expression=exp.Literal.number(count)))
            queries.append({**query, "sql": dialect.write(tree, pretty=True)})
        else:
            queries.append(query)
    changed = {**document, "queries": queries}
    for was in sorted(old):
        changed = with_words(changed, rf"\b(The|the|Top|top) {was}\b(?! largest)", rf"\g<1> {count}")
        lines.append(f"Ranked: the top {was} are now the top {count}.")
    return changed, lines


def with_mark(document: Document, mark: str) -> tuple[Document, list[str]]:
    """Draw the first chart over time, or else the first chart, another way."""
    charts = [
        index
        for index, tile in enumerate(document["layout"])
        if tile["type"] == "chart" and "mark" in tile["options"]
    ]
    if not charts:
        return document, []
    chosen = next(
        (
            index
            for index in charts
            if document["layout"][index]["options"]["mark"] in ("line", "area", "bar", "stacked_bar")
        ),
        charts[0],
    )
    tile = document["layout"][chosen]
    if tile["options"]["mark"] == mark:
        return document, []
    layout = list(document["layout"])
    layout[chosen] = {**tile, "options": {**tile["options"], "mark": mark}}
    return {**document, "layout": layout}, [
        f"“{tile.get('title', tile['id'])}” is drawn as {mark.replace('_', ' ')} now."
    ]


def with_words(document: Document, pattern: str, words: str) -> Document:
    """Replace words in the title and in the tiles' titles and subtitles."""
    layout = []
    for tile in document["layout"]:
        texts = {
            name: re.sub(pattern, words, str(tile[name])) for name in ("title", "subtitle") if tile.get(name)
        }
        options = tile.get("options")
        if options and tile["type"] == "table" and options.get("columns"):
            columns = [
                {**entry, "title": re.sub(pattern, words, entry["title"])}
                if isinstance(entry, dict) and entry.get("title")
                else entry
                for entry in options["columns"]
            ]
            texts["options"] = {**options, "columns": columns}  # type: ignore[assignment]
        layout.append({**tile, **texts})
    return {**document, "title": re.sub(pattern, words, document["title"]), "layout": layout}


def restricted(document: Document, table: Table, restriction: Restriction) -> Document:
    """Only (or all but) some members, in every query that reads the table; choices stay complete."""
    dialect = table.dialect
    choices = {entry.get("options_query") for entry in document.get("filters", [])}
    queries = []
    for query in document["queries"]:
        tree = _parse(query["sql"], dialect)
        if query["id"] in choices:
            queries.append(query)
            continue
        for select in tree.find_all(exp.Select):
            source = select.args.get("from_") or select.args.get("from")
            read = source.this if source is not None else None
            if (
                isinstance(read, exp.Table)
                and ".".join(part for part in (read.catalog, read.db, read.name) if part) == table.name
            ):
                select.where(_condition(dialect, read.alias_or_name, restriction), copy=False)
        queries.append({**query, "sql": dialect.write(tree, pretty=True)})
    return {**document, "queries": queries}


def _condition(dialect: Dialect, alias: str, restriction: Restriction) -> exp.Expression:
    dimension = restriction.dimension
    members = [exp.Literal.string(value) for value in restriction.values]
    own = column_of(dialect, alias, dimension.column)
    if dimension.uses_lookup and dimension.lookup is not None and dimension.field is not None:
        keys = exp.select(column_of(dialect, "named", dimension.lookup.key)).from_(
            table_of(dimension.lookup.table, "named")
        )
        keys = keys.where(exp.In(this=column_of(dialect, "named", dimension.field), expressions=members))
        test: exp.Expression = exp.In(this=own, query=exp.Subquery(this=keys))
    else:
        test = (
            exp.EQ(this=own, expression=members[0])
            if len(members) == 1
            else exp.In(this=own, expressions=members)
        )
    return exp.Not(this=exp.paren(test)) if restriction.operator == "not_in" else test


def with_tile(document: Document, made: Document, tile: dict[str, Any]) -> Document:
    """The document with one tile of another and the query that it needs, under names that are free."""
    source = next(query for query in made["queries"] if query["id"] == tile["query"])
    same = next((query["id"] for query in document["queries"] if query["sql"] == source["sql"]), None)
    query_id = same or _free(source["id"], {query["id"] for query in document["queries"]})
    options = {name: value for name, value in tile["options"].items() if name not in ("sparkline", "compare")}
    added = {
        **tile,
        "id": _free(tile["id"], {entry["id"] for entry in document["layout"]}),
        "query": query_id,
        "options": options,
    }
    place = next(
        (index for index, entry in enumerate(document["layout"]) if entry["type"] == "table"),
        len(document["layout"]),
    )
    layout = [*document["layout"][:place], added, *document["layout"][place:]]
    queries = document["queries"] if same else [*document["queries"], {**source, "id": query_id}]
    return {**document, "queries": queries, "layout": layout}


def _free(name: str, taken: set[str]) -> str:
    return (
        name
        if name not in taken
        else next(f"{name[:56]}_{n}" for n in range(2, 99) if f"{name[:56]}_{n}" not in taken)
    )


def _parse(text: str, dialect: Dialect) -> Any:
    return dialect.adopted(parsing.statement(text, dialect))
