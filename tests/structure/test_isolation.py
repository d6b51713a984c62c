"""Two teams over one stack: whatever of the other team's a stranger names, it might as well not exist.

The matrix is the manifest: every function that knows its caller, every path of it, every parameter that
names something. A parameter of a new name fails the first test until somebody says what kind it is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import itertools
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Answer, Person, World
from tests.flows.chains import connection, credentials, document
from tests.flows.post import MANIFEST, Post

ENDPOINTS = [f for f in MANIFEST if f["kind"] in ("http", "sse") and f["role"] != "public"]

IDS = (
    "team_id", "connection_id", "dataset_id", "dataset_ids", "table_id", "job_id", "session_id", "turn_id",
    "token_id", "slug", "yaml_content", "letter_id",
)  # fmt: skip
"""Parameters that name something of a team. A document names its connection."""
PLAIN: dict[str, Any] = {
    "number": "1", "query": "yearly", "q": "delay", "name": "A name", "connection_type": "bigquery",
    "message": "Hello", "user_prompt": "Hello", "expected_generation": 1, "limit": 5, "reason": "A reason",
    "enabled": True,
}  # fmt: skip
"""Parameters that name nothing of anybody, with a valid value. `credentials` is made at run time."""
LEFT_OUT = {
    "limit", "cursor", "offset", "tag", "owner", "view_type", "status", "provider", "model", "tools", "scopes",
    "expires_in_days", "include_tool_results", "before", "after", "include_archived", "data_types", "order", "role",
    "until", "action", "actor", "target", "since", "state", "kind", "step", "code", "replayed",
}  # fmt: skip
"""Optional parameters that only narrow an answer."""

TELLS_IN_ITS_ANSWER = {("catalog-search", "connection_id"), ("dashboards-validate", "yaml_content")}
"""Where 200 is right: a filter that matches nothing of the caller's, and a report of what is wrong."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of a function."""

    name: str
    place: str
    required: bool


@dataclasses.dataclass(frozen=True)
class Owned:
    """One thing of each kind that a team has."""

    person: Person
    values: dict[str, Any]

    def secrets(self) -> list[str]:
        """What must not show in a stranger's answer."""
        flat = [value for name, value in self.values.items() if name not in ("dataset_ids", "yaml_content")]
        return [*flat, self.person.email.replace("demo@bridge.local", "-- the demo's address is public --")]


def parameters(function: dict[str, Any], path: str) -> list[Parameter]:
    """Everything that a caller can name, from the declaration itself."""
    door = getattr(importlib.import_module(function["module"]), function["entry_point"]).__bridge__
    found = [Parameter(name, "path", True) for name in re.findall(r"\{([a-z_]+)", path)]
    for place in ("query", "body"):
        model = getattr(door, place)
        for name, field in model.model_fields.items() if model else ():
            if all(name != known.name for known in found):
                found.append(Parameter(name, place, field.is_required()))
    return found


CASES = [(function, path) for function in ENDPOINTS for path in function["paths"]]


def case_name(value: Any) -> str:
    return value["name"] if isinstance(value, dict) else re.sub(r"[^a-z_{}]+", "-", str(value)).strip("-")


def test_every_parameter_of_every_function_has_a_kind() -> None:
    """Somebody decided whether it names a thing of a team: a new one is decided here, not forgotten."""
    known = {*IDS, *PLAIN, *LEFT_OUT, "credentials"}
    new = {
        f"{function['name']}: {parameter.name}"
        for function, path in CASES
        for parameter in parameters(function, path)
        if parameter.name not in known
    }
    assert not new


def test_every_id_in_a_path_is_in_the_matrix() -> None:
    """No path parameter counts as plain that ends in _id."""
    named = {name for _, path in CASES for name in re.findall(r"\{([a-z_]+)\}", path)}
    assert {name for name in named if name.endswith("_id") or name == "slug"} <= set(IDS)


# The two teams ---------------------------------------------------------------------------------


def _turn(world: World, person: Any, team: str, connection_id: str) -> tuple[str, str]:
    made = world.post("/v1/chat/sessions", {"team_id": team, "provider": "builtin"}, as_=person)
    assert made.status == 201, made.content
    session = made.json["session_id"]
    body = {"message": "Hello there", "connection_id": connection_id}
    said = world.post(f"/v1/chat/sessions/{session}/stream", body, as_=person)
    assert said.status == 200, said.content
    found = re.search(rb'"turn_id":"([0-9a-f-]{36})"', said.content)
    assert found
    return session, found[1].decode()


def _own(world: World, person: Any, team: str, connection_id: str, slug: str) -> dict[str, Any]:
    """The things of a team, made or found through the doors."""
    sets = world.get(f"/v1/onboarding/catalog/datasets?connection_id={connection_id}", as_=person).json
    dataset = sets["datasets"][0]["id"]
    tables = world.get(f"/v1/onboarding/catalog/datasets/{dataset}/tables", as_=person).json["tables"]
    job = world.post(f"/v1/onboarding/connections/{connection_id}/validate", as_=person).json["job_id"]
    world.wait_job(job, as_=person)
    session, turn = _turn(world, person, team, connection_id)
    text = document(slug, connection_id)
    saved = world.post("/v1/dashboards", {"team_id": team, "yaml_content": text}, as_=person)
    assert saved.status == 201, saved.content
    token = world.get("/v1/auth/tokens", as_=person).json["tokens"][0]["id"]
    return {
        "team_id": team, "connection_id": connection_id, "dataset_id": dataset, "dataset_ids": [dataset],
        "table_id": tables[0]["id"], "job_id": job, "session_id": session, "turn_id": turn, "token_id": token,
        "slug": slug, "yaml_content": text,
    }  # fmt: skip


def _letter(post: Post, team: str) -> dict[str, str]:
    """A dead letter of the team's work, which only administrators of the platform see."""
    id = str(uuid.uuid4())
    post.sql(
        "INSERT INTO dead_letters (id, step, key, payload, error_code, error_message, job_team)"
        " VALUES (:id, 'catalog-scan-dataset', '', '{}', 'MALFORMED_EVENT', '', :team)",
        id=id,
        team=team,
    )
    return {"letter_id": id}


@pytest.fixture(scope="module")
def post(world: World) -> Iterator[Post]:
    """A look behind the doors."""
    with contextlib.closing(Post(world.stack)) as made:
        yield made


@pytest.fixture(scope="module")
def first(world: World, post: Post) -> Owned:
    """The demo team, with one thing of each kind."""
    return Owned(
        world.admin,
        _own(world, world.admin, world.team_id, world.connection_id, f"first-{uuid.uuid4().hex[:10]}")
        | _letter(post, world.team_id),
    )


@pytest.fixture(scope="module")
def stranger(world: World, first: Owned, post: Post) -> Owned:
    """Somebody with a team and things of their own, and nothing of the first team's."""
    person = world.person("stranger")
    team = world.team(person, "Strangers")
    connection_id = connection(world, as_=person, team=team)
    scan = world.post("/v1/onboarding/catalog/scan", {"connection_id": connection_id}, as_=person)
    world.wait_job(scan.json["job_id"], as_=person)
    things = _own(world, person, team, connection_id, f"other-{uuid.uuid4().hex[:10]}")
    owned = Owned(person, things | _letter(post, team))
    post.wait_quiet()
    return owned


def _missing(name: str, first: Owned) -> Any:
    """What does not exist, in the form of what does."""
    nobody = str(uuid.uuid4())
    if name == "dataset_ids":
        return [nobody]
    if name == "slug":
        return f"none-{uuid.uuid4().hex}"[: len(first.values["slug"])]
    if name == "yaml_content":
        return first.values["yaml_content"].replace(first.values["connection_id"], nobody)
    return nobody


# Asking ----------------------------------------------------------------------------------------


def _choices(function: dict[str, Any], path: str) -> Iterator[tuple[list[Parameter], set[str]]]:
    """Which parameters are given, and which of those name the other team's: each alone, then all."""
    known = parameters(function, path)
    ids = [p for p in known if p.name in IDS]
    always = [p for p in known if p.required]
    for one in ids:
        yield [*always, *(p for p in (one,) if p not in always)], {one.name}
    if len(ids) > 1:
        yield [*always, *(p for p in ids if p not in always)], {p.name for p in ids}


def _ask(
    world: World,
    function: dict[str, Any],
    path: str,
    given: list[Parameter],
    values: dict[str, Any],
    as_: Person,
) -> Answer:
    query, body = [], {}
    for parameter in given:
        value = values[parameter.name]
        if parameter.place == "path":
            path = path.replace(f"{{{parameter.name}}}", str(value))
        elif parameter.place == "query":
            query.append(f"{parameter.name}={value}")
        else:
            body[parameter.name] = value
    headers = {"If-Match": '"1"'} if function["method"] == "PUT" else None
    address = path + ("?" + "&".join(query) if query else "")
    return world.request(
        function["method"], address, body if "body" in function else None, as_=as_, headers=headers
    )


def _face(answer: Answer, values: dict[str, Any], named: set[str]) -> tuple[int, dict[str, str], str]:
    """An answer without what differs between any two requests, and without the ids that were asked for."""
    text = answer.content.decode()
    for name in named:
        for value in values[name] if isinstance(values[name], list) else [values[name]]:
            text = text.replace(json.dumps(str(value))[1:-1], f"<{name}>")
        if name == "yaml_content":
            text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r'"(correlation_id|trace_id)":"[^"]*"', r'"\1":"…"', text)
    passing = {"date", "x-correlation-id", "content-length", "traceparent", "ratelimit"}
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in passing}
    return answer.status, headers, text


def _belongings(post: Post, team: str) -> dict[str, Any]:
    """All that the directory and the lake have of a team."""
    tables = [
        str(row["table_name"])
        for row in post.sql(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'team_id'"
            " AND table_schema = 'public' AND table_name IN (SELECT tablename FROM pg_tables) ORDER BY 1"
        )
    ]
    counted = " UNION ALL ".join(
        f"SELECT '{table}' AS name, count(*) AS rows, md5(string_agg(t::text, '|' ORDER BY t::text)) AS content"
        f"  FROM {table} t WHERE team_id = :team"
        for table in tables
    )
    found: dict[str, Any] = {row["name"]: row for row in post.sql(counted, team=team)}
    for role in ("credentials", "sessions", "dashboards"):
        found[role] = [
            {"name": o["name"], "generation": o["generation"]} for o in post.objects(role, f"{team}/")
        ]
    return found


@pytest.mark.stack
@pytest.mark.parametrize(("function", "path"), CASES, ids=case_name)
def test_the_other_teams_things_answer_as_if_they_did_not_exist(
    function: dict[str, Any], path: str, world: World, first: Owned, stranger: Owned, post: Post
) -> None:
    """Status, headers and body are the same bytes as for a missing id, nothing leaks and nothing changes."""
    before = _belongings(post, first.values["team_id"])
    plain = PLAIN | {"credentials": credentials(world)}
    for given, foreign in _choices(function, path):
        others = plain | stranger.values
        theirs = others | {name: first.values[name] for name in foreign}
        nobodys = others | {name: _missing(name, first) for name in foreign}
        real = _ask(world, function, path, given, theirs, stranger.person)
        absent = _ask(world, function, path, given, nobodys, stranger.person)
        assert _face(real, theirs, foreign) == _face(absent, nobodys, foreign), f"naming {sorted(foreign)}"
        told = all((function["name"], name) in TELLS_IN_ITS_ANSWER for name in foreign)
        refused = (204, 404) if function["method"] == "DELETE" else (200,) if told else (400, 404, 422)
        if function["role"] == "platform_admin":
            refused = (403,)
        assert real.status in refused, real.content
        sent = {str(theirs[name]) for name in foreign}
        for secret in first.secrets():
            # A refusal may repeat what it was asked for, and nothing else of the other team's.
            assert secret in sent or secret not in real.content.decode() or secret in json.dumps(theirs)
    assert _belongings(post, first.values["team_id"]) == before


LISTS = [
    (function, path)
    for function, path in CASES
    if function["method"] == "GET"
    and not any(p.required and p.place == "path" for p in parameters(function, path))
]


@pytest.mark.stack
@pytest.mark.parametrize(("function", "path"), LISTS, ids=case_name)
def test_a_list_never_shows_the_other_teams_things(
    function: dict[str, Any], path: str, world: World, first: Owned, stranger: Owned
) -> None:
    """Asked in every permitted way, a stranger's lists hold the stranger's own."""
    known = parameters(function, path)
    always = [p for p in known if p.required]
    optional = [p for p in known if not p.required and p.name in IDS]
    for count in range(len(optional) + 1):
        for chosen in itertools.combinations(optional, count):
            answer = _ask(world, function, path, [*always, *chosen], PLAIN | stranger.values, stranger.person)
            allowed = (403,) if function["role"] == "platform_admin" else (200, 400, 404)
            assert answer.status in allowed, answer.content
            for secret in first.secrets():
                assert secret not in answer.content.decode()


@pytest.mark.stack
def test_the_owner_does_see_what_the_stranger_does_not(world: World, first: Owned) -> None:
    """The things of the matrix exist: without this, every answer above could be about nothing."""
    v = first.values
    for path in (
        f"/v1/onboarding/teams/{v['team_id']}",
        f"/v1/onboarding/connections/{v['connection_id']}",
        f"/v1/onboarding/catalog/datasets/{v['dataset_id']}/tables",
        f"/v1/onboarding/catalog/tables/{v['table_id']}/schema",
        f"/v1/onboarding/jobs/{v['job_id']}",
        f"/v1/jobs/{v['job_id']}",
        f"/v1/chat/sessions/{v['session_id']}/messages",
        f"/v1/chat/sessions/{v['session_id']}/turns/{v['turn_id']}/events",
        f"/v1/dashboards/{v['slug']}?team_id={v['team_id']}",
        f"/v1/dashboards/{v['slug']}/versions/1?team_id={v['team_id']}",
    ):
        assert world.get(path).status == 200, path
