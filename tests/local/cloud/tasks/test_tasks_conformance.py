"""Cloud Tasks as its real client meets it; nothing here knows how the server is made."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.transport import requests as google_requests
from google.cloud import tasks_v2
from google.oauth2 import id_token

from local.patience import until
from tests.local.dispatching import LOCATION, Call, Dispatch, Receiver

Make = Callable[..., tasks_v2.Queue]


def http(receiver: Receiver, body: bytes = b"x", **more: Any) -> dict[str, Any]:
    return {"url": receiver.url(), "body": body, **more}


def in_future(seconds: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def test_a_task_is_delivered_with_the_headers_of_the_service(
    client: tasks_v2.CloudTasksClient, queue: str, receiver: Receiver
) -> None:
    """A handler sees its own headers, the body, and the X-CloudTasks headers with short names."""
    before = time.time()
    request = http(
        receiver, b'{"a":1}', headers={"Content-Type": "application/json", "X-CloudTasks-TaskName": "forged"}
    )
    task = client.create_task(parent=queue, task={"name": f"{queue}/tasks/first", "http_request": request})
    until(lambda: receiver.calls)
    headers = receiver.calls[0].headers
    assert receiver.bodies() == [b'{"a":1}']
    assert headers["Content-Type"] == "application/json"
    assert headers["X-CloudTasks-QueueName"] == queue.rsplit("/", 1)[-1]
    assert headers["X-CloudTasks-TaskName"] == "first"
    assert headers["X-CloudTasks-TaskRetryCount"] == headers["X-CloudTasks-TaskExecutionCount"] == "0"
    assert before <= float(headers["X-CloudTasks-TaskETA"]) <= time.time()
    assert "X-CloudTasks-TaskPreviousResponse" not in headers
    assert task.dispatch_deadline == dt.timedelta(minutes=10)
    assert task.http_request.body == b"", "the BASIC view leaves the body out"


def test_the_id_token_is_one_that_the_real_library_accepts(
    client: tasks_v2.CloudTasksClient, dispatch: Dispatch, queue: str, receiver: Receiver
) -> None:
    """google.oauth2.id_token verifies signature, issuer, expiry and audience; another audience fails."""
    oidc = {"service_account_email": "steps@bridge-local.iam.gserviceaccount.com", "audience": "https://step"}
    client.create_task(parent=queue, task={"http_request": http(receiver, oidc_token=oidc)})
    token = until(lambda: receiver.calls)[0].headers["Authorization"].removeprefix("Bearer ")
    certs = f"http://127.0.0.1:{dispatch.port}/_local/oidc/certs"
    with google_requests.requests.Session() as session:
        transport = google_requests.Request(session)
        claims = id_token.verify_token(token, transport, audience="https://step", certs_url=certs)
        assert claims["email"] == oidc["service_account_email"]
        assert claims["email_verified"] is True
        assert claims["iss"] == "https://accounts.google.com"
        with pytest.raises(ValueError, match="audience"):
            id_token.verify_token(token, transport, audience="https://other", certs_url=certs)
        head, claims_part, signature = token.split(".")
        forged = f"{head}.{claims_part}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
        with pytest.raises(ValueError, match="signature"):
            id_token.verify_token(forged, transport, audience="https://step", certs_url=certs)


def test_the_audience_of_a_token_is_the_url_when_none_is_given(
    client: tasks_v2.CloudTasksClient, dispatch: Dispatch, queue: str, receiver: Receiver
) -> None:
    """A task without an audience carries a token for its own URL; the caller can't set Authorization."""
    oidc = {"service_account_email": "steps@x"}
    request = http(receiver, oidc_token=oidc, headers={"authorization": "Bearer forged"})
    client.create_task(parent=queue, task={"http_request": request})
    token = until(lambda: receiver.calls)[0].headers["Authorization"].removeprefix("Bearer ")
    with google_requests.requests.Session() as session:
        claims = id_token.verify_token(
            token,
            google_requests.Request(session),
            audience=receiver.url(),
            certs_url=f"http://127.0.0.1:{dispatch.port}/_local/oidc/certs",
        )
    assert claims["email"] == "steps@x"


def test_a_name_is_taken_while_its_task_waits_and_after_it_is_done(
    client: tasks_v2.CloudTasksClient, queue: str, receiver: Receiver
) -> None:
    """Named tasks deduplicate: waiting, completed and deleted alike."""
    waiting = {"name": f"{queue}/tasks/w", "http_request": http(receiver), "schedule_time": in_future(600)}
    client.create_task(parent=queue, task=waiting)
    with pytest.raises(exceptions.AlreadyExists):
        client.create_task(parent=queue, task=waiting)
    client.delete_task(name=waiting["name"])
    with pytest.raises(exceptions.AlreadyExists):
        client.create_task(parent=queue, task=waiting)
    done = {"name": f"{queue}/tasks/d", "http_request": http(receiver)}
    client.create_task(parent=queue, task=done)
    until(lambda: receiver.calls)
    until(lambda: not list(client.list_tasks(parent=queue)))
    with pytest.raises(exceptions.AlreadyExists):
        client.create_task(parent=queue, task=done)
    assert len(receiver.calls) == 1


def test_racing_creations_of_one_name_have_one_winner(
    client: tasks_v2.CloudTasksClient, queue: str, receiver: Receiver
) -> None:
    """Sixteen threads create the same name: one succeeds, fifteen hear ALREADY_EXISTS, one delivery."""
    outcomes: list[str] = []

    def create() -> None:
        try:
            client.create_task(
                parent=queue, task={"name": f"{queue}/tasks/r", "http_request": http(receiver)}
            )
            outcomes.append("won")
        except exceptions.AlreadyExists:
            outcomes.append("lost")

    threads = [threading.Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 15 + ["won"]
    until(lambda: not list(client.list_tasks(parent=queue)))
    assert len(receiver.calls) == 1


def test_a_task_waits_for_its_time(client: tasks_v2.CloudTasksClient, queue: str, receiver: Receiver) -> None:
    """schedule_time holds a task back, and a later one does not hold up an earlier one."""
    for body, wait in ((b"never", 3600.0), (b"late", 1.0)):
        task = {"http_request": http(receiver, body), "schedule_time": in_future(wait)}
        client.create_task(parent=queue, task=task)
    client.create_task(parent=queue, task={"http_request": http(receiver, b"now")})
    until(lambda: len(receiver.calls) == 2)
    assert sorted(receiver.bodies()) == [b"late", b"now"]
    late = next(call for call in receiver.calls if call.body == b"late")
    assert late.at >= float(late.headers["X-CloudTasks-TaskETA"])


def test_failures_are_retried_with_growing_waits_and_then_given_up(
    client: tasks_v2.CloudTasksClient, make_queue: Make, receiver: Receiver
) -> None:
    """Four attempts, each due 0.1, 0.2 and 0.4 s after the one before, and headers that tell the handler of them."""
    queue = make_queue(
        retry_config={"max_attempts": 4, "min_backoff": {"nanos": 100_000_000}, "max_doublings": 5}
    )
    statuses = iter([500, 404, 500, 500])
    receiver.script = lambda _call: next(statuses)
    client.create_task(parent=queue.name, task={"http_request": http(receiver)})
    until(lambda: not list(client.list_tasks(parent=queue.name)))
    time.sleep(0.3)
    calls = receiver.calls
    due = [float(call.headers["X-CloudTasks-TaskETA"]) for call in calls]
    assert len(calls) == 4
    assert all(call.at >= at for call, at in zip(calls, due, strict=True))
    assert [due[0] + 0.1 <= due[1], due[1] + 0.2 <= due[2], due[2] + 0.4 <= due[3]] == [True] * 3, due
    assert [call.headers["X-CloudTasks-TaskRetryCount"] for call in calls] == ["0", "1", "2", "3"]
    assert [call.headers["X-CloudTasks-TaskExecutionCount"] for call in calls] == ["0", "0", "1", "1"]
    assert [call.headers.get("X-CloudTasks-TaskPreviousResponse") for call in calls] == [
        None,
        "500",
        "404",
        "500",
    ]
    assert calls[1].headers["X-CloudTasks-TaskRetryReason"] == "HTTP status code 500"


def test_a_handler_that_asks_to_be_left_alone_is(
    client: tasks_v2.CloudTasksClient, queue: str, receiver: Receiver
) -> None:
    """503 with Retry-After: 1 keeps the task away for a second although the backoff is shorter."""
    answers = iter([(503, {"Retry-After": "1"}), (200, {})])
    receiver.script = lambda _call: next(answers)
    client.create_task(parent=queue, task={"http_request": http(receiver)})
    until(lambda: len(receiver.calls) == 2)
    first, second = (float(call.headers["X-CloudTasks-TaskETA"]) for call in receiver.calls)
    assert second >= first + 1
    assert receiver.calls[1].at >= second


def test_no_more_deliveries_are_open_than_allowed(
    client: tasks_v2.CloudTasksClient, make_queue: Make, receiver: Receiver
) -> None:
    """max_concurrent_dispatches bounds what a handler has open, and is used to the full."""
    queue = make_queue(rate_limits={"max_concurrent_dispatches": 3})
    full = threading.Barrier(3, timeout=600)

    def slow(_call: Call) -> int:
        full.wait()
        time.sleep(0.1)
        return 200

    receiver.script = slow
    for _ in range(12):
        client.create_task(parent=queue.name, task={"http_request": http(receiver)})
    until(lambda: not list(client.list_tasks(parent=queue.name)))
    assert len(receiver.calls) == 12
    assert receiver.most_open == 3


def test_a_deadline_lies_between_fifteen_seconds_and_thirty_minutes(
    client: tasks_v2.CloudTasksClient, queue: str, receiver: Receiver
) -> None:
    """dispatch_deadline is kept; shorter and longer ones are refused, as in the service."""
    for seconds in (14, 1801):
        with pytest.raises(exceptions.InvalidArgument, match="dispatch_deadline"):
            client.create_task(
                parent=queue, task={"http_request": http(receiver), "dispatch_deadline": {"seconds": seconds}}
            )
    task = client.create_task(
        parent=queue, task={"http_request": http(receiver), "dispatch_deadline": {"seconds": 15}}
    )
    assert task.dispatch_deadline == dt.timedelta(seconds=15)


def test_tasks_can_be_listed_page_by_page_read_and_deleted(
    dispatch: Dispatch, client: tasks_v2.CloudTasksClient, queue: str, receiver: Receiver
) -> None:
    """Paging gives every task once; FULL shows the body; a deleted task is gone and is not delivered."""
    dispatch.ask("POST", "/_local/chaos/delivery", {"hold": True})
    for number in range(7):
        task = {"name": f"{queue}/tasks/t{number}", "http_request": http(receiver, b"%d" % number)}
        client.create_task(parent=queue, task=task)
    pages = client.list_tasks(request={"parent": queue, "page_size": 3}).pages
    assert [[task.name[-2:] for task in page.tasks] for page in pages] == [
        ["t0", "t1", "t2"],
        ["t3", "t4", "t5"],
        ["t6"],
    ]
    name = f"{queue}/tasks/t4"
    full = client.get_task(request={"name": name, "response_view": tasks_v2.Task.View.FULL})
    assert full.http_request.body == b"4"
    client.delete_task(name=name)
    with pytest.raises(exceptions.NotFound):
        client.get_task(name=name)
    with pytest.raises(exceptions.NotFound):
        client.delete_task(name=name)
    dispatch.ask("POST", "/_local/chaos/delivery", {})
    until(lambda: not list(client.list_tasks(parent=queue)))
    assert sorted(receiver.bodies()) == [b"0", b"1", b"2", b"3", b"5", b"6"]


def test_queues_are_made_with_the_defaults_of_the_service(
    client: tasks_v2.CloudTasksClient, make_queue: Make
) -> None:
    """What is left out is filled in; a name is taken once; a limit that the service refuses is refused."""
    queue = make_queue(rate_limits={"max_dispatches_per_second": 50})
    assert queue.rate_limits.max_concurrent_dispatches == 1000
    assert queue.rate_limits.max_burst_size == 10
    assert queue.retry_config.max_attempts == 100
    with pytest.raises(exceptions.AlreadyExists):
        client.create_queue(parent=LOCATION, queue={"name": queue.name})
    with pytest.raises(exceptions.InvalidArgument, match="max_dispatches_per_second"):
        make_queue(rate_limits={"max_dispatches_per_second": 501})


@pytest.mark.parametrize("method", ["get_queue", "pause_queue", "purge_queue", "delete_queue"])
def test_what_nobody_calls_is_refused_by_name(
    client: tasks_v2.CloudTasksClient, queue: str, method: str
) -> None:
    """UNIMPLEMENTED names the method."""
    named = "".join(part.capitalize() for part in method.split("_"))
    with pytest.raises(exceptions.MethodNotImplemented, match=f"{named} is not supported by the local"):
        getattr(client, method)(name=queue)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"url": "https://example.com/"}, "loopback"),
        ({"url": "http://10.0.0.1/"}, "loopback"),
        ({"url": "http://127.0.0.1.example.com/"}, "loopback"),
        ({"url": ""}, "url: required"),
        ({"http_method": "GET"}, "body: only allowed"),
        ({"oidc_token": {"audience": "a"}}, "service_account_email: required"),
        ({"body": b"x" * 1_100_000}, "larger than"),
    ],
)
def test_a_task_that_can_not_be_delivered_is_refused_with_its_field(
    client: tasks_v2.CloudTasksClient, queue: str, receiver: Receiver, change: dict[str, Any], reason: str
) -> None:
    """INVALID_ARGUMENT names what is wrong, and nothing is kept."""
    with pytest.raises(exceptions.InvalidArgument, match=reason):
        client.create_task(parent=queue, task={"http_request": http(receiver) | change})
    assert not list(client.list_tasks(parent=queue))


def test_a_task_needs_an_existing_queue_and_a_name_inside_it(
    client: tasks_v2.CloudTasksClient, queue: str, receiver: Receiver
) -> None:
    """A missing queue is NOT_FOUND; a name of another queue or with odd characters is INVALID_ARGUMENT."""
    with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
        client.create_task(parent=f"{LOCATION}/queues/none", task={"http_request": http(receiver)})
    for name in (f"{LOCATION}/queues/other/tasks/a", f"{queue}/tasks/a b", f"{queue}/tasks/{'a' * 501}"):
        with pytest.raises(exceptions.InvalidArgument, match=r"task\.name"):
            client.create_task(parent=queue, task={"name": name, "http_request": http(receiver)})
    with pytest.raises(exceptions.InvalidArgument, match="30 days"):
        client.create_task(
            parent=queue, task={"http_request": http(receiver), "schedule_time": in_future(31 * 86400)}
        )
