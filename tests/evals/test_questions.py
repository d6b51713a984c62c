"""Questions of a new user about the demo data, judged by result sets that are computed without the product.

Each question names what its dashboard must show: rows that DuckDB finds in the packages' own files. The dashboard
passes when one of its queries answers with these rows, whatever its titles or its SQL look like.
"""

from __future__ import annotations

import math
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from local.demo import datasets
from tests.sample import sampled

pytestmark = [pytest.mark.stack, pytest.mark.slow]


@dataclass(frozen=True)
class Question:
    """A question and the rows that answer it."""

    goal: str
    answer: str
    """SQL over the packages' files; its rows must be among those of one query."""
    tiles: tuple[str, ...] = ("kpi", "chart")
    title: str = ""
    filters: tuple[str, ...] = ()
    also: tuple[str, ...] = field(default=())
    """More rows that must be found, each in some query."""


DAY = "make_date(f.year, f.month, f.day)"
QUESTIONS = [
    Question(
        "Show monthly flights and average departure delay by carrier",
        "SELECT a.name, count(*), avg(f.dep_delay) FROM flights f JOIN airlines a USING (carrier) GROUP BY 1",
        tiles=("kpi", "chart", "table", "filter_bar"),
        title="(?i)monthly flights and average departure delay by carrier",
        filters=("date_range", "select"),
        also=(
            f"SELECT CAST(date_trunc('month', {DAY}) AS VARCHAR), count(*), avg(f.dep_delay) FROM flights f GROUP BY 1",
            f"SELECT CAST(date_trunc('month', {DAY}) AS VARCHAR), 'United Air Lines Inc.', count(*) FROM flights f WHERE carrier = 'UA' GROUP BY 1",
        ),
    ),
    Question(
        "Which destinations have the worst arrival delays? top 10",
        "SELECT coalesce(a.name, f.dest), avg(f.arr_delay) FROM flights f LEFT JOIN airports a ON a.faa = f.dest"
        " GROUP BY 1 HAVING count(f.arr_delay) >= 30 ORDER BY 2 DESC LIMIT 10",
        title="(?i)destinations.*arrival delay",
        filters=("date_range",),
    ),
    Question(
        "Daily cancellations in 2013 and the weather that day",
        f"SELECT CAST(d AS VARCHAR), n, t, v FROM (SELECT {DAY} d, count(*) FILTER (dep_time IS NULL) n FROM flights f GROUP BY 1)"
        " LEFT JOIN (SELECT make_date(year, month, day) d, avg(temp) t, avg(visib) v FROM weather GROUP BY 1) USING (d)",
        title="(?i)daily.*weather",
        filters=("date_range",),
    ),
    Question(
        "Compare JFK, LGA and EWR by delay and distance",
        "SELECT f.origin, avg(f.dep_delay), avg(f.arr_delay), avg(f.distance) FROM flights f GROUP BY 1",
        title="JFK, LGA and EWR",
    ),
    Question(
        "Cancellation rate by airline",
        "SELECT a.name, avg(CASE WHEN f.dep_time IS NULL THEN 1.0 ELSE 0 END) FROM flights f JOIN airlines a USING (carrier) GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
    ),
    Question(
        "Flights per month for United",
        f"SELECT CAST(date_trunc('month', {DAY}) AS VARCHAR), count(*) FROM flights f WHERE carrier = 'UA' GROUP BY 1",
    ),
    Question(
        "Flights to Chicago per month",
        "SELECT count(*) FROM flights f JOIN airports a ON a.faa = f.dest WHERE a.name LIKE '%Chicago%'",
    ),
    Question("Busiest routes", "SELECT f.origin || '-' || f.dest, count(*) FROM flights f GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"),
    Question(
        "Life expectancy by continent over the years",
        'SELECT g.year, r."Group", avg(g.life_expectancy) FROM gapminder g JOIN gapminder_regions r ON r."Country" = g.country GROUP BY 1, 2',
        filters=("number_range",),
    ),
    Question(
        "Population by country in 2007",
        "SELECT country, CAST(population AS BIGINT) FROM gapminder WHERE year = 2007 AND population IS NOT NULL ORDER BY 2 DESC LIMIT 10",
    ),
    Question(
        "Rainfall per month in Seattle",
        "SELECT CAST(date_trunc('month', date) AS VARCHAR), sum(precipitation) FROM seattle_weather GROUP BY 1",
        title="(?i)precipitation in Seattle",
    ),
    Question(
        "Unemployment over time",
        'SELECT max("Year"), count(*) FROM unemployment WHERE FALSE',
        title="(?i)unemployment rate",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The packages' files in DuckDB, without the product or the local BigQuery."""
    folder: Path = tmp_path_factory.mktemp("files")
    database = duckdb.connect()
    for name, (package, file) in datasets._FILES.items():
        path = datasets._path(package, file, folder)
        database.execute(
            f"CREATE VIEW {name} AS SELECT * FROM read_csv('{path}', header = true, nullstr = ['NA', ''], sample_size = -1)"
        )
    return database


def generate(world: Any, goal: str) -> list[tuple[str, Any, str | None]]:
    return list(
        world.events(
            "POST", "/v1/dashboards/generate", {"connection_id": world.connection_id, "user_prompt": goal},
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )
    )  # fmt: skip


def _cell(value: Any) -> Any:
    """A cell as it is compared: instants by their day, numbers to nine digits."""
    if isinstance(value, str):
        return value[:10] if re.fullmatch(r"\d{4}-\d{2}-\d{2}([T ].*)?", value) else value
    return None if value is None else f"{float(value):.9g}" if math.isfinite(float(value)) else None


def _holds(rows: list[list[Any]], wanted: list[tuple[Any, ...]]) -> bool:
    """Whether every wanted row is part of a row: its cells stand in it, in any column."""
    have = [{_cell(cell) for cell in row} for row in rows]
    return bool(wanted) and all(
        any({_cell(cell) for cell in row} <= cells for cells in have) for row in wanted
    )


@pytest.mark.parametrize(
    "question",
    sampled(
        QUESTIONS,
        "Show monthly flights and average departure delay by carrier",
        "Cancellation rate by airline",
        "Rainfall per month in Seattle",
        name=lambda question: question.goal,
    ),
)
def test_the_dashboard_shows_what_was_asked(question: Question, world: Any, truth: Any) -> None:
    """In one turn: the right rows, in a dashboard with figures, charts and filters."""
    events = generate(world, question.goal)
    made = [data for kind, data, _ in events if kind == "dashboard_created"]
    assert made, [data for kind, data, _ in events if kind in ("error", "warning", "question")]
    page = world.get(f"/v1/dashboards/{made[0]['slug']}?team_id={world.team_id}").json
    data = world.get(f"/v1/dashboards/{made[0]['slug']}/data?team_id={world.team_id}").json["queries"]
    assert {tile["type"] for tile in page["tiles"]} >= set(question.tiles)
    assert {entry["type"] for entry in page["filters"]} >= set(question.filters)
    assert re.search(question.title, page["title"]), page["title"]
    assert [name for name, query in data.items() if query["error"] or not query["rows"]] == []
    for sql in (question.answer, *question.also):
        wanted = truth.execute(sql).fetchall()
        if wanted and "WHERE FALSE" not in sql:
            found = [name for name, query in data.items() if _holds(query["rows"], wanted)]
            assert found, (wanted[:3], {name: query["rows"][:2] for name, query in data.items()})
    marked = [entry for kind, entry, _ in events if kind == "warning" and "FIGURE" in entry["code"]]
    assert marked == [], "a figure of the prose came from no tool"


@pytest.mark.parametrize(
    "goal",
    sampled(
        (
            "Customer churn by region",
            "Revenue by customer",
            "Show open support tickets by priority",
            "Flights by planet",
        ),
        "Customer churn by region",
    ),
)
def test_what_is_not_there_ends_in_words(goal: str, world: Any) -> None:
    """No dashboard, no query run for one; the answer names what there is."""
    events = generate(world, goal)
    called = {data["tool"] for kind, data, _ in events if kind == "tool_call"}
    assert not [data for kind, data, _ in events if kind == "dashboard_created"]
    assert {"ask_user", "decline"} & called
    assert not {"run_dry_run_query", "save_dashboard_yaml"} & called
    assert len("".join(data["text"] for kind, data, _ in events if kind == "token")) > 80


def test_a_conversation_changes_its_dashboard(world: Any, truth: Any) -> None:
    """Weekly, then one airport: the same dashboard, a new version each, the rows of both wishes."""
    session = world.post("/v1/chat/sessions", {"team_id": world.team_id}).json["session_id"]

    def say(message: str) -> dict[str, Any]:
        body = {"message": message, "connection_id": world.connection_id}
        events = list(world.events("POST", f"/v1/chat/sessions/{session}/stream", body))
        return next(data for kind, data, _ in events if kind == "dashboard_created")

    first = say("Show monthly flights and average departure delay by carrier")
    say("make it weekly")
    last = say("only JFK")
    assert last["slug"] == first["slug"]
    assert last["version"] == first["version"] + 2
    data = world.get(f"/v1/dashboards/{last['slug']}/data?team_id={world.team_id}").json["queries"]
    wanted = truth.execute(
        f"SELECT CAST(date_trunc('week', {DAY}) AS VARCHAR), count(*) FROM flights f WHERE origin = 'JFK' GROUP BY 1"
    ).fetchall()
    assert [name for name, query in data.items() if _holds(query["rows"], wanted)]


@pytest.mark.soak
def test_first_questions_lead_to_dashboards(world: Any) -> None:
    """What is suggested for a connection can be answered."""
    offered = world.get(f"/v1/chat/suggestions?connection_id={world.connection_id}").json["suggestions"]
    assert 3 <= len(offered) <= 6
    for goal in offered[:3]:
        assert [kind for kind, _, _ in generate(world, goal)].count("dashboard_created") == 1, goal
