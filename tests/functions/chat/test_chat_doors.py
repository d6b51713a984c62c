"""Conversations as a client meets them: over HTTP, through the gateway, with the built-in analyst."""

import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from local.patience import Patience

pytestmark = [pytest.mark.stack, pytest.mark.slow]

QUESTION = "Show monthly flights and average departure delay by carrier"


@pytest.fixture
def session(world: Any) -> str:
    """A conversation of the demo team's admin."""
    made = world.post("/v1/chat/sessions", {"team_id": world.team_id})
    assert made.status == 201, made.content
    return str(made.json["session_id"])


def test_a_session_begins_empty_and_is_the_current_one(world: Any, session: str) -> None:
    """201 with its pointer into the lake; then it is the newest."""
    manifest = world.get(f"/v1/chat/sessions/{session}").json
    assert manifest["gcs_path"].endswith(f"-sessions/{session}/messages-0001.jsonl")
    assert (manifest["status"], manifest["total_tokens"], manifest["total_cost_usd"]) == ("active", 0, 0)
    assert world.get("/v1/chat/sessions/current").json["session_id"] == session
    assert world.get("/v1/chat/sessions").json["sessions"][0]["session_id"] == session
    assert world.get(f"/v1/chat/sessions/{session}/messages").json == {
        "messages": [], "total_count": 0, "has_more": False, "warnings": [],
    }  # fmt: skip


def test_a_repeated_creation_makes_one_session(world: Any) -> None:
    """The same Idempotency-Key answers the same session."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"team_id": world.team_id}
    first, second = (world.post("/v1/chat/sessions", body, headers=key) for _ in range(2))
    assert first.json == second.json


def test_the_tools_of_a_session_are_the_words_that_were_sent(world: Any) -> None:
    """Also a word that a database might take for nothing, and the list of conversations can be read after it."""
    made = world.post("/v1/chat/sessions", {"team_id": world.team_id, "tools": ["null", "search_catalog"]})
    assert made.status == 201, made.content
    assert made.json["tools"] == ["null", "search_catalog"]
    assert world.get(f"/v1/chat/sessions/{made.json['session_id']}").json["tools"] == [
        "null",
        "search_catalog",
    ]
    assert world.get("/v1/chat/sessions").status == 200


def test_an_archived_session_is_not_current_and_takes_no_message(world: Any, session: str) -> None:
    """It stays readable."""
    assert world.post(f"/v1/chat/sessions/{session}/archive").status == 204
    current = world.get("/v1/chat/sessions/current")
    assert current.status == 404 or current.json["session_id"] != session
    assert world.get(f"/v1/chat/sessions/{session}").json["status"] == "archived"
    body = {"message": "hello", "connection_id": world.connection_id}
    refused = world.post(f"/v1/chat/sessions/{session}/stream", body)
    assert (refused.status, refused.error["code"]) == (409, "SESSION_ARCHIVED")


def test_a_deleted_session_is_gone(world: Any, session: str) -> None:
    """204, then 404 everywhere, twice."""
    assert world.delete(f"/v1/chat/sessions/{session}").status == 204
    for answer in (
        world.delete(f"/v1/chat/sessions/{session}"),
        world.get(f"/v1/chat/sessions/{session}"),
        world.get(f"/v1/chat/sessions/{session}/messages"),
        world.post(f"/v1/chat/sessions/{session}/cancel"),
    ):
        assert answer.status == 404


def test_a_turn_is_streamed_and_can_be_heard_again(world: Any, session: str) -> None:
    """From turn_started to complete with growing ids; Last-Event-ID gives exactly the rest."""
    body = {"message": QUESTION, "connection_id": world.connection_id}
    events = world.events("POST", f"/v1/chat/sessions/{session}/stream", body)
    assert (events[0][0], events[-1][0]) == ("turn_started", "complete")
    ids = [int(id) for _, _, id in events]
    assert ids == sorted(set(ids))
    path = f"/v1/chat/sessions/{session}/turns/{events[0][1]['turn_id']}/events"
    for seen in (0, len(events) // 2, len(events) - 1):
        headers = {"Last-Event-ID": str(ids[seen - 1])} if seen else {}
        assert world.events("GET", path, headers=headers) == events[seen:]
    log = world.get(f"/v1/chat/sessions/{session}/messages?limit=1000").json
    assert log["messages"][-1]["text"] == QUESTION
    assert log["messages"][0]["id"] == events[-1][1]["message_id"]


def test_a_client_that_is_cut_off_comes_back_to_the_same_turn(world: Any, session: str) -> None:
    """It read three events and hung up; by GET it hears the others, and no second turn was made."""
    body = {"message": QUESTION, "connection_id": world.connection_id}
    stream = world.stream("POST", f"/v1/chat/sessions/{session}/stream", body)
    heard = [next(stream) for _ in range(3)]
    stream.close()
    path = f"/v1/chat/sessions/{session}/turns/{heard[0][1]['turn_id']}/events"
    rest = world.events("GET", path, headers={"Last-Event-ID": str(heard[-1][2])})
    assert rest[-1][0] == "complete"
    assert int(rest[0][2]) == int(heard[-1][2]) + 1
    assert world.get(f"/v1/chat/sessions/{session}/messages?role=user").json["total_count"] == 1


def test_a_message_during_a_running_turn_is_refused(world: Any, session: str) -> None:
    """409 TURN_IN_PROGRESS with Retry-After, and nothing is written; afterwards the session answers again."""
    import pg8000.native

    url = urlsplit(world.stack.env["DATABASE_URL"])
    database = pg8000.native.Connection(
        url.username or "",
        host=url.hostname or "",
        port=url.port or 0,
        database=url.path[1:],
        password=url.password,
    )
    database.run("SELECT set_config('bridge.teams', :team, false)", team=world.team_id)
    turn = str(uuid.uuid4())
    database.run(
        "INSERT INTO turns (id, team_id, session_id, user_id, ask_sha256, owner, lease_until)"
        " SELECT :turn, team_id, id, user_id, '', :turn, now() + interval '1 minute' FROM sessions WHERE id = :session",
        turn=turn,
        session=session,
    )
    body = {"message": QUESTION, "connection_id": world.connection_id}
    refused = world.post(f"/v1/chat/sessions/{session}/stream", body)
    assert (refused.status, refused.error["code"], refused.error["retryable"]) == (
        409,
        "TURN_IN_PROGRESS",
        True,
    )
    assert int(refused.headers["Retry-After"]) >= 1
    database.run("DELETE FROM turns WHERE id = :turn", turn=turn)
    database.close()
    assert world.events("POST", f"/v1/chat/sessions/{session}/stream", body)[-1][0] == "complete"


def test_a_stranger_meets_nothing_but_404(world: Any, session: str) -> None:
    """Every door of a session answers another person as if it did not exist."""
    stranger = world.person("stranger")
    world.team(stranger)
    turn = uuid.uuid4()
    for method, path, body in (
        ("GET", f"/v1/chat/sessions/{session}", None),
        ("GET", f"/v1/chat/sessions/{session}/messages", None),
        ("GET", f"/v1/chat/sessions/{session}/turns/{turn}/events", None),
        ("POST", f"/v1/chat/sessions/{session}/cancel", {}),
        ("POST", f"/v1/chat/sessions/{session}/archive", {}),
        ("DELETE", f"/v1/chat/sessions/{session}", None),
        ("POST", f"/v1/chat/sessions/{session}/stream", {"message": "hello"}),
    ):
        assert world.request(method, path, body, as_=stranger).status == 404, path
        assert world.request(method, path, body, as_=None).status == 401, path


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"provider": "unheard-of"}, "provider"),
        ({"provider": "anthropic"}, "provider"),
        ({"provider": "builtin", "model": "gpt"}, "model"),
        ({"tools": ["DROP TABLE"]}, "tools.0"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_session_that_cannot_be_is_refused(world: Any, body: dict[str, Any], field: str) -> None:
    """400 that names the field."""
    answer = world.post("/v1/chat/sessions", body | {"team_id": world.team_id})
    assert (answer.status, answer.error["field"]) == (400, field)


def test_pages_of_sessions_follow_each_other(world: Any) -> None:
    """Newest first, no session twice, none left out."""
    made = [world.post("/v1/chat/sessions", {"team_id": world.team_id}).json["session_id"] for _ in range(5)]
    found: list[str] = []
    cursor = ""
    while True:
        page = world.get(f"/v1/chat/sessions?limit=2&status=active{cursor}").json
        found += [line["session_id"] for line in page["sessions"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found[:5] == made[::-1]
    assert len(found) == len(set(found))


def test_a_turn_survives_the_death_of_everything(world: Any, session: str) -> None:
    """SIGKILL for every process in the middle of a turn; after the restart the turn ends with its dashboard."""
    body = {
        "message": "Which destinations have the worst arrival delays? top 10",
        "connection_id": world.connection_id,
    }
    heard = []
    for event in world.stream("POST", f"/v1/chat/sessions/{session}/stream", body):
        heard.append(event)
        if event[0] == "tool_result":
            break
    world.stack.crash()
    world.stack.start()
    world.url = world.stack.url
    path = f"/v1/chat/sessions/{session}/turns/{heard[0][1]['turn_id']}/events"
    supply = Patience(90)
    while heard[-1][0] != "complete":
        assert not supply.over(), heard[-1]
        try:
            for event in world.stream("GET", path, headers={"Last-Event-ID": str(heard[-1][2])}):
                heard.append(event)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            time.sleep(0.5)  # As a browser's EventSource does.
    assert heard[-1][1]["state"] == "completed"
    slug = heard[-1][1]["dashboard_slug"]
    assert world.get(f"/v1/dashboards/{slug}?team_id={world.team_id}").status == 200
    ids = [int(id) for _, _, id in heard]
    assert ids == sorted(set(ids))
    log = world.get(f"/v1/chat/sessions/{session}/messages?limit=1000").json
    assert sum(line["role"] == "user" for line in log["messages"]) == 1
    assert len({line["id"] for line in log["messages"]}) == log["total_count"]
