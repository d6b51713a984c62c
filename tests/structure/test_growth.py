"""No work of a request grows faster than about n log n with what somebody sent.

Every parser, guard, redactor, reader and renderer reads inputs that double, in size and in depth. Lines of Python
that run are counted, not seconds, in our own modules and in the libraries beneath them. An input that a bound
refuses is cheap from there on, and that is fine. What a pattern does inside `re` can't be counted so: patterns have
tests of their own (test_patterns).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from shared.agents.conversation import log
from shared.agents.loop import figures, numbers
from shared.agents.protocol import bounds, history, redact, untrusted
from shared.agents.protocol.model import Message, Text, ToolResult, ToolUse
from shared.analyst.builtin import desk, edit, effort, ranges, subject, words
from shared.analyst.builtin import goal as goals
from shared.analyst.builtin.view import Column, Statistics, Table, View
from shared.dashboards import page, reading
from shared.dashboards.charts import raw_spec
from shared.dashboards.compiling import compiler, filters, lineage, templates
from shared.dashboards.document import ranges as date_ranges
from shared.dashboards.document.model import Refresh
from shared.dashboards.document.problems import did_you_mean
from shared.dashboards.document.shapes import DateRange
from shared.platform import settings
from shared.platform.edge.intake import validate_json
from shared.platform.edge.sse import Event
from shared.platform.errors import BridgeError
from shared.platform.text import names, safe_yaml, strict_json
from shared.warehouses import values
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.dialect import Dialect
from shared.warehouses.guard import guard
from shared.warehouses.postgres.dialect import POSTGRES
from shared.warehouses.sql import rewrites, text
from shared.warehouses.types import Kind

FIRST, DOUBLINGS = 4, 13
ENOUGH = 60_000
"""Lines after which an input is large enough to tell."""
NOISE = 20_000
"""Below this, what is done once outweighs what is done for each part."""
MOST_GROWTH = 3.0
"""Lines for twice the input: 2 and a little for n log n, 4 for the square, more for worse."""
HOPELESS = 3_000_000


class _Hopeless(BaseException):
    """Not to be caught by what is measured."""


def lines_of(work: Callable[[], Any]) -> int:
    """How many lines of Python run; a refusal is an answer like any other."""
    count = 0

    def step(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        if event == "line":
            count += 1
            if count > HOPELESS:
                raise _Hopeless
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        work()
    except (BridgeError, ValueError, effort.TooMuch):
        pass
    except _Hopeless:
        count = HOPELESS
    finally:
        sys.settrace(before)
    return count


@dataclass(frozen=True)
class Case:
    """Something that reads what people send, and an input of any size for it."""

    name: str
    work: Callable[[Any], Any]
    made: Callable[[int], Any]
    doublings: int = DOUBLINGS


def measured(case: Case) -> Iterator[tuple[int, int]]:
    """Parts of the input and lines that reading it takes, doubling until it is large enough to tell."""
    lines_of(lambda: case.work(case.made(2)))  # So that what is done once is done.
    for doubling in range(case.doublings):
        parts = FIRST << doubling
        given = case.made(parts)
        lines = lines_of(lambda: case.work(given))  # noqa: B023 - called at once
        yield parts, lines
        if lines > ENOUGH:
            return


# Text --------------------------------------------------------------------------------------------


def repeated(part: str, before: str = "", after: str = "") -> Callable[[int], str]:
    return lambda n: before + part * n + after


def nested(
    opened: str, closed: str, core: str = "1", before: str = "", after: str = ""
) -> Callable[[int], str]:
    return lambda n: before + opened * n + core + closed * n + after


def numbered(part: str, before: str = "", after: str = "") -> Callable[[int], str]:
    return lambda n: before + "".join(part.format(i) for i in range(n)) + after


def as_bytes(made: Callable[[int], str]) -> Callable[[int], bytes]:
    return lambda n: made(n).encode()


TEXTS = {
    "letters": repeated("a"), "spaces": repeated(" "), "words": repeated("word "), "digits": repeated("1"), "dots": repeated("."),
    "commas": repeated(","), "line breaks": repeated("\n"), "quotes": repeated("'"), "double quotes": repeated('"'),
    "back-ticks": repeated("`"), "escapes": repeated("\\'"), "comments": repeated("/*"), "dashes": repeated("--\n"),
    "braces": repeated("{{"), "references": repeated("{{ ref('a') }} "), "parameters": repeated("@p "), "tokens": repeated("eyJ-"),
    "dotted tokens": repeated("eyJabcdefgh."), "addresses": repeated("://a:b"), "begins": repeated("-----BEGIN "),
    "passwords": repeated("password = "), "keys": repeated("sk-"), "numbers": numbered("{}, "), "percentages": numbered("{}% "),
    "wide digits": repeated("٣"), "half pairs": repeated("\ud800"), "dates": repeated("2013-01-01 "), "since": repeated("since 2013 to "),
    "last": repeated("last 3000 years "), "top": repeated("top 10 "), "please": repeated("please, "), "names": numbered('"Name {}" '),
    "unknown words": numbered("blorp{0} zizzle{0} "), "fences": repeated("```"), "by": numbered("delay{0} by carrier{0} "),
}  # fmt: skip

# Documents ---------------------------------------------------------------------------------------

HEAD = "version: 1\nkind: dashboard\nslug: s\ntitle: T\nconnection: c\n"
QUERIES = "queries:\n  - {id: a, sql: SELECT 1}\n"
TILES = "layout:\n  - {id: t, type: table, query: a}\n"

YAML = {
    "unknown keys": numbered("key{}: 1\n", HEAD + QUERIES + TILES), "keys alone": numbered("key{}: 1\n"),
    "long unknown key": lambda n: HEAD + QUERIES + TILES + "k" * n + ": 1\n",
    "unknown keys of a tile": numbered("key{}: 1, ", HEAD + QUERIES + "layout:\n  - {", "id: t}\n"),
    "flow lists": nested("[", "]"), "flow mappings": nested("{a: ", "}"), "block lists": nested("- ", ""), "open lists": repeated("["),
    "open mappings": repeated("{"), "question marks": repeated("? "), "colons": repeated("a: "), "list": numbered("- a{}\n"),
    "anchors": repeated("&a "), "aliases": repeated("- *a\n"), "tags": repeated("!!str "), "documents": repeated("---\n"), "tabs": repeated("\t"),
    "comments": repeated("# c\n"), "long scalar": repeated("a", "k: "), "long text": repeated("\\n", 'k: "', '"'), "block text": repeated(" line\n", "k: |\n"),
    "folded text": repeated(" line\n", "k: >\n"), "base 60": repeated(":0", "k: 1"), "digits": repeated("9", "k: "), "hex": repeated("f", "k: 0x"),
    "plain over lines": repeated("  a\n", "k:\n"), "quoted over lines": repeated("\n", "k: 'a", "'"), "escapes": repeated("\\u0041", 'k: "', '"'),
    "tiles": numbered("  - {{id: t{}, type: table, query: a}}\n", HEAD + QUERIES + "layout:\n"),
    "tiles without a query": numbered("  - {{id: t{0}, type: table, query: b{0}}}\n", HEAD + QUERIES + "layout:\n"),
    "tiles at one place": numbered("  - {{id: t{}, type: section, position: {{x: 0, y: 0, w: 1, h: 1}}}}\n", HEAD + QUERIES + "layout:\n"),
    "queries": numbered("  - {{id: q{}, sql: SELECT 1}}\n", HEAD + TILES + "queries:\n"),
    "queries on queries": lambda n: HEAD + "layout: [{id: t, type: table, query: q0}]\nqueries:\n  - {id: q0, sql: SELECT 1}\n" + "".join(f"  - {{id: q{i}, sql: \"SELECT * FROM {{{{ ref('q{i - 1}') }}}}\"}}\n" for i in range(1, n)),
    "unknown parameters": numbered("@p{} ", HEAD + TILES + "queries:\n  - id: a\n    sql: SELECT ", "\n"),
    "unknown references": numbered("{{{{ ref('r{}') }}}} ", HEAD + TILES + "queries:\n  - id: a\n    sql: SELECT ", "\n"),
    "unknown templates": numbered("{{{{ x{} }}}} ", HEAD + TILES + "queries:\n  - id: a\n    sql: SELECT ", "\n"),
    "options": numbered("{}, ", HEAD + QUERIES + TILES + "filters:\n  - {id: f, type: select, options: [", "]}\n"),
    "filters of all queries": lambda n: HEAD + TILES + "queries:\n" + "".join(f"  - {{id: q{i}, sql: SELECT 1}}\n" for i in range(n)) + "filters:\n" + "".join(f"  - {{id: f{j}, type: search, applies_to: [{', '.join(f'q{i}' for i in range(n))}]}}\n" for j in range(min(n, 24))),
    "markdown": repeated("[a](//b) ", HEAD + QUERIES + "layout:\n  - id: t\n    type: text\n    options:\n      markdown: '", "'\n"),
    "raw spec": nested("{and: [", "]}", "{field: a}", HEAD + QUERIES + "layout:\n  - {id: c, type: chart, query: a, options: {vega_lite: {mark: bar, transform: [{filter: ", "}]}}}\n"),
    "wide raw spec": numbered("a{}: {{url: x}}, ", HEAD + QUERIES + "layout:\n  - {id: c, type: chart, query: a, options: {vega_lite: {mark: bar, ", "}}}\n"),
}  # fmt: skip


def compiled(text: str) -> None:
    """The whole way of a document: read, compiled, bound, laid out, drawn."""
    parsed = reading.parse(text)
    if parsed.document is None:
        return
    at = filters.Clock.at(datetime(2024, 1, 1, tzinfo=UTC), "UTC")
    prepared = compiler.prepare(parsed.document, dialect=BIGQUERY, project="p", allowed=None)
    compiler.bind(prepared, filters.read(parsed.document, {}, at), at, connection="c", generation=1)
    lineage.edges(prepared)
    page.build(parsed.document, {})
    reading.render(parsed.document)


# SQL ---------------------------------------------------------------------------------------------

CALLS = "STRUCT( SAFE.ABS( NET.HOST( ABS( DATE( TIMESTAMP( INT64( NUMERIC( STRING( ARRAY[ [ ( IF(a,1, COALESCE(1, JSON_ARRAY( f( UNNEST([1, "
CALLS += "CAST( STRUCT<a_INT64>( ARRAY<INT64>[ x->f( ARRAY(SELECT_ (SELECT_ EXISTS(SELECT_ a[OFFSET( a_IN( a=ANY( COUNT(DISTINCT_ FORMAT('', "
CALLS += "SUM(1)_OVER(PARTITION_BY_ SUM(1)_OVER(ORDER_BY_ EXTRACT(YEAR_FROM_ DATE_ADD(a,INTERVAL_ INTERVAL( AI.F( ML.F( HLL_COUNT.EXTRACT( MAP[ {a:"
PAIRS = {"(": ")", "[": "]", "{": "}"}


def _closed(opened: str) -> str:
    return "".join(
        PAIRS[sign]
        for sign in reversed(opened)
        if sign in PAIRS and opened.count(sign) > opened.count(PAIRS[sign])
    )


SQL: dict[str, Callable[[int], str]] = {
    **{f"{call.replace('_', ' ')} …": nested(call.replace("_", " "), _closed(call), "1", "SELECT ") for call in CALLS.split()},
    **{f"{call.replace('_', ' ')} open": repeated(call.replace("_", " "), "SELECT ") for call in ("STRUCT(", "SAFE.ABS(", "ARRAY[", "CASE_", "(", "ARRAY<", "STRUCT<a_")},
    **{f"many {call} …": repeated(f"{call * 12}1{_closed(call) * 12}, ", "SELECT ", "1") for call in ("STRUCT(", "SAFE.ABS(", "DATE(", "ARRAY[", "IF(a,1,", "(SELECT ")},
    "CASE": nested("CASE WHEN a THEN ", " END", "1", "SELECT "), "CASE of CASE": nested("CASE WHEN ", " THEN 1 END", "a", "SELECT "),
    "types in types": nested("ARRAY<", ">", "INT64", "SELECT CAST(a AS ", ")"), "STRUCT<": nested("STRUCT<a ", ">", "INT64", "SELECT CAST(a AS ", ")"),
    "typed elements": nested("ARRAY<INT64>[1][", "]", "1", "SELECT "), "typed texts": nested("STRUCT(", ") 'a'", "1", "SELECT "), "typed parameters": nested("DATE(", ") @a", "1", "SELECT "),
    "FROM subqueries": nested("(SELECT 1 FROM ", ")", "d.t", "SELECT 1 FROM "), "FROM brackets": nested("(", ")", "d.t", "SELECT 1 FROM "),
    "bracketed joins": nested("(", " JOIN d.t ON a)", "d.t", "SELECT 1 FROM "), "WITH in WITH": nested("WITH a AS (", ") SELECT 1", "SELECT 1"),
    "a WITH of many": lambda n: "WITH " + ", ".join(f"c{i} AS (SELECT 1 FROM c{max(0, i - 1)})" for i in range(n)) + " SELECT 1 FROM d.t",
    "one name in many": lambda n: "WITH c AS (SELECT 1) " + " UNION ALL ".join(["SELECT 1 FROM c"] * n),
    "unions": repeated(" UNION ALL SELECT 1", "SELECT 1"), "bracketed unions": nested("(", " UNION ALL SELECT 1)", "SELECT 1"),
    "joins": repeated(" JOIN d.t USING (a)", "SELECT 1 FROM d.t"), "commas": repeated(", d.t", "SELECT 1 FROM d.t"), "items": repeated(", t.items", "SELECT 1 FROM d.t AS t"),
    "AND": repeated(" AND b = 1", "SELECT a FROM d.t WHERE a"), "plus": repeated("+1", "SELECT 1"), "||": repeated(" || 'b'", "SELECT 'a'"),
    "columns": repeated("a, ", "SELECT ", "a FROM d.t"), "IN": repeated("1, ", "SELECT a FROM d.t WHERE a IN (", "1)"), "casts": repeated("::INT64", "SELECT a"),
    "dots": repeated(".b", "SELECT a"), "table dots": repeated(".b", "SELECT 1 FROM a"), "brackets": repeated("[1]", "SELECT a"), "calls on calls": repeated(".f(1)", "SELECT a.f(1)"),
    "pipes": repeated(" |> WHERE a", "FROM d.t"), "selecting pipes": repeated(" |> SELECT a", "FROM d.t"), "pivots": repeated(" PIVOT(SUM(a) FOR b IN (1))", "SELECT * FROM d.t"),
    "NOT": repeated("NOT ", "SELECT ", "a"), "minus": repeated("- ", "SELECT ", "1"), "INTERVAL": repeated("INTERVAL ", "SELECT ", "1 DAY"),
    "long INTERVAL": repeated(" ", "SELECT INTERVAL '", "'"), "digits of an INTERVAL": repeated("1", "SELECT INTERVAL '", "' DAY"), "comments": repeated("/*a*/", "SELECT ", "1"),
    "long text": repeated("a", "SELECT '", "'"), "escapes": repeated("\\\\", "SELECT '", "'"), "texts": repeated("'a' ", "SELECT "), "open text": repeated("a", "SELECT '"),
    "pattern": repeated("[ -\uffff]", "SELECT REGEXP_EXTRACT(a, r'", "')"), "JSON path": repeated(".a", "SELECT JSON_VALUE(a, '$", "')"), "JSON brackets": repeated("[0]", "SELECT JSON_VALUE(a, '$", "')"),
    "date format": repeated("%Y", "SELECT FORMAT_DATE('", "', a)"), "semicolons": repeated(";", "SELECT 1"), "statements": repeated("SELECT 1;"), "quoted type": nested("STRUCT(", ")", "1", "SELECT CAST(a AS `", "`)"),
    "clock": repeated("CURRENT_DATE(", "SELECT "), "clocks": repeated("CURRENT_DATE(), ", "SELECT ", "1"), "stars": repeated("t.*, ", "SELECT ", "1"), "parameters": repeated("@a + ", "SELECT ", "1"),
    "windows": repeated("SUM(a) OVER (PARTITION BY b ORDER BY c), ", "SELECT ", "1 FROM d.t"), "IGNORE NULLS": nested("FIRST_VALUE(", " IGNORE NULLS)", "1", "SELECT "),
    "lambdas": nested("ARRAY_TRANSFORM(a, x -> ", ")", "x", "SELECT "), "VALUES": nested("(VALUES ", ")", "1", "SELECT 1 FROM "), "qualified": repeated("d.t.a, ", "SELECT ", "1 FROM d.t"),
}  # fmt: skip


def checked(sql: str, dialect: Dialect = BIGQUERY) -> None:
    """The way of a statement: its clock bound, judged, fingerprinted, its columns traced."""
    bound = rewrites.trimmed(rewrites.bind_clock(sql, dialect), dialect)
    rewrites.with_common_tables(bound, [("c", "SELECT 1")], dialect)
    judged = guard.check(bound, dialect, allowed=None, project="p")
    lineage._columns(SimpleNamespace(tables=judged.tables, checked=judged))  # type: ignore[arg-type]


def texts_of_sql(sql: str) -> None:
    """What is read of a query's text without a parser."""
    for dialect in (BIGQUERY, POSTGRES):
        text.mask(sql, dialect)
        text.parameters(sql, dialect)
        templates.refs(sql, dialect)
        templates.unknown(sql, dialect)
        templates.replaced(sql, {"a": "b"}, dialect)


# Conversations -----------------------------------------------------------------------------------


def deep(n: int) -> Any:
    value: Any = 1
    for _ in range(min(n, 400)):
        value = {"a": [value]}
    return value


VALUES: dict[str, Callable[[int], Any]] = {
    "list": lambda n: {"rows": [[i, f"a{i}", i / 7] for i in range(n)]}, "objects": lambda n: [{"name": f"n{i}", "v": i} for i in range(n)],
    "members": lambda n: {f"k{i}": i for i in range(n)}, "deep": deep, "text": lambda n: {"a": "eyJ-" * n}, "cells": lambda n: {"rows": [["x" * 30, "12.5%"]] * n},
    "table": lambda n: {"columns": [{"name": "carrier"}, {"name": "share"}], "rows": [[f"C{i}", i / (n + 1)] for i in range(n)]},
}  # fmt: skip


def larger(made: Callable[[int], Any]) -> Callable[[int], Any]:
    """Beyond the size at which all steps of cutting are tried."""
    return lambda n: made(2_000 * n)


def talk(kind: str) -> Callable[[int], list[Message]]:
    def made(n: int) -> list[Message]:
        one = {
            "users": [Message("user", (Text("a"),))],
            "assistants": [Message("assistant", (Text("a"),))],
            "turns": [Message("user", (Text("a"),)), Message("assistant", (Text("b"),))],
            "calls": [Message("user", (Text("a"),)), Message("assistant", (ToolUse("1", "t", {}),))],
        }
        if kind == "one reply":
            calls = tuple(ToolUse(str(i), "t", {}) for i in range(n))
            results = tuple(ToolResult(str(i), {}) for i in range(n))
            return [Message("user", (Text("a"),)), Message("assistant", calls), Message("user", results)]
        return [Message("user", (Text("a"),)), *one[kind] * n]

    return made


def judged(results: Any) -> None:
    """An answer with figures of every kind, and one of each row's names."""
    numbers.unsupported("C1 and C2 grew by 12.3% to 1,234 of 99 million; 7.5% of all.", results=[results])


CATALOG = View(
    tuple(
        Table(f"p.d.{name}", BIGQUERY, "", 1000, 1, {}, tuple(Column(f"{name}_{part}", Kind.TEXT if index % 2 else Kind.INTEGER, f"The {part} of the {name}", index, Statistics(distinct=50)) for index, part in enumerate(("carrier", "delay", "origin", "amount", "status", "day"))))
        for name in ("flights", "orders", "visits", "weather")
    )
)  # fmt: skip


def understood(text: str) -> None:
    """What the analyst makes of a message of a person."""
    goal = goals.read(text)
    edit.read(text)
    ranges.read(text)
    words.spoken(text)
    subject.rank(View(CATALOG.tables, effort=effort.Effort()), goal)


def unquoted(text: str) -> Any:
    """A JSON text of a body."""
    return strict_json.loads(text.encode("utf-8", "surrogatepass"))


CASES = [
    *(Case(f"yaml / {name}", safe_yaml.load, made) for name, made in YAML.items()),
    *(Case(f"document / {name}", compiled, made) for name, made in YAML.items()),
    *(Case(f"sql / {name}", checked, made) for name, made in SQL.items()),
    *(Case(f"postgres / {name}", lambda sql: checked(sql, POSTGRES), made) for name, made in SQL.items()),
    *(Case(f"sql text / {name}", texts_of_sql, made) for name, made in TEXTS.items()),
    *(Case(f"redaction / {name}", redact.text, made) for name, made in TEXTS.items()),
    *(Case(f"figures / {name}", lambda text: numbers.unsupported(text, results=[{"a": text[:4000]}], said=text), made) for name, made in TEXTS.items()),
    *(Case(f"analyst / {name}", understood, made) for name, made in TEXTS.items()),
    *(Case(f"names / {name}", names.one_line, made) for name, made in TEXTS.items()),
    *(Case(f"nearest word / {name}", lambda word: did_you_mean(word, ["title", "layout", word[1:]]), made) for name, made in TEXTS.items()),
    *(Case(f"json / {name}", unquoted, made) for name, made in {
        "lists": nested("[", "]"), "objects": nested('{"a":', "}"), "open": repeated("["), "items": repeated("1,", "[", "1]"), "text": repeated("a", '"', '"'),
        "escapes": repeated("\\u0041", '"', '"'), "keys": numbered('"k{}":1,', "{", '"z":1}'), "one key": repeated('"a":1,', "{", '"a":1}'), "digits": repeated("9"), "backslashes": repeated("\\"), "spaces": repeated(" "),
    }.items()),
    *(Case(f"json written / {name}", strict_json.canonical, made) for name, made in VALUES.items()),
    *(Case(f"yaml written / {name}", safe_yaml.dump, made) for name, made in VALUES.items() if name != "deep"),
    *(Case(f"redacted result / {name}", lambda value: redact.tree(untrusted.clip(value)[0]), made) for name, made in VALUES.items()),
    *(Case(f"fitted result / {name}", untrusted.fit, larger(made), 5) for name, made in VALUES.items() if name != "deep"),
    *(Case(f"arguments / {name}", lambda value: bounds.excess({"a": value}), made) for name, made in VALUES.items()),
    *(Case(f"evidence / {name}", judged, made) for name, made in VALUES.items()),
    *(Case(f"rows / {name}", values.to_json, made) for name, made in VALUES.items() if name != "deep"),
    *(Case(f"event / {name}", lambda value: Event("a", value).encode(), made) for name, made in VALUES.items() if name != "deep"),
    *(Case(f"raw spec / {name}", lambda value: list(raw_spec.refusals({"mark": value})), made) for name, made in VALUES.items()),
    *(Case(f"conversation / {kind}", history.repaired, talk(kind)) for kind in ("users", "assistants", "turns", "calls", "one reply")),
    *(Case(f"turn / {kind}", desk.read, talk(kind)) for kind in ("users", "assistants", "turns", "calls", "one reply")),
    Case("log / lines", lambda lines: list(log._lines(lines, 1, log.Page([]))), lambda n: b"\n".join([b'{"role": "user"}', b"{"] * n)),
    Case("range / relative", lambda text: date_ranges.resolve(DateRange(relative=text), date(2024, 1, 1)), repeated("9", "last_9", "_years")),
    Case("schedule / digits", lambda text: Refresh(schedule=text), repeated("1", "* * * * ")), Case("schedule / lists", lambda text: Refresh(schedule=text), repeated("1,", "", "1 * * * *")),
    Case("schedule / fields", lambda text: Refresh(schedule=text), repeated("* ")), Case("body / unknown members", lambda raw: validate_json(Refresh, raw), lambda n: json.dumps({f"k{i}": 1 for i in range(n)}).encode()),
    Case("figures / zeros", lambda text: list(figures.read(text)), repeated("0", "1")),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in {
        "BRIDGE_ENV": "local",
        "BRIDGE_BASE_URL": "http://127.0.0.1:1",
        "BRIDGE_STEP_URL": "http://127.0.0.1:1/{name}",
        "GOOGLE_CLOUD_PROJECT": "bridge-local",
        "DATABASE_URL": "postgresql://a:b@127.0.0.1/c",
        "BRIDGE_BUCKET_PREFIX": "bridge-local",
        "BRIDGE_KMS_KEY": "projects/p/locations/l/keyRings/k/cryptoKeys/c",
        "BRIDGE_STEP_SERVICE_ACCOUNT": "a@b.c",
        "BRIDGE_EVENTS_SERVICE_ACCOUNT": "a@b.c",
    }.items():
        monkeypatch.setenv(name, value)
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_work_grows_no_faster_than_what_was_sent(case: Case) -> None:
    """Twice the input takes little more than twice the lines, at every size that tells."""
    found = list(measured(case))
    assert all(lines < HOPELESS for _, lines in found), f"{case.name}: {found}"
    growth = [
        (parts, round(after / before, 1))
        for (_, before), (parts, after) in pairwise(found)
        if after > NOISE and after > MOST_GROWTH * before
    ]
    assert growth == [], f"{case.name} grows too fast: {found}"


def test_the_count_tells_squares_and_powers_from_what_is_sent() -> None:
    """The measure itself: a loop in a loop and a doubling recursion are found, a sort is not."""

    def square(n: int) -> int:
        return sum(1 for i in range(n) for j in range(n) if (i, j))

    def doubling(n: int) -> int:
        return 1 if n <= 0 else doubling(n - 1) + doubling(n - 1)

    def sorting(n: int) -> list[int]:
        ordered: list[int] = []
        for one in range(n):
            ordered.append(-one)
        return sorted(ordered)

    for work, wanted in ((square, False), (doubling, False), (sorting, True)):
        case = Case(work.__name__, work, lambda n: n)
        assert_fits = True
        try:
            test_work_grows_no_faster_than_what_was_sent(case)
        except AssertionError:
            assert_fits = False
        assert assert_fits is wanted
