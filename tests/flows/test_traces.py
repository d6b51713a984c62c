"""One trace from a person's request to the last step that it caused, across functions, queues and buckets."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from local.patience import until

pytestmark = pytest.mark.stack


def trace_of(world: Any, trace_id: str, told_by: set[str]) -> dict[str, Any]:
    """The trace, once these functions have told their spans."""
    found: dict[str, Any] = {}

    def whole() -> bool:
        answer = world.get(f"/_local/traces/{trace_id}?format=json")
        if answer.status == 200:
            found.update(answer.json)
        return answer.status == 200 and told_by <= set(found["functions"])

    until(whole, lambda: f"{told_by} have told their spans: {found}", pause=0.1)
    return found


def causes(trace: dict[str, Any], name: str, function: str) -> list[str]:
    """The names of the spans above one, up to the request."""
    rows = {row["span_id"]: row for row in trace["rows"]}
    row = next(row for row in rows.values() if (row["name"], row["function"]) == (name, function))
    found = []
    while row["parent_id"] in rows:
        row = rows[row["parent_id"]]
        found.append(row["name"])
    return found


def test_a_step_is_a_child_of_the_request_that_caused_it(world: Any) -> None:
    """A task by its message: the validation of a connection below the request that asked for it."""
    trace_id = uuid.uuid4().hex
    started = world.post(
        f"/v1/onboarding/connections/{world.connection_id}/validate",
        headers={"traceparent": f"00-{trace_id}-{'b7ad6b7169203331'}-01"},
    )
    assert started.status == 202
    trace = trace_of(world, trace_id, {"connections-validate-connection"})
    assert causes(trace, "step.run", "connections-validate-connection") == [
        "connections-validate-connection",
        "POST /v1/onboarding/connections/{connection_id}/validate",
    ]
    step = next(row for row in trace["rows"] if row["name"] == "connections-validate-connection")
    assert 0 <= step["attributes"]["queue_age_ms"] < 30_000


def test_an_event_s_step_is_a_child_of_the_request_that_wrote_the_object(world: Any) -> None:
    """The object carries the trace: a saved document is indexed and warmed below the request that saved it."""
    from tests.flows.chains import document

    trace_id, slug = uuid.uuid4().hex, f"traced-{uuid.uuid4().hex[:10]}"
    text = document(slug, world.connection_id)
    saved = world.post(
        "/v1/dashboards",
        {"team_id": world.team_id, "yaml_content": text},
        headers={"traceparent": f"00-{trace_id}-{'b7ad6b7169203331'}-01"},
    )
    assert saved.status == 201, saved.content
    trace = trace_of(world, trace_id, {"dashboards-index-dashboard"})
    assert causes(trace, "step.run", "dashboards-index-dashboard")[-1] == "POST /v1/dashboards"


def test_the_view_shows_a_request_as_a_page(world: Any) -> None:
    """In the list, by a filter, and as a waterfall; what is gone is 404 in the envelope."""
    trace_id = uuid.uuid4().hex
    world.get("/v1/auth/me", headers={"traceparent": f"00-{trace_id}-{'b7ad6b7169203331'}-01"})
    trace_of(world, trace_id, {"auth-me"})
    listed = world.get(f"/_local/traces?q={trace_id}")
    assert listed.headers["Content-Type"].startswith("text/html")
    assert listed.content.count(b"/_local/traces/" + trace_id.encode()) == 1
    shown = world.get(f"/_local/traces/{trace_id}")
    assert b"<svg" in shown.content
    assert b"GET /v1/auth/me" in shown.content
    assert "'unsafe" not in shown.headers["Content-Security-Policy"]
    assert world.get("/_local/traces.css").headers["Content-Type"].startswith("text/css")
    gone = world.get(f"/_local/traces/{'0' * 32}")
    assert (gone.status, gone.error["code"]) == (404, "NOT_FOUND")
