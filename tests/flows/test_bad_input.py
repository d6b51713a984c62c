"""Bad input through the real doors: a clear error with code, field and reason, and nothing changed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.platform.edge.declare import Declaration
from shared.platform.paging import Page, cursor
from tests.conftest import Answer, World
from tests.flows.chains import Team, document, team_of
from tests.flows.post import MANIFEST, ROOT, Post
from tools.manifest import declarations

pytestmark = pytest.mark.stack

NOBODY = "01900000-0000-7000-8000-000000000000"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8)
)
UNCHANGED = (
    "teams", "connections", "datasets", "jobs", "scans", "sessions", "turns", "dashboards", "dashboard_versions",
    "outbox", "attempts", "dead_letters", "audit_log", "access_tokens",
)  # fmt: skip


@pytest.fixture(scope="module")
def team(world: World, post: Post) -> Team:
    """A team with a validated connection."""
    return team_of(world, post)


@pytest.fixture
def nothing_changes(world: World, post: Post, team: Team) -> Iterator[None]:
    """Rows and objects are counted before and after. Not counted are attempts of what goes on by itself:
    the clock's steps, and the watch over turns of earlier tests (a new turn would show as a row of its own)."""
    by_themselves = ["chat-resume-turn", *(step["name"] for step in MANIFEST if step["kind"] == "scheduled")]

    def counts() -> dict[str, int]:
        sizes = " UNION ALL ".join(
            f"SELECT '{table}' AS name, count(*) AS n FROM {table}"
            + (" WHERE step <> ALL(:by_themselves)" if table == "attempts" else "")
            for table in UNCHANGED
        )
        found = {row["name"]: int(row["n"]) for row in post.sql(sizes, by_themselves=by_themselves)}
        for role in ("credentials", "catalog", "sessions", "dashboards"):
            found[role] = len(post.objects(role))
        return found

    post.wait_quiet()
    before = counts()
    yield
    assert counts() == before


def check(answer: Answer, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """The envelope says what is wrong, where and why."""
    assert answer.status == status, answer.content
    error = answer.error
    assert error["code"] == code, error
    assert error["message"]
    assert error["retryable"] is False
    assert error["correlation_id"] == answer.headers["X-Correlation-Id"]
    if field is not None:
        assert error["field"] == field, error
        assert error["reason"], error
    problem = answer.json
    assert (problem["status"], bool(problem["type"]), bool(problem["title"])) == (status, True, True)
    assert "Traceback" not in answer.content.decode()
    return error


# JSON and types --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "MALFORMED_JSON"),
        (b'{"name": ', "MALFORMED_JSON"),
        (b'{"name": "a", "name": "b"}', "MALFORMED_JSON"),
        (b'{"name": NaN}', "MALFORMED_JSON"),
        (b'{"name": "\xff"}', "MALFORMED_JSON"),
        (b'{"name": "\\ud800"}', "MALFORMED_JSON"),
        (b"[" * 5_000 + b"]" * 5_000, "MALFORMED_JSON"),
        (b'{"name": 7}', "VALIDATION_ERROR"),
        (b'{"name": null}', "VALIDATION_ERROR"),
        (b'{"name": "A team", "role": "owner"}', "VALIDATION_ERROR"),
        (b"{}", "VALIDATION_ERROR"),
    ],
)
@pytest.mark.usefixtures("nothing_changes")
def test_malformed_json_and_wrong_types_are_refused(raw: bytes, code: str, world: World, team: Team) -> None:
    """Broken, ambiguous, too deep, of the wrong type, with fields that nobody asked for."""
    answer = world.request(
        "POST",
        "/v1/onboarding/teams",
        raw=raw,
        headers={"Content-Type": "application/json"},
        as_=team.person,
    )
    error = check(answer, 400, code)
    if code == "VALIDATION_ERROR":
        assert error["field"]
        assert error["reason"]


@pytest.mark.usefixtures("nothing_changes")
def test_an_oversized_body_is_refused_by_its_length(world: World, team: Team) -> None:
    """Also when it is a document that would be fine if it were shorter."""
    body = {"team_id": team.id, "yaml_content": "# " + "x" * 2_000_000}
    error = check(world.post("/v1/dashboards", body, as_=team.person), 413, "PAYLOAD_TOO_LARGE")
    assert error["details"]["max_bytes"] <= 1 << 20


@pytest.mark.parametrize(
    "path",
    ["/v1/onboarding/connections?team_id={team}&limit=0", "/v1/onboarding/connections?team_id={team}&limit=x",
     "/v1/onboarding/connections?team_id={team}&cursor=e30", "/v1/onboarding/connections?team_id={team}&nothing=1",
     "/v1/onboarding/connections?team_id=not-an-id"],
)  # fmt: skip
@pytest.mark.usefixtures("nothing_changes")
def test_bad_parameters_are_named(path: str, world: World, team: Team) -> None:
    """A list says which of its parameters is wrong."""
    answer = world.get(path.replace("{team}", team.id), as_=team.person)
    assert answer.status == 400, answer.content
    assert answer.error["field"]
    assert answer.error["reason"]


LISTS = [
    one for one in declarations() if one.query and issubclass(one.query, Page) and "{" not in one.paths[0]
]
OTHER_LISTS = (cursor("x", "y"), cursor(1, 2), cursor("2026-01-01", "\0"), cursor("\ud800"), cursor(10**99))


@pytest.mark.parametrize("declaration", LISTS, ids=lambda one: one.name)
def test_every_list_refuses_the_cursor_of_another(declaration: Declaration, world: World) -> None:
    """A cursor is the client's word: none of them reaches the directory unread."""
    wanted = declaration.query.model_fields if declaration.query else {}
    ids = {"team_id": world.team_id, "connection_id": world.connection_id}
    if "dataset_id" in wanted:
        path = f"/v1/onboarding/catalog/datasets?connection_id={world.connection_id}"
        ids = {"dataset_id": world.get(path).json["datasets"][0]["id"]}
    named = "&".join(f"{name}={ids[name]}" for name in ids if name in wanted)
    for given in OTHER_LISTS:
        answer = world.get(f"{declaration.paths[0]}?cursor={given}&{named}")
        assert (answer.status, answer.error["field"]) == (400, "cursor"), answer.content


# Ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"/v1/onboarding/connections/{NOBODY}/validate", None),
        ("POST", "/v1/onboarding/catalog/scan", {"connection_id": NOBODY}),
        ("POST", f"/v1/chat/sessions/{NOBODY}/stream", {"message": "Hello"}),
        ("POST", "/v1/dashboards/generate", {"connection_id": NOBODY, "user_prompt": "Hello"}),
        ("POST", "/v1/dashboards", {"team_id": NOBODY, "yaml_content": "x: 1"}),
        ("GET", f"/v1/onboarding/jobs/{NOBODY}", None),
        ("GET", "/v1/dashboards/no-such-dashboard", None),
        ("GET", "/v1/onboarding/jobs/not-an-id", None),
    ],
)
@pytest.mark.usefixtures("nothing_changes")
def test_unknown_ids_are_not_found(method: str, path: str, body: Any, world: World, team: Team) -> None:
    """And begin nothing."""
    check(world.request(method, path, body, as_=team.person), 404, "NOT_FOUND")


# Service-account files -------------------------------------------------------------------------


def _without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda file: {key: value for key, value in file.items() if key != name}


def _with(**changed: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda file: file | changed


FILES: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("no project_id", _without("project_id"), "credentials.project_id"),
    ("no client_email", _without("client_email"), "credentials.client_email"),
    ("no private_key", _without("private_key"), "credentials.private_key"),
    ("another type", _with(type="authorized_user"), "credentials.type"),
    ("another universe", _with(universe_domain="example.com"), "credentials.universe_domain"),
    ("broken PEM", _with(private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "credentials.private_key"),
    ("a number for a key", _with(private_key=7), "credentials.private_key"),
    ("a project that is a path", _with(project_id="../other"), "credentials.project_id"),
    ("an address that is none", _with(client_email="nobody"), "credentials.client_email"),
    ("a field of another kind of file", _with(refresh_token="x"), "credentials.refresh_token"),
    ("a list", lambda file: [file], "credentials"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "field"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
@pytest.mark.usefixtures("nothing_changes")
def test_a_bad_service_account_file_is_refused_by_field(
    spoil: Callable[[dict[str, Any]], Any], field: str, world: World, team: Team
) -> None:
    """Each field that is missing, of the wrong kind or broken is named, and no part of the file repeated."""
    file = json.loads((world.stack.home / "identity" / "warehouse.json").read_text())
    encoded = base64.b64encode(json.dumps(spoil(file)).encode()).decode()
    answer = _connect(world, team, encoded)
    check(answer, 400, "VALIDATION_ERROR", field)
    assert file["private_key"].splitlines()[3] not in answer.content.decode()


@pytest.mark.parametrize("encoded", ["%%%", "AAAA", base64.b64encode(b'{"a": 1, "a": 2}').decode(), "é" * 8])
@pytest.mark.usefixtures("nothing_changes")
def test_broken_base64_is_refused(encoded: str, world: World, team: Team) -> None:
    """As credentials, before anything is stored."""
    check(_connect(world, team, encoded), 400, "VALIDATION_ERROR", "credentials")


def _connect(world: World, team: Team, encoded: str) -> Answer:
    body = {"team_id": team.id, "name": f"Bad {uuid.uuid4().hex[:6]}", "connection_type": "bigquery"}
    return world.post("/v1/onboarding/connections", body | {"credentials": encoded}, as_=team.person)


# SQL and YAML ----------------------------------------------------------------------------------

WRITES = [
    "DELETE FROM `bridge-local.economy.unemployment` WHERE TRUE",
    "DROP TABLE `bridge-local.economy.unemployment`",
    "CREATE TABLE `bridge-local.economy.copy` AS SELECT 1 AS rate",
    "INSERT INTO `bridge-local.economy.unemployment` (rate) VALUES (1)",
    "SELECT 1 AS rate; DROP TABLE `bridge-local.economy.unemployment`",
    "EXECUTE IMMEDIATE 'DROP TABLE t'",
    "EXPORT DATA OPTIONS(uri='gs://b/*', format='CSV') AS SELECT 1 AS rate",
    "SELECT * FROM EXTERNAL_QUERY('c', 'DELETE FROM t')",
]


def _writing(team: Team, sql: str) -> str:
    return document(f"bad-{uuid.uuid4().hex[:8]}", team.connection_id).replace(
        "sql: SELECT MAX(rate) AS rate FROM `bridge-local.economy.unemployment`", f"sql: {json.dumps(sql)}"
    )


@pytest.mark.parametrize("sql", WRITES)
@pytest.mark.usefixtures("nothing_changes")
def test_sql_that_writes_is_refused_in_a_document(sql: str, world: World, team: Team) -> None:
    """Checking it says so at the query's place, and saving it is refused."""
    body = {"team_id": team.id, "yaml_content": _writing(team, sql)}
    report = world.post("/v1/dashboards/validate", body, as_=team.person)
    assert report.status == 200
    assert report.json["valid"] is False
    assert any(problem["path"].startswith("queries") for problem in report.json["errors"]), report.json
    refused = check(world.post("/v1/dashboards", body, as_=team.person), 422, "DASHBOARD_INVALID")
    assert refused["field"].startswith("queries")
    rows = world.get(f"/v1/onboarding/catalog/datasets?connection_id={team.connection_id}", as_=team.person)
    assert rows.status == 200


@pytest.mark.parametrize(
    ("yaml", "word"),
    [
        (BOMB, "alias"),
        ("a: !!python/object/apply:os.system ['true']", "tag"),
        ("a: 1\na: 2", "twice"),
        ("[" * 200 + "]" * 200, "deep"),
        ("a: [", ""),
        ("- just\n- a list", ""),
        ("", ""),
    ],
    ids=["bomb", "tag", "duplicate", "deep", "broken", "list", "empty"],
)
@pytest.mark.usefixtures("nothing_changes")
def test_yaml_that_is_no_document_is_refused(yaml: str, word: str, world: World, team: Team) -> None:
    """Bombs, tags, duplicate keys, depth: refused before they cost anything, with a line."""
    body = {"team_id": team.id, "yaml_content": yaml}
    answer = world.post("/v1/dashboards", body, as_=team.person)
    if yaml == "":
        check(answer, 400, "VALIDATION_ERROR", "yaml_content")
        return
    error = check(answer, 422, "DASHBOARD_INVALID")
    assert word in error["message"].lower(), error["message"]


@pytest.mark.usefixtures("nothing_changes")
def test_the_agents_tools_refuse_what_the_worst_model_could_send(world: World, team: Team) -> None:
    """SQL that writes or reads elsewhere, a document that was never validated, another team's connection."""
    text = document(f"bad-{uuid.uuid4().hex[:8]}", team.connection_id)
    elsewhere = "SELECT * FROM `other-project.secrets.keys`"
    calls: list[tuple[str, dict[str, Any]]] = [
        *(("run_dry_run_query", {"sql": sql}) for sql in [*WRITES, elsewhere]),
        *(("preview_query", {"sql": sql}) for sql in [*WRITES, elsewhere]),
        ("save_dashboard_yaml", {"yaml_content": text}),
        ("run_dry_run_query", {"sql": "SELECT 1 AS one", "team_id": world.team_id}),
        ("get_dashboard", {"slug": "../../etc"}),
    ]
    outcomes = _tool_calls(world, team, team.connection_id, calls)
    assert [kind for kind, _ in outcomes] == ["refused"] * len(calls), outcomes
    codes = {code for _, code in outcomes}
    assert codes >= {"QUERY_NOT_READ_ONLY", "DATASET_NOT_ALLOWED", "NOT_VALIDATED", "INVALID_ARGUMENTS"}, (
        outcomes
    )
    reading: list[tuple[str, dict[str, Any]]] = [("list_tables", {}), ("list_datasets", {})]
    foreign = _tool_calls(world, team, world.connection_id, reading)
    assert foreign == [["refused", "NOT_FOUND"]] * 2


def _tool_calls(
    world: World, team: Team, connection_id: str, calls: list[tuple[str, dict[str, Any]]]
) -> list[list[str]]:
    order = {
        "team": team.id, "user": team.person.user_id, "session": NOBODY, "connection": connection_id, "calls": calls,
    }  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-m", "tests.flows.toolcall"],
        cwd=ROOT,
        env={**os.environ, **world.stack.env, "PYTHONPATH": str(ROOT)},
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return list(json.loads(ran.stdout))
