"""What the edge refuses, repeats and promises, called as functions-framework calls it."""

import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, request
from pydantic import BaseModel, ConfigDict
from werkzeug.test import Client, TestResponse

from local.patience import until
from shared.platform.edge import Call, Event, Reply, auth, created, http, repeats, sse
from shared.platform.errors import Conflict
from shared.platform.ids import UserId, new_id
from shared.platform.leases.contract import Terms
from shared.platform.paging import Query
from shared.platform.postgres import pool
from shared.platform.postgres import pool as pg
from tests.apart import Apart

pytestmark = pytest.mark.slow


class Note(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    team_id: str
    text: str
    size: int = 1


runs: list[str] = []


@http("POST", "/v1/notes", role="member", body=Note, once=True, max_body=2048)
def add_note(call: Call, note: Note) -> dict[str, Any]:
    if note.text == "slow":
        time.sleep(0.5)
    if note.text == "slower":
        stay = threading.Event()
        stays.append(stay)
        entered.release()
        stay.wait()
    if note.text == "refused":
        raise Conflict("Not today.", field="text", reason="refused")
    if note.text == "broken":
        raise RuntimeError("postgres://user:secret@host")
    runs.append(note.text)
    return created({"id": call.new_id(), "text": note.text})  # type: ignore[no-any-return]


@http("GET", "/v1/notes/{note_id}", role="user")
def get_note(call: Call) -> Reply:
    return Reply({"id": call.path["note_id"]}, etag='"v1"')


class Search(Query):
    """A query."""

    text: str


@http("GET", "/v1/notes", role="user", query=Search)
def list_notes(call: Call, search: Search) -> dict[str, Any]:
    with pg.transaction() as tx:
        return tx.one("SELECT :text::text AS text, :user::uuid AS by", text=search.text, user=call.user)


@http("POST", "/v1/notes/copies", role="user", query=Search, once=True, status=201)
def copy_note(_call: Call, search: Search) -> dict[str, Any]:
    return created({"text": search.text})  # type: ignore[no-any-return]


@http("GET", "/v1/notes/by-name/{name}", role="user")
def find_note(call: Call) -> dict[str, Any]:
    with pg.transaction() as tx:
        return tx.one("SELECT :name::text AS name", name=call.path["name"])


@http("DELETE", "/v1/teams/{team_id}", role="admin")
def delete_team(call: Call) -> None:
    runs.append(call.team)


@http("PUT", "/v1/ops/{team_id}", role="platform_admin", body=Note)
def operate(call: Call, note: Note) -> dict[str, Any]:
    runs.append(f"{call.path['team_id']} {note.text}")
    return {"by": call.who.email}


@sse("POST", "/v1/streams", role="user")
def stream(call: Call) -> Iterator[Event]:
    yield Event("token", {"text": "a\nevent: forged\ndata: {}"}, id="1")
    yield Event("complete", {"user": call.user}, id="2")


NOTE = new_id()
left = threading.Event()
entered, stays = threading.Semaphore(0), list[threading.Event]()


@http("PUT", "/v1/notes/{note_id}", role="user", body=Note, once=True)
def touch_note(call: Call, note: Note) -> Reply:
    runs.append(call.path["note_id"])
    return Reply({"text": note.text}, 503 if len(runs) == 1 else 200)


@sse("GET", "/v1/streams/{stream_id}/endless", role="user")
def endless(call: Call) -> Iterator[Event | None]:
    try:
        yield Event("token", {"text": "first"})
        yield Event("token", {"text": "second"})
        while True:
            time.sleep(0.01)
            yield None
    finally:
        left.set()


def client(entry: Callable[[Any], Any]) -> Client:
    """The function behind a real WSGI application, at every path and method, as in production."""
    app = Flask("test")
    app.add_url_rule(
        "/",
        "root",
        lambda: entry(request),
        methods=["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"],
    )
    app.add_url_rule(
        "/<path:path>",
        "path",
        lambda path: entry(request),
        methods=["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"],
    )
    return app.test_client()


@pytest.fixture
def token(two_teams: dict[str, Any]) -> str:
    """An access token of our team's admin."""
    user = UserId(two_teams["ours"]["user"])
    with pg.transaction() as tx:
        return auth.issue_token(tx, id=new_id(), user=user, name="test", scopes=("full",), expires_at=None)


def bearer(token: str, **more: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def problem(response: TestResponse) -> dict[str, Any]:
    return dict(response.get_json()["error"])


def test_without_a_credential_nothing_is_parsed(directory: dict[str, str]) -> None:
    """A stranger gets 401 even for junk, and the envelope carries the caller's correlation id."""
    response = client(add_note).post("/v1/notes", data=b"{junk", headers={"X-Correlation-Id": "caller-1234"})
    assert response.status_code == 401
    assert problem(response)["code"] == "UNAUTHENTICATED"
    assert problem(response)["correlation_id"] == "caller-1234" == response.headers["X-Correlation-Id"]
    assert "bearer" in response.headers["WWW-Authenticate"].lower()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", None),
        (b'{"team_id": "x", "text": "a", "text": "b"}', None),
        (b'{"team_id": "x", "text": NaN}', None),
        (b'{"team_id": "x", "text": "\\ud800"}', None),
        (b"\xff\xfe", None),
        (b"[" * 100 + b"]" * 100, None),
        (b'{"team_id": "x", "text": "a", "extra": 1}', "extra"),
        (b'{"team_id": "x", "text": "a", "size": "1"}', "size"),
        (b'{"team_id": "x"}', "text"),
    ],
)
def test_junk_is_refused_with_the_field_and_the_reason(token: str, body: bytes, field: str | None) -> None:
    """Malformed JSON, unknown keys and wrong types are 400 in our envelope."""
    response = client(add_note).post(
        "/v1/notes", data=body, headers=bearer(token, Content_Type="application/json")
    )
    assert response.status_code == 400
    assert problem(response)["code"] in ("MALFORMED_JSON", "VALIDATION_ERROR")
    assert problem(response)["reason"]
    if field is not None:
        assert problem(response)["field"] == field


def test_a_body_of_another_type_or_size_is_refused(token: str) -> None:
    """415 for a form, 413 for a body above the declared size, also for one that does not say its length."""
    assert client(add_note).post("/v1/notes", data={"a": "b"}, headers=bearer(token)).status_code == 415
    large = json.dumps({"team_id": "x", "text": "a" * 4000}).encode()
    headers = bearer(token, Content_Type="application/json")
    response = client(add_note).post("/v1/notes", data=large, headers=headers)
    assert response.status_code == 413
    assert problem(response)["details"] == {"max_bytes": 2048}
    chunked = client(add_note).post(
        "/v1/notes",
        input_stream=io.BytesIO(large),
        headers=headers,
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    assert (chunked.status_code, problem(chunked)["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_another_teams_id_answers_exactly_like_an_id_that_does_not_exist(
    token: str, two_teams: dict[str, Any]
) -> None:
    """The tenant comes from the credential: a body can only choose among the caller's own teams."""
    answers = []
    for team in (two_teams["theirs"]["team"], new_id()):
        response = client(add_note).post(
            "/v1/notes", json={"team_id": team, "text": "x"}, headers=bearer(token)
        )
        found = response.get_json()
        for name in ("correlation_id", "trace_id"):
            found["error"].pop(name)
        answers.append((response.status_code, found))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_a_member_may_not_do_what_an_admin_may(token: str, two_teams: dict[str, Any], owner: Any) -> None:
    """A lesser role is told so with 403; the change does not happen."""
    ours = two_teams["ours"]
    owner.run("UPDATE team_members SET role = 'member' WHERE user_id = :user", user=ours["user"])
    runs.clear()
    response = client(delete_team).delete(f"/v1/teams/{ours['team']}", headers=bearer(token))
    assert (response.status_code, problem(response)["code"], runs) == (403, "FORBIDDEN", [])


def test_the_wrong_method_is_405_with_allow(token: str) -> None:
    """functions-framework accepts every method; the function does not."""
    response = client(get_note).post(f"/v1/notes/{new_id()}", headers=bearer(token))
    assert (response.status_code, response.headers["Allow"]) == (405, "GET")


def test_a_malformed_id_in_the_path_is_simply_not_found(token: str) -> None:
    """An id that can't exist answers like one that does not."""
    assert client(get_note).get("/v1/notes/..%2f..%2fetc", headers=bearer(token)).status_code == 404
    assert client(get_note).get("/v1/notes/1", headers=bearer(token)).status_code == 404


def test_unknown_and_doubled_query_parameters_are_refused(token: str) -> None:
    """A misspelt parameter is an error, not a silent default."""
    response = client(get_note).get(f"/v1/notes/{new_id()}?limt=5", headers=bearer(token))
    assert (response.status_code, problem(response)["field"]) == (400, "limt")
    response = client(list_notes).get("/v1/notes?text=a&text=b", headers=bearer(token))
    assert (response.status_code, problem(response)["reason"]) == (400, "given twice")


def test_a_nul_is_refused_before_it_reaches_the_directory(token: str) -> None:
    """Postgres holds no text with one: in the query it is named, in a path nothing has that name."""
    response = client(list_notes).get("/v1/notes?text=a%00b", headers=bearer(token))
    assert (response.status_code, problem(response)["field"]) == (400, "text")
    assert client(find_note).get("/v1/notes/by-name/a%00b", headers=bearer(token)).status_code == 404
    assert client(find_note).get("/v1/notes/by-name/ab", headers=bearer(token)).status_code == 200


def test_an_unexpected_error_says_nothing_of_its_cause(token: str, two_teams: dict[str, Any]) -> None:
    """No driver text, no stack trace: a code and an id to find it by."""
    response = client(add_note).post(
        "/v1/notes", json={"team_id": two_teams["ours"]["team"], "text": "broken"}, headers=bearer(token)
    )
    assert response.status_code == 500
    assert problem(response)["code"] == "INTERNAL"
    assert b"secret" not in response.data


def test_an_unchanged_resource_is_304(token: str) -> None:
    """If-None-Match with the current ETag gets no body."""
    response = client(get_note).get(f"/v1/notes/{new_id()}", headers=bearer(token, If_None_Match='W/"v1"'))
    assert (response.status_code, response.data) == (304, b"")


def test_a_browsers_change_needs_the_csrf_header(two_teams: dict[str, Any]) -> None:
    """The cookie alone, which any site could make a browser send, changes nothing."""
    ours = two_teams["ours"]
    with pg.transaction() as tx:
        session = auth.open_session(tx, UserId(ours["user"]))
    browser = client(add_note)
    browser.set_cookie(auth.SESSION_COOKIE, session.token)
    body = {"team_id": ours["team"], "text": "from a page"}
    runs.clear()
    forged = browser.post("/v1/notes", json=body)
    assert (forged.status_code, problem(forged)["code"], runs) == (403, "CSRF_REJECTED", [])
    strange = browser.post("/v1/notes", json=body, headers={auth.CSRF_HEADER: "é" + session.csrf[1:]})
    assert (strange.status_code, problem(strange)["code"]) == (403, "CSRF_REJECTED")
    assert browser.post("/v1/notes", json=body, headers={auth.CSRF_HEADER: session.csrf}).status_code == 201


def test_a_revoked_token_is_refused_at_once(token: str, two_teams: dict[str, Any], owner: Any) -> None:
    """Revocation needs no waiting: the next request is 401."""
    assert client(get_note).get(f"/v1/notes/{new_id()}", headers=bearer(token)).status_code == 200
    owner.run(
        "UPDATE access_tokens SET revoked_at = now() WHERE user_id = :user", user=two_teams["ours"]["user"]
    )
    assert client(get_note).get(f"/v1/notes/{new_id()}", headers=bearer(token)).status_code == 401


def test_the_same_key_and_body_get_the_first_answer_again(token: str, two_teams: dict[str, Any]) -> None:
    """A repeated POST runs once and answers twice, with the same id."""
    runs.clear()
    body, headers = (
        {"team_id": two_teams["ours"]["team"], "text": "once"},
        bearer(token, Idempotency_Key=new_id()),
    )
    first = client(add_note).post("/v1/notes", json=body, headers=headers)
    second = client(add_note).post("/v1/notes", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    assert second.headers["Idempotency-Replayed"] == "true"
    assert runs == ["once"]


def test_the_same_key_at_once_runs_once(token: str, two_teams: dict[str, Any]) -> None:
    """Six requests that arrive together: one works, the others wait for its answer."""
    runs.clear()
    body, headers = (
        {"team_id": two_teams["ours"]["team"], "text": "slow"},
        bearer(token, Idempotency_Key=new_id()),
    )
    answers: list[tuple[int, bytes]] = []

    def post(caller: Client) -> None:
        response = caller.post("/v1/notes", json=body, headers=headers)
        answers.append((response.status_code, response.data))

    # Werkzeug compiles routes through `ast`, which CPython 3.11 does not guard against threads: one at a time.
    threads = [threading.Thread(target=post, args=(client(add_note),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert answers[0][0] == 201
    assert runs == ["slow"]


def test_a_key_is_held_while_its_request_lives_and_hardly_longer(
    token: str, two_teams: dict[str, Any], pass_time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that takes longer than the lease keeps its key; of one that died the key is free within seconds."""
    runs.clear()
    terms, body = repeats.TERMS, {"team_id": two_teams["ours"]["team"], "text": "slower"}
    # What the two requests share is the directory: they come to two instances.
    monkeypatch.setattr(repeats, "_flight", Apart())

    def left(key: str) -> float:
        sql = "SELECT bridge_lease_left(lease_until) AS left FROM idempotency_keys WHERE key = :key"
        with pool.transaction() as tx:
            return float(tx.one(sql, key=key)["left"])

    def post(caller: Client, key: str) -> TestResponse:
        return caller.post("/v1/notes", json=body, headers=bearer(token, Idempotency_Key=key))

    with ThreadPoolExecutor(2) as workers:
        key = new_id()
        first = workers.submit(post, client(add_note), key)
        entered.acquire()
        assert left(key) <= 15, "what the next request waits for when this one is killed now"
        for _ in range(3):
            pass_time(terms.seconds / 2)
            until(lambda: left(key) > 0.9 * terms.seconds, "a heartbeat begins the lease anew")
        second = workers.submit(post, client(add_note), key)
        stays[-1].set()
        assert first.result().data == second.result().data
    assert runs == ["slower"]
    # As if the first had stalled: it renews no more.
    monkeypatch.setattr(repeats, "TERMS", Terms(terms.seconds, terms.heartbeat, at_most=0.0))
    monkeypatch.setattr(repeats.Terms, "lasting", lambda self, _seconds: self)
    with ThreadPoolExecutor(2) as workers:
        key = new_id()
        first = workers.submit(post, client(add_note), key)
        entered.acquire()
        pass_time(terms.seconds)
        second = workers.submit(post, client(add_note), key)
        entered.acquire()
        stays[-1].set()
        assert "Idempotency-Replayed" not in second.result().headers
        stays[-2].set()
        assert first.result().headers["Idempotency-Replayed"] == "true", (
            "the answer that counts is the other's"
        )
        assert first.result().data == second.result().data


def test_the_same_key_with_another_body_is_refused(token: str, two_teams: dict[str, Any]) -> None:
    """A key names one request; reusing it for another is the caller's mistake and is said so."""
    headers = bearer(token, Idempotency_Key=new_id())
    team = two_teams["ours"]["team"]
    client(add_note).post("/v1/notes", json={"team_id": team, "text": "a"}, headers=headers)
    response = client(add_note).post("/v1/notes", json={"team_id": team, "text": "b"}, headers=headers)
    assert (response.status_code, problem(response)["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_the_same_key_with_another_query_is_refused(token: str) -> None:
    """What the query names is a part of what was asked, as the body is."""
    key = new_id()
    first = client(copy_note).post("/v1/notes/copies?text=a", headers=bearer(token, Idempotency_Key=key))
    again = client(copy_note).post("/v1/notes/copies?text=a", headers=bearer(token, Idempotency_Key=key))
    other = client(copy_note).post("/v1/notes/copies?text=b", headers=bearer(token, Idempotency_Key=key))
    assert (first.status_code, first.data) == (again.status_code, again.data) == (201, b'{"text":"a"}')
    assert (other.status_code, problem(other)["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_an_error_frees_the_key(token: str, two_teams: dict[str, Any]) -> None:
    """Only successes are kept: after a refusal the same key may try again, and at once."""
    headers = bearer(token, Idempotency_Key=new_id())
    body = {"team_id": two_teams["ours"]["team"], "text": "refused"}
    refusals = [client(add_note).post("/v1/notes", json=body, headers=headers) for _ in range(2)]
    assert [problem(response)["reason"] for response in refusals] == ["refused"] * 2


def test_only_a_success_is_the_answer_to_a_key(token: str) -> None:
    """A handler may answer a failure without raising it: the next request with the key runs it again."""
    headers = bearer(token, Idempotency_Key=new_id())
    runs.clear()
    answers = [
        client(touch_note).put(f"/v1/notes/{NOTE}", json={"team_id": "t", "text": "x"}, headers=headers)
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [503, 200, 200]
    assert runs == [NOTE, NOTE]


def test_a_key_is_for_one_address(token: str) -> None:
    """The same body to another id is another request, not a repetition."""
    headers = bearer(token, Idempotency_Key=new_id())
    runs[:] = ["an earlier one"]
    put = client(touch_note).put
    body = {"team_id": "t", "text": "x"}
    assert put(f"/v1/notes/{NOTE}", json=body, headers=headers).status_code == 200
    other = put(f"/v1/notes/{new_id()}", json=body, headers=headers)
    assert (other.status_code, problem(other)["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_a_generator_that_nobody_reads_any_more_is_closed(token: str) -> None:
    """The client went away: what works for the stream can stop."""
    left.clear()
    response = client(endless).get(f"/v1/streams/{new_id()}/endless", headers=bearer(token))
    parts = iter(response.response)
    assert [b"first" in bytes(next(parts)), b"second" in bytes(next(parts))] == [True, True]
    response.close()
    assert left.wait(60)


def test_text_in_a_stream_cannot_forge_an_event(token: str) -> None:
    """Whatever a model says stays inside its own data line."""
    response = client(stream).post("/v1/streams", headers=bearer(token))
    lines = response.data.decode().splitlines()
    assert [line for line in lines if line.startswith("event:")] == ["event: token", "event: complete"]
    assert response.headers["Cache-Control"] == "no-cache"


def test_a_refused_stream_is_a_status_not_a_stream(directory: dict[str, str]) -> None:
    """Authorisation comes before the first byte."""
    response = client(stream).post("/v1/streams")
    assert (response.status_code, response.content_type) == (401, "application/json")


def test_only_a_platform_admin_reaches_what_works_across_teams(
    two_teams: dict[str, Any], token: str, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """401 without a credential, 403 for a team's admin before the body is parsed, 200 for an address in the setting."""
    from shared.platform import settings as module

    path, note = f"/v1/ops/{two_teams['theirs']['team']}", {"team_id": "any", "text": "mended"}
    assert client(operate).put(path, json=note).status_code == 401
    refused = client(operate).put(path, data=b"{junk", headers=bearer(token))
    assert (refused.status_code, problem(refused)["code"]) == (403, "FORBIDDEN")

    email = owner.run("SELECT email FROM users WHERE id = :id", id=two_teams["ours"]["user"])[0][0]
    monkeypatch.setenv("BRIDGE_PLATFORM_ADMINS", f"root@example.com, {email.upper()}")
    module.settings.cache_clear()
    answer = client(operate).put(path, json=note, headers=bearer(token))
    assert (answer.status_code, answer.get_json()) == (200, {"by": email})


@sse("GET", "/v1/streams/{stream_id}", role="user")
def long_stream(call: Call) -> Iterator[Event | None]:
    for number in range(3_000):
        yield Event("token", {"n": number}) if number % 10 == 0 else None
        time.sleep(0.02)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE access_tokens SET revoked_at = now() WHERE user_id = :user",
        "UPDATE access_tokens SET expires_at = now() - interval '1 s' WHERE user_id = :user",
        "UPDATE access_tokens SET token_sha256 = 'rotated-' || id WHERE user_id = :user",
        "UPDATE team_members SET role = 'member' WHERE user_id = :user",
        "DELETE FROM team_members WHERE user_id = :user",
    ],
    ids=["revoked", "expired", "rotated", "no admin any more", "removed"],
)
def test_an_open_stream_ends_when_its_credential_does(
    change: str, token: str, two_teams: dict[str, Any], owner: Any
) -> None:
    """At the next look, with an error event that says why; the handler itself would go on for a minute."""
    response = client(long_stream).get(f"/v1/streams/{new_id()}", headers=bearer(token))
    parts = iter(response.response)
    assert b"event: token" in next(parts)
    owner.run(change, user=two_teams["ours"]["user"])
    rest = b"".join(bytes(part) for part in parts)
    assert rest.count(b"event: error") == 1
    assert b'"code":"UNAUTHENTICATED"' in rest[rest.index(b"event: error") :]


def test_a_stream_outlives_a_directory_that_is_away_for_a_moment(
    token: str, two_teams: dict[str, Any], later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on while nobody can say whether it may, and ends when that takes too long."""
    from shared.platform.errors import Unavailable

    module: Any = sys.modules["shared.platform.edge.sse"]

    looked = threading.Semaphore(0)

    def away(_who: object) -> None:
        looked.release()
        raise Unavailable

    monkeypatch.setattr(module, "CONFIRM_SECONDS", 0.05)
    response = client(long_stream).get(f"/v1/streams/{new_id()}", headers=bearer(token))
    parts = iter(response.response)
    monkeypatch.setattr(module.auth, "confirm", away)
    assert [b"event: token" in next(parts) for _ in range(2)] == [True, True]
    for _ in range(3):
        looked.acquire()
        later(module.UNCONFIRMED_SECONDS / 4)
        assert b"event: token" in next(parts)
    later(module.UNCONFIRMED_SECONDS)
    rest = b"".join(bytes(part) for part in parts)
    assert b'"code":"SERVICE_UNAVAILABLE"' in rest
    assert (rest.count(b"event: interrupted"), rest.count(b"event: error")) == (1, 0), "it may be asked again"
    assert b'"retry_after":' in rest


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Change settings for one test."""
    from shared.platform.settings import settings

    def change(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    yield change
    monkeypatch.undo()
    settings.cache_clear()


def test_a_page_of_a_named_origin_may_ask_and_read(token: str, configured: Callable[..., None]) -> None:
    """The preflight allows every method, as one function answers for all of a path; the answer allows its reader."""
    configured(BRIDGE_ALLOWED_ORIGINS="https://good.example")
    door, asked = client(get_note), f"/v1/notes/{new_id()}"
    origin = {"Origin": "https://good.example", "Access-Control-Request-Method": "DELETE"}
    preflight = door.options(asked, headers=origin)
    assert (preflight.status_code, preflight.headers["Allow"]) == (204, "GET, OPTIONS")
    allowed = {
        name: {part.strip() for part in preflight.headers[f"Access-Control-Allow-{name}"].split(",")}
        for name in ("Origin", "Credentials", "Methods", "Headers")
    }
    assert (allowed["Origin"], allowed["Credentials"]) == ({"https://good.example"}, {"true"})
    assert allowed["Methods"] >= {"GET", "HEAD", "POST", "PUT", "DELETE"}
    assert allowed["Headers"] >= {
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "X-Bridge-CSRF",
    }
    answer = door.get(asked, headers=bearer(token, Origin="https://good.example"))
    assert answer.headers["Access-Control-Allow-Origin"] == "https://good.example"
    assert "Origin" in answer.headers["Vary"]
    refused = door.get(asked, headers={"Origin": "https://good.example"})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (
        401,
        "https://good.example",
    )


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://good.example.evil.example", "*"])
def test_any_other_origin_gets_no_permission(
    token: str, configured: Callable[..., None], origin: str
) -> None:
    """Neither to ask nor to read; the answer itself is as for everybody."""
    configured(BRIDGE_ALLOWED_ORIGINS="https://good.example")
    door, asked = client(get_note), f"/v1/notes/{new_id()}"
    preflight = door.options(asked, headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
    answer = door.get(asked, headers=bearer(token, Origin=origin))
    assert (preflight.status_code, answer.status_code) == (204, 200)
    for given in (preflight, answer):
        assert not [name for name, _ in given.headers.items() if name.startswith("Access-Control-")]


def test_behind_api_gateway_the_callers_token_is_where_the_gateway_put_it(
    token: str, configured: Callable[..., None]
) -> None:
    """Authorization holds the gateway's own token there; without a gateway the other header says nothing."""
    door, asked = client(get_note), f"/v1/notes/{new_id()}"
    moved = {"Authorization": "Bearer e30.e30.gateway", "X-Forwarded-Authorization": f"Bearer {token}"}
    assert door.get(asked, headers=moved).status_code == 401
    configured(BRIDGE_CREDENTIAL_HEADER="X-Forwarded-Authorization")
    assert door.get(asked, headers=moved).status_code == 200
    assert door.get(asked, headers=bearer(token)).status_code == 401
