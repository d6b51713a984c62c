"""docs/openapi.yaml against the running product, by requests that schemathesis makes up from it.

Half of them name things that exist, in one team made for this; the others are whatever the schema allows,
and what it does not. Every answer must be one that the document has: its status, its type, its schema, its
headers. The requests are the same in each run.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.structure.test_isolation import _own

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES, THOROUGH = 5, 15
"""Requests for each operation and kind; the second with `--thorough`."""
LEFT_OUT = {
    "chat-stream": "a stream lasts for as long as a turn; tests/flows and the client's tests read them",
    "chat-stream-2": "the same function",
    "chat-turn-events": "a stream",
    "dashboards-generate": "a stream",
    "auth-logout": "it would end the token that all other requests carry",
    "auth-revoke-token": "the same, as soon as an id is drawn that exists",
    "auth-dev-login": "it signs in whoever is drawn: hundreds of people in the directory of a shared stack",
}

schema: Any = schemathesis.openapi.from_path(ROOT / "docs" / "openapi.yaml")
OPERATIONS = {
    one.ok().definition.raw["operationId"]: one.ok() for one in schema.get_all_operations()
}  # fmt: skip
STREAMS = {
    name
    for name, operation in OPERATIONS.items()
    if any(
        "text/event-stream" in answer.get("content", {})
        for answer in operation.definition.raw["responses"].values()
    )
}


def test_what_is_left_out_exists_and_every_stream_is() -> None:
    """An exception for a function that is gone would hide the next one of its name."""
    assert set(LEFT_OUT) <= set(OPERATIONS)
    assert set(LEFT_OUT) >= STREAMS


@pytest.fixture(scope="module")
def belongings(world: Any) -> tuple[Any, dict[str, Any]]:
    """Somebody with a team, and one thing of each kind that exists in it."""
    from tests.flows.chains import connection

    person = world.person("schemathesis")
    team = world.team(person, "Schemathesis")
    connection_id = connection(world, as_=person, team=team)
    scan = world.post("/v1/onboarding/catalog/scan", {"connection_id": connection_id}, as_=person)
    world.wait_job(scan.json["job_id"], as_=person)
    values = _own(world, person, team, connection_id, f"schema-{uuid.uuid4().hex[:10]}")
    return person, values


@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does-not-fit"]
)
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in LEFT_OUT])
def test_every_answer_is_as_the_document_says(
    name: str,
    mode: GenerationMode,
    world: Any,
    belongings: tuple[Any, dict[str, Any]],
    pytestconfig: pytest.Config,
) -> None:
    """No server error, no status, type, header or body that is not described."""
    operation, (person, values) = OPERATIONS[name], belongings
    if "administrator of the platform" in operation.definition.raw["description"]:
        person = world.admin
    if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
        pytest.skip("it takes nothing that could be wrong")

    @settings(
        max_examples=THOROUGH if pytestconfig.getoption("thorough") else EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def ask(case: Any, real: bool) -> None:
        if real:
            _name_what_exists(case, values)
        headers = {"Authorization": f"Bearer {person.token}"}
        # The server in front of all functions refuses a longer request line, with 414.
        assume(len(str(case.as_transport_kwargs().get("params", ""))) + len(case.formatted_path) < 4000)
        answer = case.call(base_url=world.url, headers=headers, allow_redirects=False)
        try:
            case.validate_response(answer, checks=CHECKS, headers=headers)
        except FailureGroup as group:
            raise AssertionError("\n".join(str(one) for one in group.exceptions)) from None

    ask()


def _can_be_wrong(operation: Any) -> bool:
    raw = operation.definition.raw
    return bool(raw.get("requestBody") or raw.get("parameters"))


def _name_what_exists(case: Any, values: dict[str, Any]) -> None:
    """Put the ids of things that exist where the case names any."""
    for container in (case.path_parameters, case.query, case.body):
        if isinstance(container, dict):
            for name in set(container) & set(values):
                container[name] = values[name]
