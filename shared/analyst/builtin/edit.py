"""Change an existing dashboard by a sentence: "make it weekly", "only JFK", "drop the table", "top 20".

    get_dashboard ─► change the document ─► dry-run what changed ─► validate ─► save a new version ─► say what changed

The SQL is changed as a tree, so a dashboard that a person or another analyst wrote can be changed too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.analyst.builtin import (
    compose,
    decide,
    explore,
    narrate,
    ranges,
    repair,
    rewrite,
    roles,
    subject,
    timing,
    values,
    writing,
)
from shared.analyst.builtin import desk as desks
from shared.analyst.builtin import goal as goals
from shared.analyst.builtin.desk import Call, Desk
from shared.analyst.builtin.goal import Grain, Phrase
from shared.analyst.builtin.ranges import Span
from shared.analyst.builtin.subject import Subject
from shared.analyst.builtin.view import Table, View, read_table
from shared.warehouses.dialect import Dialect

_GRAIN_WORDS: dict[str, Grain] = {
    "hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter", "yearly": "year", "annual": "year",
    "hour": "hour", "day": "day", "week": "week", "month": "month", "quarter": "quarter", "year": "year",
}  # fmt: skip
_LEAD = r"(?:(?:please|now|and|then|ok|okay|can you|could you|i want(?: it)?|let's)[ ,]++)*"
_IT = r"(?:it|this|that|them|the (?:trend|chart|charts|dashboard|line|lines|graph))"
_GRAIN = re.compile(
    rf"^{_LEAD}(?:(?:make|turn|show|change|switch|set|use|do|have|group)\s++)?(?:{_IT}\s++)?(?:to\s++|into\s++|by\s++|per\s++|a\s++)?(hourly|daily|weekly|monthly|quarterly|yearly|annual|hour|day|week|month|quarter|year)(?:\s++(?:instead|please|view|steps?|grain|data|now|version))*[.!]?$",
    re.I,
)
_TOP = re.compile(
    rf"^{_LEAD}(?:(?:make|show|change|give|use|set|do)\s++)?(?:{_IT}\s++|me\s++)?(?:to\s++|the\s++|a\s++)?top\s++(\d{{1,2}}|100)(?:\s++\w+)?(?:\s++(?:instead|please))*[.!]?$",
    re.I,
)
_DROP = re.compile(
    rf"^{_LEAD}(?:drop|remove|delete|hide|lose|get rid of|take out|take away|without)\s++(?:the\s++|that\s++|this\s++)?(.+?)[.!]?$",
    re.I,
)
_RENAME = re.compile(
    rf"^{_LEAD}(?:rename|call|title|retitle|name)\s++{_IT}?\s*+(?:to|as)?\s*+[\"“]?(.+?)[\"”]?[.!]?$", re.I
)
_ONLY = re.compile(
    rf"^{_LEAD}(?:(?:show|make|keep|filter|restrict|limit)\s++)?(?:{_IT}\s++)?(?:to\s++|it\s++)?(only|just|without|except|excluding|not|for|filter(?:ed)? (?:to|by|on)|restrict(?:ed)? to)\s++(.+?)[.!]?$",
    re.I,
)
_ADD = re.compile(
    rf"^{_LEAD}(?:add|include|also show|also add|put in)\s++(?:a\s++|an\s++|the\s++)?(?:chart\s++(?:of|for|with)\s++|tile\s++(?:of|for)\s++|line\s++(?:of|for)\s++)?(.+?)[.!]?$",
    re.I,
)
_MARK = re.compile(
    rf"^{_LEAD}(?:make|turn|show|change|draw|use|switch)?\s*+(?:{_IT}\s++)?(?:(?:to|into|as|a|an|with)\s++)*(bars?|lines?|areas?|stacked bars?|points?|columns?)(?:\s++(?:chart|graph))?s?(?:\s++(?:instead|please))*[.!]?$",
    re.I,
)
_MARKS = {
    "bar": "bar",
    "column": "bar",
    "line": "line",
    "area": "area",
    "stacked bar": "stacked_bar",
    "point": "point",
}
MOST_WORDS, MOST_CHARACTERS = 12, 400
"""Of a change; what is longer is a goal of its own."""
MOST_NAMES = 20

Changed = tuple[dict[str, Any], list[str]]
"""A document, and what was changed in it."""


@dataclass(frozen=True)
class Wish:
    """One change."""

    kind: str
    text: str = ""
    grain: Grain | None = None
    count: int = 0
    span: Span | None = None
    without: bool = False


@dataclass(frozen=True)
class Current:
    """The dashboard that the conversation is about."""

    slug: str
    made_here: bool
    """Saved in this conversation, so that its queries have passed their dry runs in it."""


def current_dashboard(turn: desks.Turn, context: Mapping[str, str]) -> Current | None:
    """The dashboard saved last in the conversation, or the one that its context names."""
    for _, answer in reversed(desks.calls_before(turn, "save_dashboard_yaml")):
        if not answer.failed and answer.get("slug"):
            return Current(str(answer.get("slug")), True)
    return Current(context["dashboard"], False) if context.get("dashboard") else None


def read(text: str) -> Wish | None:
    """The change that a sentence asks for, or None where it is a goal of its own."""
    parts = text.split()
    if len(parts) > MOST_WORDS or len(text) > MOST_CHARACTERS:
        return None
    said = " ".join(parts)
    if found := _GRAIN.match(said):
        return Wish("grain", grain=_GRAIN_WORDS[found[1].lower()])
    if found := _TOP.match(said):
        return Wish("top", count=int(found[1]))
    if found := _MARK.match(said):
        return Wish("mark", text=_MARKS[re.sub(r"s$", "", found[1].lower())])
    if found := _RENAME.match(said):
        return Wish("rename", text=found[1].strip())
    if found := _ADD.match(said):
        return Wish("add", text=found[1].strip())
    bare = re.sub(
        rf"^{_LEAD}(?:only|just|for|show|zoom(?: in)?(?: (?:to|on|into))?)?\s*", "", said, flags=re.I
    ).strip(" .!")
    span, stretches = ranges.read(bare)
    if span is not None and stretches and sum(end - start for start, end in stretches) >= 0.8 * len(bare):
        return Wish("range", span=span, text=bare)
    if found := _DROP.match(said):
        return Wish("drop", text=found[1].strip())
    if found := _ONLY.match(said):
        return Wish(
            "only",
            text=found[2].strip(),
            without=found[1].lower() in ("without", "except", "excluding", "not"),
        )
    return None


def run(desk: Desk, wish: Wish, current: Current, dialect: Dialect) -> None:
    """Carry a change out. Raises Waiting for more, or Finished."""
    desk.say("I’ll change the dashboard.\n\n")
    known = desk.ask_one("get_dashboard", slug=current.slug)
    if known.failed or not isinstance(known.get("document"), dict):
        desk.finish(f"I could not read the dashboard {current.slug}: {known.error or 'it has no document'}")
    document = dict(known.get("document"))
    changed, what = _changed(desk, document, wish, dialect)
    if not what:
        desk.finish(_nothing(wish, document))
    before = {query["id"]: query["sql"] for query in document["queries"]}
    fresh = [
        query
        for query in changed["queries"]
        if not current.made_here or before.get(query["id"]) != query["sql"]
    ]
    filters = changed.get("filters", [])
    calls = [Call("run_dry_run_query", writing.dry_run_arguments(query, filters)) for query in fresh]
    if calls:
        desk.say(
            f"{len(calls)} of its {len(changed['queries'])} queries {'is' if len(calls) == 1 else 'are'} new; I dry-run {'it' if len(calls) == 1 else 'them'} first.\n\n"
        )
    answers = desk.ask(*calls)
    refused = next((answer for answer in answers if answer.failed or not answer.get("valid")), None)
    if refused is not None:
        desk.finish(
            f"With this change a query would be refused, so I left the dashboard as it was. {writing.reason(refused)}"
        )
    text = writing.render(changed)
    report = desk.ask_one("validate_dashboard_yaml", yaml_content=text)
    if report.failed or not report.get("valid"):
        problems = "; ".join(str(entry.get("message")) for entry in (report.get("errors") or [])[:3])
        desk.finish(
            f"The changed dashboard does not pass validation, so I left it as it was. {problems or report.error}"
        )
    saved = desk.ask_one(
        "save_dashboard_yaml", yaml_content=text, expected_generation=int(known.get("generation"))
    )
    if saved.failed:
        desk.finish(f"I could not save the change: {saved.error}")
    lines = "".join(f"\n- {line}" for line in what)
    desk.finish(
        f"Done: [{changed['title']}]({saved.get('preview_url') or '/dash/' + current.slug}) has a new version.{lines}"
    )


def _nothing(wish: Wish, document: Mapping[str, Any]) -> str:
    tiles = decide.listed([f"“{tile['title']}”" for tile in document["layout"] if tile.get("title")][:8])
    if wish.kind == "drop":
        return f"There is no tile like “{wish.text}” on this dashboard. It has {tiles}."
    if wish.kind == "grain":
        return f"Nothing on this dashboard can be shown by {wish.grain}: either it already is, or nothing runs over time."
    return "That changes nothing on this dashboard, so I left it as it was."


def _changed(desk: Desk, document: dict[str, Any], wish: Wish, dialect: Dialect) -> Changed:
    match wish.kind:
        case "grain":
            assert wish.grain is not None
            return rewrite.with_grain(document, wish.grain, dialect)
        case "top":
            return rewrite.with_top(document, wish.count, dialect)
        case "mark":
            return rewrite.with_mark(document, wish.text)
        case "rename":
            return {**document, "title": wish.text[:200]}, [
                f"Title: “{document['title']}” is now “{wish.text}”."
            ]
        case "drop":
            return _dropped(document, wish.text)
        case "range":
            return _ranged(desk, document, wish, dialect)
        case "only":
            return _restricted(desk, document, wish, dialect)
    return _added(desk, document, wish.text, dialect)


def _dropped(document: dict[str, Any], what: str) -> Changed:
    from shared.analyst.builtin import words

    said = [
        word
        for word in words.spoken(what)
        if word not in ("tile", "tiles", "the", "of", "all", "with", "chart", "charts", "by")
    ]
    kinds = {
        "table": "table",
        "tables": "table",
        "kpi": "kpi",
        "kpis": "kpi",
        "figures": "kpi",
        "numbers": "kpi",
        "filters": "filter_bar",
        "filter": "filter_bar",
        "text": "text",
    }
    kind = next((kinds[word] for word in words.spoken(what) if word in kinds), None)
    wanted = [
        index for index, tile in enumerate(document["layout"]) if kind is not None and tile["type"] == kind
    ]
    if kind is None:
        scored = [
            (words.overlap(said, [word for word in words.spoken(str(tile.get("title") or "")) if len(word) > 2]), -index)
            for index, tile in enumerate(document["layout"]) if tile.get("title")
        ]  # fmt: skip
        best = max(scored, default=(0.0, 0))
        wanted = [-best[1]] if said and best[0] >= 0.6 else []
    kept = [tile for index, tile in enumerate(document["layout"]) if index not in wanted]
    if not wanted or not any(tile["type"] in ("chart", "table", "kpi") for tile in kept):
        return document, []
    names = [
        document["layout"][index].get("title") or document["layout"][index]["type"].replace("_", " ")
        for index in wanted
    ]
    return repair.tidy({**document, "layout": kept}), [
        f"Removed: {decide.listed([f'“{name}”' for name in names])}."
    ]


def _ranged(desk: Desk, document: dict[str, Any], wish: Wish, dialect: Dialect) -> Changed:
    filters = document.get("filters", [])
    index = next(
        (
            place
            for place, entry in enumerate(filters)
            if entry["type"] == "date_range" or entry["id"] == "years"
        ),
        None,
    )
    if index is None or wish.span is None:
        return document, []
    found = _about(desk, document, dialect)
    time = roles.time_of(found.table)
    data = timing.data_period(time)
    if data is None:
        return document, []
    period = ranges.resolve(wish.span, data)
    if period.start > data.end or period.end < data.start:
        desk.finish(
            f"There is no data for {ranges.spoken(period)}: it runs from {data.start.isoformat()} to {data.end.isoformat()}. I left the dashboard as it was."
        )
    if filters[index]["type"] == "date_range":
        default: dict[str, Any] = {"start": period.start.isoformat(), "end": period.end.isoformat()}
    else:
        default = {"min": float(period.start.year), "max": float(period.end.year)}
    changed = [
        {**entry, "default": default} if place == index else entry for place, entry in enumerate(filters)
    ]
    line = f"It opens with {ranges.spoken(period)}."
    if wish.span.last or wish.span.this:
        line += f" That is counted back from the last date of the data, {data.end.isoformat()}."
    if ranges.reaches_before(wish.span, data):
        line += f" The data begins on {data.start.isoformat()}, so that is as far back as it goes."
    return rewrite.with_words(
        {**document, "filters": changed},
        r",? ?(?:since .+|(?<=, )[^,]*\b\d{4}\b[^,]*)$",
        f", {ranges.spoken(period)}",
    ), [line]


def _about(desk: Desk, document: Mapping[str, Any], dialect: Dialect) -> Subject:
    """The table that the dashboard's first chart reads, with the tables that it joins."""
    names = rewrite.tables(document, dialect)
    answers = desk.ask(*[Call("get_table_schema", {"table": name}) for name in names])
    tables = [read_table(answer.content) for answer in answers if not answer.failed and answer.get("columns")]
    if not tables:
        desk.finish("I could not read the tables of this dashboard; scan the connection again.")
    view = View(tuple(tables), effort=desk.effort)
    from shared.analyst.builtin import joins

    main = tables[0]
    return Subject(main, joins.find(view, main), (), (), 0.0)


def _restricted(desk: Desk, document: dict[str, Any], wish: Wish, dialect: Dialect) -> Changed:
    found = _about(desk, document, dialect)
    parts = [
        part.strip(" \"'“”") for part in re.split(r",|\band\b|\bor\b|&", wish.text) if part.strip(" \"'“”")
    ]
    phrases = [
        Phrase(tuple(part.lower().split()), part, "not" if wish.without else "value", proper=True)
        for part in parts
    ]
    if len(phrases) > MOST_NAMES:
        desk.finish(
            f"I can look for at most {MOST_NAMES} names at once, so I left the dashboard as it was. Which are the most important?"
        )
    places = values.places(found)
    searches = {
        (place.table.name, place.column.path, values.said(phrase)): Call(
            "profile_column", {"table": place.table.name, "column": place.column.path, "matching": values.said(phrase)}
        )
        for phrase in phrases for place in places
    }  # fmt: skip
    answers = desk.ask(*searches.values())
    matches = {key: explore._matches(answer) for key, answer in zip(searches, answers, strict=True)}
    restrictions, left = values.resolve(found, phrases, matches)
    if left or not restrictions:
        near = decide.listed([place.dimension.noun for place in places][:5])
        desk.finish(
            f"I can’t find {decide.listed([f'“{phrase.text}”' for phrase in left or phrases])} among the values ({near}), so I left the dashboard as it was."
        )
    changed, lines = document, []
    for restriction in restrictions:
        changed = rewrite.restricted(changed, found.table, restriction)
        said = decide.listed(list(restriction.values))
        lines.append(f"{'All but' if wish.without else 'Only'} {said} ({restriction.dimension.noun}).")
        changed = {
            **changed,
            "title": f"{changed['title']}, {'without' if wish.without else 'only'} {said}"[:200],
        }
    return changed, lines


def _added(desk: Desk, document: dict[str, Any], text: str, dialect: Dialect) -> Changed:
    goal = goals.read(text)
    found = _about(desk, document, dialect)
    names = rewrite.tables(document, dialect)
    answers = desk.ask(*[Call("get_table_schema", {"table": name}) for name in names])
    tables = [read_table(answer.content) for answer in answers if not answer.failed and answer.get("columns")]
    view = View(tuple(tables), effort=desk.effort)
    ranked = subject.rank(view, goal)
    if not ranked or not ranked[0].hits:
        desk.finish(
            f"I found nothing about “{text}” in the tables of this dashboard ({found.table.short}), so I left it as it was."
        )
    best, restrictions, left = explore.settle(desk, goal, ranked[0])
    if left:
        desk.finish(
            f"There is nothing called {decide.listed([f'“{phrase.text}”' for phrase in left])} in {best.table.short}, so I left the dashboard as it was."
        )
    plan = replace(decide.decide(best, goal, restrictions), choices=())
    if not any(entry["id"] in ("period", "years") for entry in document.get("filters", [])):
        plan = replace(plan, time=None, step=None, recipe="ranking" if plan.dimensions else "overview")
    made, _ = compose.compose(plan, document["connection"])
    charts = [tile for tile in made["layout"] if tile["type"] == "chart"][:1] or [
        tile for tile in made["layout"] if tile["type"] == "kpi"
    ][:1]
    if not charts:
        return document, []
    return rewrite.with_tile(document, made, charts[0]), [f"Added: “{charts[0]['title']}”."]


def shown(document: Mapping[str, Any]) -> str:
    """The tiles in a line."""
    return decide.listed([str(tile.get("title")) for tile in document["layout"] if tile.get("title")])


__all__ = ["Current", "Table", "Wish", "current_dashboard", "narrate", "read", "run", "shown"]
