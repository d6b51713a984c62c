"""What must be true of all functions, checked on all functions of the manifest."""

import contextlib
import importlib
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.flows.chains import document, new_slug
from tests.flows.post import Post

ROOT = Path(__file__).resolve().parents[2]
MANIFEST: list[dict[str, Any]] = json.loads((ROOT / "functions" / "manifest.json").read_text())["functions"]
ENDPOINTS = [function for function in MANIFEST if function["kind"] in ("http", "sse")]
STEPS = [function for function in MANIFEST if function["kind"] in ("task", "finalized", "scheduled")]
LOCKED = [function for function in ENDPOINTS if function["role"] != "public"]
WITH_BODY = [function for function in LOCKED if "body" in function]
TEAM_ROUTES = [function for function in LOCKED if function["role"] in ("member", "admin")]

OF_THE_PLATFORM = [function for function in LOCKED if function["role"] == "platform_admin"]
OF_TEAM_ADMINS = [function for function in LOCKED if function["role"] == "admin" and "body" not in function]
"""With a body, what is wrong with it is said first."""


def name(function: dict[str, Any]) -> str:
    return str(function["name"])


def address(function: dict[str, Any]) -> str:
    """A path of the function with ids that do not exist."""
    path = function["paths"][0]
    for parameter in (
        "team_id",
        "connection_id",
        "dataset_id",
        "table_id",
        "job_id",
        "session_id",
        "turn_id",
        "token_id",
        "letter_id",
        "query_id",
    ):
        path = path.replace(f"{{{parameter}}}", str(uuid.uuid4()))
    return str(
        path.replace("{slug}", "no-such-dashboard").replace("{name:path}", "none.js").replace("{n}", "1")
    )


@pytest.fixture(scope="module")
def member(world: Any) -> Any:
    """Somebody who belongs to the demo team and is no admin of it."""
    person = world.person("member")
    with contextlib.closing(Post(world.stack)) as post:
        post.sql(
            "INSERT INTO team_members (team_id, user_id, role) VALUES (:team, :user, 'member')",
            team=world.team_id,
            user=person.user_id,
        )
    return person


@pytest.fixture(scope="module")
def boards(world: Any) -> str:
    """The slug of a dashboard of the demo team."""
    slug = new_slug()
    text = document(slug, world.connection_id)
    saved = world.post("/v1/dashboards", {"team_id": world.team_id, "yaml_content": text})
    assert saved.status == 201, saved.content
    return slug


def test_every_folder_of_functions_is_in_the_manifest() -> None:
    """The committed manifest is what the decorators say."""
    result = subprocess.run(
        [sys.executable, "tools/manifest.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_importing_every_door_has_no_side_effect() -> None:
    """No environment is read, no socket opened and no client made: it works with both taken away."""
    script = (
        "import os, sys, socket, json, importlib\n"
        "from shared.platform import settings\n"
        "ours = {field.alias for field in settings.Settings.model_fields.values()}\n"
        "class Watched(dict):\n"
        "    def _seen(self, name):\n"
        "        assert name not in ours, 'the environment was read: ' + name\n"
        "    def get(self, name, default=None): self._seen(name); return super().get(name, default)\n"
        "    def __getitem__(self, name): self._seen(name); return super().__getitem__(name)\n"
        "    def __contains__(self, name): self._seen(name); return super().__contains__(name)\n"
        "os.environ = Watched(os.environ)\n"
        "def refuse(*a, **k): raise AssertionError('a socket was opened')\n"
        "socket.socket.connect = refuse\n"
        "for f in json.load(open('functions/manifest.json'))['functions']: importlib.import_module(f['module'])\n"
        "sdks = {'anthropic', 'grpc', 'google.cloud.storage', 'google.cloud.firestore', 'google.cloud.bigquery',\n"
        "        'google.cloud.tasks_v2', 'google.cloud.kms', 'google.auth', 'cryptography', 'duckdb', 'pandas',\n"
        "        'genai_prices'}\n"
        "assert not sdks & set(sys.modules), sdks & set(sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize("function", MANIFEST, ids=name)
def test_a_door_is_not_a_room(function: dict[str, Any]) -> None:
    """A main.py parses, calls and answers: at most 60 lines, one function of ours in it."""
    source = (ROOT / function["source"]).read_text()
    assert len(source.splitlines()) <= 60
    assert source.startswith('"""'), "the docstring is the function's summary"


def test_every_queue_is_used_and_every_message_has_its_receiver() -> None:
    """No queue without a step, no message class without a function that receives it."""
    from shared.platform.background import messages

    for function in MANIFEST:
        importlib.import_module(function["module"])
    received = {function["message"] for function in MANIFEST if "message" in function}
    declared = {
        f"{message.__module__}.{message.__qualname__}"
        for message in messages.REGISTRY.values()
        if not message.__module__.startswith("test")
    }
    assert {m for m in declared if m.startswith("shared.")} == received
    used = {function["queue"] for function in MANIFEST if "queue" in function}
    assert used <= set(messages.QUEUES)


def test_no_two_functions_share_a_method_and_a_path() -> None:
    """A request has one receiver."""
    routes = [(function["method"], path) for function in ENDPOINTS for path in function["paths"]]
    assert len(routes) == len(set(routes))


def test_every_lease_outlives_its_step_and_every_dispatch_its_deadline() -> None:
    """lease > function deadline, and Cloud Tasks waits longer than the function may run."""
    from shared.platform.cloud import queues
    from shared.platform.steps import running as steps

    assert steps.LEASE_MARGIN_SECONDS > 0
    for function in STEPS:
        if function["kind"] == "task":
            assert function["timeout"] + steps.LEASE_MARGIN_SECONDS <= queues.DISPATCH_DEADLINE_SECONDS, (
                function["name"]
            )


@pytest.mark.stack
@pytest.mark.parametrize("function", LOCKED, ids=name)
def test_without_a_credential_it_is_401(function: dict[str, Any], world: Any) -> None:
    """Before anything else is looked at, and in our envelope."""
    answer = world.request(
        function["method"], address(function), as_=None, raw=b"{junk" if "body" in function else None
    )
    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.stack
@pytest.mark.parametrize("function", OF_THE_PLATFORM, ids=name)
def test_an_admin_of_a_team_is_none_of_the_platform(function: dict[str, Any], world: Any) -> None:
    """What works across teams is 403 for everybody else, whatever they send and whether it exists."""
    person = world.person("team-admin")
    world.team(person)
    answer = world.request(
        function["method"], address(function), as_=person, raw=b"{junk" if "body" in function else None
    )
    assert (answer.status, answer.error["code"]) == (403, "FORBIDDEN")


@pytest.mark.stack
@pytest.mark.parametrize("function", OF_TEAM_ADMINS, ids=name)
def test_a_member_may_not_do_what_admins_do(
    function: dict[str, Any], world: Any, member: Any, boards: str
) -> None:
    """403, not 404: a member knows that the team is there."""
    known = {"team_id": world.team_id, "connection_id": world.connection_id, "slug": boards}
    path, query = function["paths"][0], f"?team_id={world.team_id}"
    if "{team_id}" in path or "{connection_id}" in path:
        query = ""
    answer = world.request(function["method"], path.format_map(known) + query, as_=member)
    assert (answer.status, answer.error["code"]) == (403, "FORBIDDEN")


@pytest.mark.stack
@pytest.mark.parametrize("function", ENDPOINTS, ids=name)
def test_the_wrong_method_is_405_with_allow(function: dict[str, Any], world: Any) -> None:
    """Every path says which methods it takes."""
    answer = world.request("TRACE" if False else "PROPFIND", address(function))
    assert answer.status == 405
    assert function["method"] in answer.headers["Allow"]


@pytest.mark.stack
@pytest.mark.parametrize("function", WITH_BODY, ids=name)
@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1, 2]", "application/json", 400),
        (b'{"\\u0000": 1}', "application/json", 400),
        (b'{"no_such_field_anywhere": 1}', "application/json", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
    ],
)
def test_junk_is_refused_in_our_envelope(
    function: dict[str, Any], raw: bytes, content_type: str, status: int, world: Any
) -> None:
    """Malformed or unexpected bodies never reach a service and never become a server error."""
    answer = world.request(
        function["method"], address(function), raw=raw, headers={"Content-Type": content_type}
    )
    assert answer.status == status, answer.content
    assert {"code", "message", "correlation_id", "retryable"} <= set(answer.error)


@pytest.mark.stack
@pytest.mark.parametrize("function", WITH_BODY, ids=name)
def test_an_oversized_body_is_413(function: dict[str, Any], world: Any) -> None:
    """A body above the declared size is refused by its length."""
    raw = b'{"a": "' + b"x" * (function["max_body"] + 10) + b'"}'
    answer = world.request(
        function["method"], address(function), raw=raw, headers={"Content-Type": "application/json"}
    )
    assert (answer.status, answer.error["code"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.stack
@pytest.mark.parametrize("function", [f for f in LOCKED if "{" in f["paths"][0]], ids=name)
def test_an_id_that_does_not_exist_is_404(function: dict[str, Any], world: Any) -> None:
    """Never a 500, never an empty success (a deletion, which may be repeated, is 204)."""
    answer = world.request(function["method"], address(function), body={} if "body" in function else None)
    expected = (400, 404) if "body" in function else (204, 404) if function["method"] == "DELETE" else (404,)
    assert answer.status in expected, answer.content


@pytest.mark.stack
@pytest.mark.parametrize("function", STEPS, ids=name)
def test_a_step_cannot_be_called_by_a_user(function: dict[str, Any], world: Any) -> None:
    """A person's token is no service token."""
    answer = world.request("POST", f"/_fn/{function['name']}", body={})
    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")
