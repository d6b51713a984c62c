"""Deliveries to steps: who may make them, what a repetition does, what is final."""

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from shared.platform.background import jobs, ledger
from shared.platform.background.messages import Message
from shared.platform.cloud import identity as oidc
from shared.platform.errors import BadInput, BridgeError, Unavailable
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from shared.platform.steps import Finalized, finalized, task

pytestmark = pytest.mark.slow

STEPS = "steps@bridge-local.iam.gserviceaccount.com"
EVENTS = "events@bridge-local.iam.gserviceaccount.com"


class Fold(Message, step=__name__.replace(".", "-").replace("_", "-"), queue="default"):
    """A message to the step below. Outside functions/ the deployed name is made of the whole module."""

    team: str
    job: str
    mood: str = "fine"


worked: list[str] = []
gave_up: list[str] = []
landed: list[Finalized] = []


meanwhile: list[str] = []
"""The keys of steps that another worker takes over while this one works."""


def _gave_up(step: Fold, error: BridgeError) -> None:
    gave_up.append(error.code)


@task(Fold, once="{job}", retry_seconds=3, gave_up=_gave_up)
def fold(step: Fold) -> None:
    worked.append(step.mood)
    if step.job in meanwhile:
        with pool.transaction() as tx:
            tx.run(
                "UPDATE attempts SET lease_until = now() - interval '1 second' WHERE key = :key", key=step.job
            )
        assert ledger.claim(Fold.step, step.job, 60) is not None
    if step.mood == "refused":
        raise BadInput("It can't be folded.")
    if step.mood == "unlucky":
        raise Unavailable("Not now.")
    with ledger.finishing(step.team) as tx:
        jobs.open_job(tx, id=step.job, team=step.team, kind="fold", user=None)


@finalized("catalog/{connection}/{dataset}/{scan}.json.gz")
def on_snapshot(event: Finalized) -> None:
    landed.append(event)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A key pair for the token issuer, and its certificates over HTTP."""
    from local.cloud import identity

    home = tmp_path_factory.mktemp("identity")
    identity.ensure(home)
    body = json.dumps(identity.certificates(home)).encode()

    class Serve(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield home, f"http://127.0.0.1:{server.server_port}/certs"
    server.shutdown()
    server.server_close()


@pytest.fixture
def sign(certs: tuple[Path, str], directory: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a bearer header for a function's name and an account."""
    from local.cloud import identity
    from shared.platform.settings import settings

    monkeypatch.setenv("BRIDGE_OIDC_CERTS_URL", certs[1])
    settings.cache_clear()
    oidc._certs.cache_clear()
    worked.clear()
    gave_up.clear()
    landed.clear()

    def header(name: str, account: str = STEPS, audience: str | None = None) -> dict[str, str]:
        target = audience or f"http://127.0.0.1:1/_fn/{name}"
        return {"Authorization": f"Bearer {identity.token(certs[0], target, account)}"}

    return header


def client(entry: Any) -> Client:
    from flask import Flask, request

    app = Flask("steps")
    app.add_url_rule("/", "root", lambda: entry(request), methods=["GET", "POST"])
    return app.test_client()


@pytest.fixture
def message(two_teams: dict[str, Any]) -> dict[str, str]:
    return {"team": two_teams["ours"]["team"], "job": new_id()}


def test_a_step_without_a_valid_token_does_nothing(sign: Any, message: dict[str, str]) -> None:
    """No token, another audience, another account, a tampered signature: 401, and no work."""
    door = client(fold)
    good = sign(Fold.step)["Authorization"]
    for headers in (
        {},
        sign(Fold.step, audience="http://127.0.0.1:1/_fn/other"),
        sign(Fold.step, account=EVENTS),
        {"Authorization": good[:-8] + "AAAAAAAA"},
    ):
        assert door.post("/", json=message, headers=headers).status_code == 401
    assert worked == []


def without_signature(header: dict[str, str], **claims: Any) -> dict[str, str]:
    """What Cloud Run hands on: the same claims (but for those given here), no signature."""
    head, payload, _ = header["Authorization"].removeprefix("Bearer ").split(".")
    content = json.loads(base64.urlsafe_b64decode(payload + "==")) | claims
    changed = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    return {"Authorization": f"Bearer {head}.{changed}.{oidc.REMOVED}"}


@pytest.fixture
def behind_cloud_run(sign: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The service is told that Cloud Run checks tokens for it; the issuer's keys are out of reach."""
    from shared.platform.settings import settings

    monkeypatch.setenv("BRIDGE_TOKENS_CHECKED", "true")
    monkeypatch.setenv("BRIDGE_OIDC_CERTS_URL", "http://127.0.0.1:9/certs")
    settings.cache_clear()
    return sign


def test_a_token_whose_signature_cloud_run_removed_is_judged_by_its_claims(
    behind_cloud_run: Any, message: dict[str, str]
) -> None:
    """Right claims work without a look at the issuer's keys; another audience, account, issuer or time is 401."""
    door, good = client(fold), behind_cloud_run(Fold.step)
    now = int(time.time())
    for wrong in (
        {"aud": "http://127.0.0.1:1/_fn/other"},
        {"email": EVENTS},
        {"email_verified": False},
        {"iss": "https://issuer.example"},
        {"exp": now - 60},
        {"iat": now + 60},
        {"exp": None},
    ):
        assert door.post("/", json=message, headers=without_signature(good, **wrong)).status_code == 401
    for broken in ("Bearer a.b.c." + oidc.REMOVED, "Bearer a." + oidc.REMOVED, "Bearer ." + oidc.REMOVED):
        assert door.post("/", json=message, headers={"Authorization": broken}).status_code == 401
    assert worked == []
    assert door.post("/", json=message, headers=without_signature(good)).status_code == 204
    assert worked == ["fine"]


def test_without_cloud_run_in_front_a_token_needs_its_signature(sign: Any, message: dict[str, str]) -> None:
    """Anybody can write claims: where nothing checks tokens before us, those without a signature are refused."""
    assert client(fold).post("/", json=message, headers=without_signature(sign(Fold.step))).status_code == 401
    assert worked == []


def test_eventarc_may_address_a_service_by_the_name_that_cloud_run_gave_it(behind_cloud_run: Any) -> None:
    """The service doesn't know that name; Cloud Run has checked it. Tasks have no such freedom (above)."""
    step = on_snapshot.__bridge__.name
    headers = {"ce-type": "google.cloud.storage.object.v1.finalized"}
    headers |= without_signature(
        behind_cloud_run(step, EVENTS), aud="https://on-snapshot-abc123-uc.a.run.app"
    )
    body = snapshot(f"{new_id()}/d/s.json.gz")
    assert client(on_snapshot).post("/", json=body, headers=headers).status_code == 204
    assert len(landed) == 1


def test_a_step_delivered_twice_works_once(sign: Any, message: dict[str, str]) -> None:
    """The second delivery is answered 2xx, which ends it, and does nothing."""
    door = client(fold)
    codes = [door.post("/", json=message, headers=sign(Fold.step)).status_code for _ in range(2)]
    assert codes == [204, 204]
    assert worked == ["fine"]


def test_an_unlucky_step_is_repeated_and_then_given_up(
    sign: Any, message: dict[str, str], owner: Any
) -> None:
    """5xx while a retry can help; on the last attempt the user is told and a dead letter kept."""
    door, body = client(fold), message | {"mood": "unlucky"}
    codes = []
    for count in range(3):
        headers = sign(Fold.step) | {"X-CloudTasks-TaskRetryCount": str(count)}
        codes.append(door.post("/", json=body, headers=headers).status_code)
    assert codes == [503, 503, 204]
    assert gave_up == ["SERVICE_UNAVAILABLE"]
    assert owner.run("SELECT count(*) FROM dead_letters WHERE key = :key", key=message["job"]) == [[1]]


def test_a_refused_step_is_final_at_once(sign: Any, message: dict[str, str]) -> None:
    """An error that no retry cures is answered 2xx after the user was told."""
    response = client(fold).post("/", json=message | {"mood": "refused"}, headers=sign(Fold.step))
    assert (response.status_code, gave_up, worked) == (204, ["BAD_REQUEST"], ["refused"])


def test_a_zombie_that_fails_does_not_fail_the_work_of_who_took_over(
    sign: Any, message: dict[str, str], owner: Any
) -> None:
    """It stalled, another has the step, and now it meets a final error: nobody is told and no letter is kept."""
    meanwhile.append(message["job"])
    response = client(fold).post("/", json=message | {"mood": "refused"}, headers=sign(Fold.step))
    assert (response.status_code, response.get_json()["error"]["code"]) == (503, "LEASE_LOST")
    assert (worked, gave_up) == (["refused"], [])
    assert owner.run("SELECT count(*) FROM dead_letters WHERE key = :key", key=message["job"]) == [[0]]
    assert owner.run("SELECT state FROM attempts WHERE key = :key", key=message["job"]) == [["running"]]


def test_a_delivery_that_breaks_off_is_repeated_and_not_refused(
    sign: Any, message: dict[str, str], owner: Any
) -> None:
    """Half a body says nothing about the message: no 2xx, no dead letter, and the whole one works."""
    before = owner.run("SELECT count(*) FROM dead_letters")
    whole = json.dumps(message).encode()
    half = {"CONTENT_LENGTH": str(len(whole)), "wsgi.input": io.BytesIO(whole[:20])}
    response = client(fold).post("/", environ_overrides=half, headers=sign(Fold.step))
    assert response.status_code == 400
    assert owner.run("SELECT count(*) FROM dead_letters") == before
    assert client(fold).post("/", data=whole, headers=sign(Fold.step)).status_code == 204
    assert worked == ["fine"]


def test_a_malformed_task_is_refused_without_an_echo(sign: Any, owner: Any) -> None:
    """Junk will not be better next time: 2xx, a dead letter, and nothing of it in the answer."""
    before = owner.run("SELECT count(*) FROM dead_letters")[0][0]
    response = client(fold).post("/", data=b'{"canary": "s3cr3t"', headers=sign(Fold.step))
    assert response.status_code == 202
    assert b"s3cr3t" not in response.data
    assert owner.run("SELECT count(*) FROM dead_letters")[0][0] == before + 1


def snapshot(
    name: str = "c/d/s.json.gz", bucket: str = "bridge-local-catalog", generation: str = "5"
) -> dict[str, Any]:
    return {"bucket": bucket, "name": name, "generation": generation, "size": "10"}


def test_an_event_works_once_for_each_generation(sign: Any, directory: dict[str, str]) -> None:
    """A redelivery is nothing new; an overwrite is."""
    door = client(on_snapshot)
    name = f"{new_id()}/d/s.json.gz"
    headers = sign("tests-shared-platform-test-steps", EVENTS) | {
        "ce-type": "google.cloud.storage.object.v1.finalized"
    }
    step = on_snapshot.__bridge__.name
    headers |= sign(step, EVENTS)
    for generation in ("1", "1", "2"):
        response = door.post("/", json=snapshot(name, generation=generation), headers=headers)
        assert response.status_code == 204
    assert [(event.generation, event.names["dataset"]) for event in landed] == [(1, "d"), (2, "d")]


@pytest.mark.parametrize(
    "body",
    [
        snapshot(bucket="somebody-elses"),
        snapshot(generation="x"),
        {"name": 5},
        [],
    ],
)
def test_an_event_that_is_not_ours_is_refused(sign: Any, body: Any) -> None:
    """Another bucket, a missing generation, no object at all: refused for good, nothing done."""
    step = on_snapshot.__bridge__.name
    headers = sign(step, EVENTS) | {"ce-type": "google.cloud.storage.object.v1.finalized"}
    assert client(on_snapshot).post("/", json=body, headers=headers).status_code == 202
    assert landed == []


@pytest.mark.parametrize("kind", ["google.cloud.storage.object.v1.deleted", None])
def test_only_the_end_of_an_upload_is_the_step_s_event(sign: Any, kind: str | None) -> None:
    """An object that was deleted, or a message that names no kind, does not land again."""
    headers = sign(on_snapshot.__bridge__.name, EVENTS) | ({} if kind is None else {"ce-type": kind})
    assert client(on_snapshot).post("/", json=snapshot(), headers=headers).status_code == 202
    assert landed == []


@pytest.mark.parametrize(
    "name",
    ["c/s.json.gz", "c/d/deeper/s.json.gz", "c/d/s.json", "c//s.json.gz", "c/d/.json.gz", "c/d/sxjsonxgz"],
)
def test_an_object_that_the_step_does_not_wait_for_is_left_alone(sign: Any, owner: Any, name: str) -> None:
    """Every step on a bucket hears of all its objects: others' are nothing to do and nothing to complain about."""
    step = on_snapshot.__bridge__.name
    counts = "SELECT (SELECT count(*) FROM dead_letters), (SELECT count(*) FROM attempts)"
    before = owner.run(counts)
    headers = sign(step, EVENTS) | {"ce-type": "google.cloud.storage.object.v1.finalized"}
    assert client(on_snapshot).post("/", json=snapshot(name), headers=headers).status_code == 204
    assert landed == []
    assert owner.run(counts) == before


def test_a_crash_after_the_effects_but_before_the_answer_changes_nothing(
    sign: Any, message: dict[str, str]
) -> None:
    """The effects committed with the attempt, so the redelivery finds it done."""
    attempt = ledger.claim(Fold.step, message["job"], 60)
    assert attempt is not None
    with ledger.working_on(attempt), ledger.finishing(message["team"]) as tx:
        jobs.open_job(tx, id=message["job"], team=message["team"], kind="fold", user=None)
    assert client(fold).post("/", json=message, headers=sign(Fold.step)).status_code == 204
    assert worked == []
    with pool.transaction(message["team"]) as tx:
        assert jobs.get(tx, message["job"]).kind == "fold"
