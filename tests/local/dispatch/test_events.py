"""From a finalized object to the functions that wait for it."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from google.auth.transport import requests as google_requests
from google.oauth2 import id_token

from local.cloud import identity
from local.dispatch import events
from local.patience import until
from tests.local.dispatching import Call, Dispatch, Receiver

Finalize = Callable[..., tuple[int, Any]]


def test_an_event_reaches_every_function_that_waits_for_its_kind(
    finalize: Finalize, receiver: Receiver
) -> None:
    """Two functions match the name, a third waits on another bucket; each delivery is the event itself."""
    assert finalize("c1/flights/s1.json.gz") == (200, {"functions": ["catalog-index", "catalog-audit"]})
    until(lambda: len(receiver.calls) == 2)
    assert sorted(call.path for call in receiver.calls) == ["/_fn/catalog-audit", "/_fn/catalog-index"]
    call = receiver.calls[0]
    headers = {name.lower(): value for name, value in call.headers.items()}
    assert headers["ce-type"] == "google.cloud.storage.object.v1.finalized"
    assert headers["ce-source"] == "//storage.googleapis.com/projects/_/buckets/bridge-local-catalog"
    assert headers["ce-subject"] == "objects/c1/flights/s1.json.gz"
    assert json.loads(call.body)["generation"] == "7"


@pytest.mark.parametrize(
    ("bucket", "name", "functions"),
    [
        ("bridge-local-catalog", "c1/flights/s1.json", ["catalog-index", "catalog-audit"]),
        ("bridge-local-catalog", "anything", ["catalog-index", "catalog-audit"]),
        ("bridge-local-dashboards", "t/sales.yaml", ["dashboards-index"]),
        ("other-dashboards", "t/sales.yaml", []),
        ("bridge-local-cache", "t/sales.yaml", []),
    ],
)
def test_every_function_on_a_bucket_hears_of_all_its_objects(
    finalize: Finalize, bucket: str, name: str, functions: list[str]
) -> None:
    """As with Eventarc, which filters by bucket alone; the pattern is the function's own concern."""
    assert finalize(name, bucket)[1]["functions"] == functions


def test_a_delivery_carries_a_token_of_the_events_account(
    finalize: Finalize, dispatch: Dispatch, receiver: Receiver
) -> None:
    """The audience is the address that Cloud Run gives the service; the identity is Eventarc's, not that of the queues."""
    finalize("t/sales.yaml", "bridge-local-dashboards")
    token = until(lambda: receiver.calls)[0].headers["Authorization"].removeprefix("Bearer ")
    with google_requests.requests.Session() as session:
        claims = id_token.verify_token(
            token,
            google_requests.Request(session),
            audience=identity.run_address("dashboards-index"),
            certs_url=f"http://127.0.0.1:{dispatch.port}/_local/oidc/certs",
        )
    assert claims["email"] == "events@bridge-local.iam.gserviceaccount.com"


def test_a_failing_function_is_tried_again_and_then_is_a_dead_letter(
    finalize: Finalize, dispatch: Dispatch, receiver: Receiver
) -> None:
    """Three failures: the delivery is kept apart with its reason, and an admin can send it again."""
    receiver.script = lambda _call: 500
    finalize("t/sales.yaml", "bridge-local-dashboards", ce_id="e1")
    (dead,) = until(lambda: dispatch.ask("GET", "/_local/events/dead")[1]["dead"])
    assert len(receiver.calls) == 3
    assert (dead["id"], dead["function"], dead["attempts"]) == ("e1", "dashboards-index", 3)
    assert dead["reason"] == "HTTP status 500"
    receiver.script = lambda _call: 200
    assert dispatch.ask("POST", "/_local/events/dead/e1/replay") == (200, {"replayed": 1})
    until(lambda: len(receiver.calls) == 4)
    until(dispatch.idle)
    assert dispatch.ask("GET", "/_local/events/dead")[1]["dead"] == []
    assert dispatch.ask("POST", "/_local/events/dead/e1/replay")[0] == 404


def test_the_wait_doubles_and_is_never_shorter_than_asked_for() -> None:
    """From a fifth of a second to ten; a function that says Retry-After is left alone for as long."""
    assert [events.wait_after(failures, None) for failures in range(1, 9)] == [
        0.2,
        0.4,
        0.8,
        1.6,
        3.2,
        6.4,
        10,
        10,
    ]
    assert (events.wait_after(1, 30.0), events.wait_after(8, 0.5)) == (30, 10)


def test_the_same_event_twice_is_kept_once_while_it_waits(
    finalize: Finalize, dispatch: Dispatch, receiver: Receiver
) -> None:
    """A repeated acknowledgement-less post of one event id adds no second delivery to a waiting one."""

    def slow(_call: Call) -> int:
        time.sleep(0.3)
        return 200

    receiver.script = slow
    finalize("t/sales.yaml", "bridge-local-dashboards", ce_id="same")
    finalize("t/sales.yaml", "bridge-local-dashboards", ce_id="same")
    until(dispatch.idle)
    assert len(receiver.calls) == 1


def test_no_acknowledged_event_is_lost_by_sigkill(
    finalize: Finalize, dispatch: Dispatch, receiver: Receiver
) -> None:
    """Thirty events, SIGKILL in the middle of the deliveries: after the restart every one has arrived."""

    def slow(_call: Call) -> int:
        time.sleep(0.05)
        return 200

    receiver.script = slow
    for number in range(30):
        assert finalize(f"t/s{number}.yaml", "bridge-local-dashboards")[0] == 200
    dispatch.kill()
    dispatch.start()
    until(dispatch.idle)
    assert {json.loads(body)["name"] for body in receiver.bodies()} == {f"t/s{n}.yaml" for n in range(30)}


def test_a_gateway_that_is_away_costs_no_attempts(
    dispatch: Dispatch, finalize: Finalize, receiver: Receiver
) -> None:
    """Refused connections are no verdict on the event: however many there are, it is delivered later."""
    port = receiver.port
    dispatch.stop()
    # Nothing listens on port 1: for longer than three attempts take, nobody can be reached.
    dispatch.arguments = tuple(
        argument.replace(f":{port}/", ":1/") if argument.startswith("http") else argument
        for argument in dispatch.arguments
    )
    dispatch.start()
    assert finalize("t/sales.yaml", "bridge-local-dashboards")[0] == 200
    time.sleep(1.2)
    assert dispatch.ask("GET", "/_local/events/dead")[1]["dead"] == []
    dispatch.kill()
    dispatch.arguments = tuple(argument.replace(":1/", f":{port}/") for argument in dispatch.arguments)
    dispatch.start()
    until(lambda: receiver.calls)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"ce_id": ""}, "ce-id"),
        ({"ce_type": "google.cloud.storage.object.v1.deleted"}, "ce-type"),
        ({"ce_source": "//elsewhere"}, "ce-source"),
        ({"ce_subject": "c1/flights"}, "ce-subject"),
    ],
)
def test_what_is_no_event_of_storage_is_refused_with_its_field(
    finalize: Finalize, dispatch: Dispatch, changed: dict[str, str], field: str
) -> None:
    """A malformed event is a 400 that names the header, and nothing is kept."""
    status, answer = finalize("c1/flights/s1.json.gz", **changed)
    assert status == 400
    assert field in answer["error"]
    assert dispatch.idle()
