"""The main job, end to end, as a client sees it: a goal becomes a dashboard with live, then cached data."""

import uuid
from typing import Any

import pytest

from tests.sample import sampled

pytestmark = pytest.mark.stack

GOALS = [
    "Show monthly flights and average departure delay by carrier",
    "Which destinations have the worst arrival delays? top 10",
    "Daily cancellations in 2013 and the weather that day",
    "Compare JFK, LGA and EWR by delay and distance",
]


def generate(world: Any, goal: str, key: str | None = None) -> list[tuple[str, Any, str | None]]:
    return list(
        world.events(
            "POST",
            "/v1/dashboards/generate",
            {"connection_id": world.connection_id, "user_prompt": goal},
            headers={"Idempotency-Key": key or str(uuid.uuid4())},
        )
    )


def of(events: list[tuple[str, Any, str | None]], kind: str) -> list[Any]:
    return [data for event, data, _ in events if event == kind]


@pytest.mark.parametrize("goal", sampled(GOALS, GOALS[1]))
def test_a_goal_becomes_a_dashboard_with_live_and_then_cached_data(goal: str, world: Any) -> None:
    """One turn: explored, dry-run, validated, saved; the data comes, and the second load from the cache."""
    events = generate(world, goal)
    assert events[0][0] == "turn_started"
    assert events[-1][0] == "complete"
    (made,) = of(events, "dashboard_created")
    calls = [data["tool"] for data in of(events, "tool_call")]
    assert (
        calls.index("run_dry_run_query")
        < calls.index("validate_dashboard_yaml")
        < calls.index("save_dashboard_yaml")
    )
    assert of(events, "complete")[-1]["dashboard_slug"] == made["slug"]

    page = world.get(f"/v1/dashboards/{made['slug']}?team_id={world.team_id}").json
    assert page["status"] == "ready"
    assert {tile["type"] for tile in page["tiles"]} >= {"kpi", "chart"}
    first = world.get(f"/v1/dashboards/{made['slug']}/data?team_id={world.team_id}").json
    assert all(query["error"] is None for query in first["queries"].values()), first["queries"]
    assert any(query["rows"] for query in first["queries"].values())
    second = world.get(f"/v1/dashboards/{made['slug']}/data?team_id={world.team_id}").json
    assert second["cached"] is True
    assert {name: query["rows"] for name, query in second["queries"].items()} == {
        name: query["rows"] for name, query in first["queries"].items()
    }


def test_the_same_question_gives_the_same_dashboard(world: Any) -> None:
    """Two conversations that ask the same get the same document, apart from its name."""
    documents = []
    for _ in range(2):
        (made,) = of(generate(world, GOALS[1]), "dashboard_created")
        text = world.get(f"/v1/dashboards/{made['slug']}/yaml?team_id={world.team_id}").content.decode()
        documents.append(
            "\n".join(
                line
                for line in text.splitlines()
                if not line.startswith(("slug:", "created_at:", "updated_at:"))
            )
        )
    assert documents[0] == documents[1]


def test_a_question_about_what_is_not_there_is_answered_honestly(world: Any) -> None:
    """No dashboard, no invented table: a clarification that says what there is."""
    events = generate(world, "Show customer churn and subscription revenue by region")
    assert of(events, "dashboard_created") == []
    assert "save_dashboard_yaml" not in [data["tool"] for data in of(events, "tool_call")]
    assert events[-1][0] == "complete"
    said = "".join(data["text"] for data in of(events, "token"))
    assert said.strip()


def test_a_repeated_generation_is_the_first_one(world: Any) -> None:
    """The same Idempotency-Key replays the turn: one dashboard, not two."""
    key = str(uuid.uuid4())
    first, second = generate(world, GOALS[3], key), generate(world, GOALS[3], key)
    assert of(first, "dashboard_created") == of(second, "dashboard_created")
    assert of(first, "turn_started")[0]["turn_id"] == of(second, "turn_started")[0]["turn_id"]
