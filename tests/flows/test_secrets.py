"""Canaries: secrets planted on the path, and every place where they could come to light."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import secrets
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from local.stack.services import BUCKETS, PROJECT
from tests.conftest import Person, World
from tests.flows.chains import connection, document
from tests.flows.post import Post

pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Canaries:
    """What was planted: strings that must not show, and where one legitimately may."""

    private_key: str
    access_token: str
    password: str
    prompt_key: str
    cell: str
    said: list[bytes]
    """Everything that was answered along the way, the access token's own creation left out."""

    def secrets(self) -> dict[str, str]:
        return {
            "private key": self.private_key, "access token": self.access_token, "password": self.password,
            "key in a prompt": self.prompt_key,
        }  # fmt: skip


@pytest.fixture(scope="module")
def planted(world: World, post: Post) -> Canaries:
    """A person who hands secrets in everywhere where something can be handed in."""
    said: list[bytes] = []
    person = world.person("canary")
    team = world.team(person, "Canaries")
    key_file = json.loads((world.stack.home / "identity" / "warehouse.json").read_text())
    password, prompt_key, cell = (f"canary{secrets.token_hex(12)}" for _ in range(3))
    _put_cell(world, cell)

    def ask(method: str, path: str, body: Any = None, as_: Person = person) -> Any:
        answer = world.request(method, path, body, as_=as_)
        said.append(answer.content)
        return answer

    connection_id = connection(world, as_=person, team=team)
    for changed in (
        {"password": password},
        {"private_key": key_file["private_key"][:-40] + password},
        {"type": password},
        {"project_id": f"{password} "},
    ):
        encoded = base64.b64encode(json.dumps(key_file | changed).encode()).decode()
        body = {"team_id": team, "name": "Refused", "connection_type": "bigquery", "credentials": encoded}
        assert ask("POST", "/v1/onboarding/connections", body).status == 400
        path = f"/v1/onboarding/connections/{connection_id}/credentials"
        assert ask("PUT", path, {"credentials": encoded}).status == 400
    good = base64.b64encode(json.dumps(key_file).encode()).decode()
    rotated = ask("PUT", f"/v1/onboarding/connections/{connection_id}/credentials", {"credentials": good})
    assert rotated.status == 200
    job = ask("POST", f"/v1/onboarding/connections/{connection_id}/validate").json["job_id"]
    assert world.wait_job(job, as_=person)["state"] == "completed"
    scan = ask("POST", "/v1/onboarding/catalog/scan", {"connection_id": connection_id}).json["job_id"]
    assert world.wait_job(scan, as_=person)["state"] == "completed"
    ask("GET", f"/v1/onboarding/connections/{connection_id}")
    ask("GET", f"/v1/onboarding/connections?team_id={team}")

    session = ask("POST", "/v1/chat/sessions", {"team_id": team, "provider": "builtin"}).json["session_id"]
    message = (
        f"My key is sk-ant-api03-{prompt_key} and my token is {person.token}, password={password}. "
        f"{key_file['private_key']}\nShow the highest unemployment rate by year"
    )
    stream = f"/v1/chat/sessions/{session}/stream"
    assert ask("POST", stream, {"message": message, "connection_id": connection_id}).status == 200
    ask("GET", f"/v1/chat/sessions/{session}/messages?limit=200")

    slug = f"canary-{uuid.uuid4().hex[:8]}"
    text = document(slug, connection_id).replace(
        "SELECT MAX(rate) AS rate FROM `bridge-local.economy.unemployment`",
        "SELECT LENGTH(owner) AS rate, owner FROM `bridge-local.canary.accounts`",
    )
    assert ask("POST", "/v1/dashboards", {"team_id": team, "yaml_content": text}).status == 201
    # The one who may see the cell does: otherwise its absence elsewhere would prove nothing.
    assert cell.encode() in world.get(f"/v1/dashboards/{slug}/data", as_=person).content
    # A document that can't be read is kept as it is, and nothing else repeats what stands in it.
    post.write("dashboards", f"{team}/{slug}-broken.yaml", f"slug: [{cell}".encode())
    ask("GET", f"/v1/dashboards/{slug}/data?period={prompt_key}")
    post.wait_quiet()
    lines = key_file["private_key"].splitlines()
    return Canaries(lines[len(lines) // 2], person.token, password, prompt_key, cell, said)


def _put_cell(world: World, cell: str) -> None:
    """A table whose one row holds the canary."""
    base = f"{world.stack.env['BIGQUERY_EMULATOR_HOST']}/bigquery/v2/projects/{PROJECT}"
    name = {"projectId": PROJECT, "datasetId": "canary"}
    requests.post(f"{base}/datasets", json={"datasetReference": name})
    query = f"CREATE OR REPLACE TABLE `{PROJECT}.canary.accounts` AS SELECT '{cell}' AS owner"
    made = requests.post(
        f"{base}/jobs", json={"configuration": {"query": {"query": query, "useLegacySql": False}}}
    )
    made.raise_for_status()
    ended = requests.get(f"{base}/queries/{made.json()['jobReference']['jobId']}")
    ended.raise_for_status()
    assert ended.json()["jobComplete"]


# Where they could come to light ----------------------------------------------------------------


def _unpacked(data: bytes) -> bytes:
    for open_ in (gzip.decompress, zlib.decompress):
        with contextlib.suppress(OSError, zlib.error, EOFError):
            return data + open_(data)
    return data


def _logs(world: World, _post: Post) -> Iterator[tuple[str, bytes]]:
    for path in [*(world.stack.home / "logs").glob("*"), world.stack.home / "run.log"]:
        if path.exists():
            yield path.name, path.read_bytes()


def _rows(_world: World, post: Post) -> Iterator[tuple[str, bytes]]:
    for row in post.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        table = row["tablename"]
        for line in post.sql(f"SELECT t::text AS line FROM {table} t"):
            yield table, line["line"].encode()


def _objects(_world: World, post: Post) -> Iterator[tuple[str, bytes]]:
    for role in BUCKETS:
        if role == "assets":
            continue
        for item in post.objects(role):
            yield (
                f"{role}/{item['name']}",
                _unpacked(post.read(role, item["name"])) + json.dumps(item).encode(),
            )


def _documents(_world: World, post: Post) -> Iterator[tuple[str, bytes]]:
    for collection in post.firestore.collections():
        for found in collection.stream():
            parts = [
                _unpacked(value) if isinstance(value, bytes) else str(value).encode()
                for value in (found.to_dict() or {}).values()
            ]
            yield f"{collection.id}/{found.id}", b" ".join(parts)


def _undelivered(world: World, _post: Post) -> Iterator[tuple[str, bytes]]:
    yield "dead events", json.dumps(world.stack.local("GET", "/_local/events/dead")).encode()
    for path in (world.stack.home / "dispatch").glob("*"):
        if path.is_file():
            yield f"dispatch/{path.name}", path.read_bytes()


def _traces(world: World, _post: Post) -> Iterator[tuple[str, bytes]]:
    view = f"{world.stack.url}/_local/traces"
    asked = {"format": "json", "limit": "1000"}
    while True:
        page = requests.get(view, params=asked).json()
        for trace in page["traces"]:
            spans = requests.get(f"{view}/{trace['trace_id']}", params={"format": "json"})
            if spans.status_code != 404:  # Only the latest are kept.
                spans.raise_for_status()
                yield f"trace of {trace['name']}", spans.content
        if page["older"] is None:
            return
        asked["before"] = page["older"]


PLACES = {
    "logs": _logs,
    "rows": _rows,
    "objects": _objects,
    "firestore": _documents,
    "queues": _undelivered,
    "traces": _traces,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_nowhere_where_it_could_be_read(
    place: str, planted: Canaries, world: World, post: Post
) -> None:
    """Keys, tokens and passwords that went in through any door are in no log, row, object, document, queue or trace."""
    looked = 0
    for name, content in PLACES[place](world, post):
        looked += 1
        for kind, secret in planted.secrets().items():
            assert secret.encode() not in content, f"the {kind} is in {name}"
    assert looked > 0


def test_a_secret_is_in_no_answer(planted: Canaries) -> None:
    """No answer and no stream repeats what was handed in, refusals included."""
    assert len(planted.said) > 15
    for content in planted.said:
        for kind, secret in planted.secrets().items():
            assert secret.encode() not in content, f"the {kind} is in {content[:300]!r}"


@pytest.mark.parametrize("place", ["logs", "rows", "queues", "traces"])
def test_a_value_of_the_warehouse_stays_in_results(
    place: str, planted: Canaries, world: World, post: Post
) -> None:
    """Cells are in the result cache and in answers; not in logs, directory rows, messages or traces."""
    looked = 0
    for name, content in PLACES[place](world, post):
        looked += 1
        assert planted.cell.encode() not in content, name
    assert looked > 0


def test_credentials_are_stored_and_sealed(planted: Canaries, world: World, post: Post) -> None:
    """What the canary tests do not find is there all right, only not readable: neither as text nor base64."""
    sealed = [post.read("credentials", item["name"]) for item in post.objects("credentials")]
    assert sealed
    for blob in sealed:
        assert len(blob) > 1000
        assert b"PRIVATE KEY" not in blob
        assert base64.b64encode(b"-----BEGIN PRIV")[:16] not in blob
