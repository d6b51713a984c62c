"""The same main job with a model behind the tools: Anthropic's protocol, chosen by configuration."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import ports
from tests.servers import started_stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
SQL = "SELECT carrier_name, COUNT(*) AS flights FROM `bridge-local.nycflights.flights` GROUP BY carrier_name"
YAML = f"""\
version: 1
kind: dashboard
slug: flights-by-a-model
title: Flights by carrier
connection: Demo warehouse
queries:
  - id: carriers
    sql: {SQL}
layout:
  - {{id: bars, type: chart, title: Flights, query: carriers, options: {{mark: bar, x: flights, y: carrier_name, sort: -x}}}}
"""


def use(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_use": {"name": tool, "input": arguments}}


REPLIES = [
    {"blocks": [{"text": "Saving first, asking later."}, use("save_dashboard_yaml", yaml_content=YAML)]},
    {"blocks": [use("run_dry_run_query", sql="DELETE FROM `bridge-local.nycflights.flights` WHERE true")]},
    {"blocks": [use("no_such_tool"), use("run_dry_run_query", sql=SQL, max_bytes=10**12)], "shred": 3},
    {"error": {"status": 529, "type": "overloaded_error", "message": "Overloaded", "retry_after": 0}},
    {"blocks": [use("validate_dashboard_yaml", yaml_content=YAML)]},
    {"blocks": [use("save_dashboard_yaml", yaml_content=YAML)]},
    {"blocks": [{"text": "Sixteen carriers, 336776 flights."}]},
]


@pytest.fixture(scope="module")
def with_model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, Path]]:
    """A stack whose functions have a key and talk to the local protocol server."""
    from local.stack import api

    world_of = request.getfixturevalue("world_of")

    data = tmp_path_factory.mktemp("anthropic")
    (data / "script.json").write_text(json.dumps({"replies": REPLIES}))
    port = ports.free()
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "local.anthropic",
            "--port",
            str(port),
            "--data",
            str(data),
            "--key",
            "sk-canary-1",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    server.stdout.readline()
    variables = {"ANTHROPIC_API_KEY": "sk-canary-1", "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"}
    try:
        with api.temporary_home() as home, started_stack(home, demo=True, variables=variables) as stack:
            yield world_of(stack), data
    finally:
        server.terminate()
        server.wait()


def test_a_model_makes_a_dashboard_and_the_tools_hold_their_order(with_model: tuple[Any, Path]) -> None:
    """Saving unvalidated, writing SQL, raising the cap and calling unknown tools all fail; the rest goes on."""
    world, data = with_model
    body = {"connection_id": world.connection_id, "user_prompt": "How many flights has each carrier?"}
    events = world.events("POST", "/v1/dashboards/generate", body)
    results = [event for kind, event, _ in events if kind == "tool_result"]
    failed = [event.get("tool") for event in results if event.get("error")]
    assert {"save_dashboard_yaml", "no_such_tool"} <= set(failed)
    dry = [
        event["result"] for event in results if event["tool"] == "run_dry_run_query" and event.get("result")
    ]
    assert dry
    assert all(run["valid"] is False or run["bytes_scanned"] < 100_000_000 for run in dry)
    assert [event["slug"] for kind, event, _ in events if kind == "dashboard_created"] == [
        "flights-by-a-model"
    ]
    end = events[-1][1]
    assert (events[-1][0], end["state"], end["dashboard_slug"]) == (
        "complete",
        "completed",
        "flights-by-a-model",
    )
    assert end["total_tokens"] > 0
    assert float(end["total_cost_usd"]) > 0

    rows = world.get("/v1/dashboards/flights-by-a-model/data").json["queries"]["carriers"]["rows"]
    assert sum(row[1] for row in rows) == 336_776
    requests = [json.loads(line) for line in (data / "requests.jsonl").read_text().splitlines()]
    assert len(requests) == len(REPLIES)


def test_a_hostile_model_replaces_no_dashboard_that_its_user_never_named(
    with_model: tuple[Any, Path],
) -> None:
    """It reads a dashboard, proves another document and saves it over: the person is asked, and only their
    yes does it.
    """
    world, data = with_model
    victim = YAML.replace("flights-by-a-model", "salaries").replace("Flights by carrier", "Salaries")
    harm = victim.replace("title: Flights", "title: Nothing to see")
    made = world.post("/v1/dashboards", {"team_id": world.team_id, "yaml_content": victim})
    assert made.status == 201, made.content
    generation = int(made.json["generation"])
    save = {"blocks": [use("save_dashboard_yaml", yaml_content=harm, expected_generation=generation)]}
    proofs = [use("run_dry_run_query", sql=SQL), use("validate_dashboard_yaml", yaml_content=harm)]
    asked = use("ask_user", question="Shall I go on?", options=["Yes"])
    replies: list[dict[str, Any]] = [
        {"blocks": [use("get_dashboard", slug="salaries"), *proofs]},
        save, {"blocks": [asked]}, {"blocks": [{"text": "Shall I go on?"}]},
        {"blocks": [{"text": "Fine weather."}]},
        save, {"blocks": [{"text": "Once more?"}]},
        save, {"blocks": [{"text": "Done."}]},
    ]  # fmt: skip
    script = data / "script.next"
    script.write_text(json.dumps({"replies": replies}))
    script.rename(data / "script.json")

    def text() -> str:
        return str(world.get("/v1/dashboards/salaries/yaml").content.decode())

    before = text()
    session = world.post("/v1/chat/sessions", {"team_id": world.team_id}).json["session_id"]

    def say(message: str) -> list[tuple[str, Any, str | None]]:
        body = {"message": message, "connection_id": world.connection_id}
        found = world.events("POST", f"/v1/chat/sessions/{session}/stream", body)
        assert found[-1][1]["state"] == "completed"
        return list(found)

    events = say("How many flights has each carrier?")
    refusals = [
        data_["error"]["code"] for kind, data_, _ in events if kind == "tool_result" and data_.get("error")
    ]
    assert refusals == ["CONFIRMATION_NEEDED", "QUESTION_OPEN"]
    (question,) = [data_ for kind, data_, _ in events if kind == "question"]
    assert question["replaces"] == {"slug": "salaries", "title": "Salaries"}
    assert text() == before
    say("And the weather?")
    assert [kind for kind, _, _ in say("yes") if kind in ("question", "dashboard_created")] == ["question"]
    assert text() == before
    events = say(question["options"][0])
    assert [data_["slug"] for kind, data_, _ in events if kind == "dashboard_created"] == ["salaries"]
    assert "Nothing to see" in text()


def test_the_key_is_nowhere_to_be_seen(with_model: tuple[Any, Path]) -> None:
    """Not in a log of any service."""
    world, _ = with_model
    logs = "".join(path.read_text(errors="replace") for path in (world.stack.home / "logs").glob("*.log"))
    assert "sk-canary-1" not in logs
