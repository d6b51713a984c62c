"""What SIGKILL and faults do to accepted tasks: nothing is lost, things may come twice."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api_core import exceptions

from local.patience import until
from tests.local.dispatching import LOCATION, Call, Dispatch, Receiver, dispatching

QUEUE = f"{LOCATION}/queues/survive"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Dispatch]:
    with dispatching(tmp_path, "--queue", "survive") as process:
        yield process


def test_no_accepted_task_is_lost_by_sigkill(own: Dispatch, receiver: Receiver) -> None:
    """Forty acknowledged tasks, SIGKILL while they are being delivered: after the restart all have arrived."""

    def slow(_call: Call) -> int:
        time.sleep(0.05)
        return 200

    receiver.script = slow
    client = own.client()
    for number in range(40):
        task = {
            "name": f"{QUEUE}/tasks/t{number}",
            "http_request": {"url": receiver.url(), "body": b"%d" % number},
        }
        client.create_task(parent=QUEUE, task=task)
    own.kill()
    own.start()
    until(own.idle)
    assert {int(body) for body in receiver.bodies()} == set(range(40))
    with pytest.raises(exceptions.AlreadyExists):
        own.client().create_task(
            parent=QUEUE, task={"name": f"{QUEUE}/tasks/t0", "http_request": {"url": receiver.url()}}
        )


def test_a_task_under_way_is_delivered_again_after_sigkill(own: Dispatch, receiver: Receiver) -> None:
    """The handler was called but its answer found nobody: the task comes again, which is at-least-once."""
    killed = threading.Event()

    def hang(_call: Call) -> int:
        killed.wait(60)
        return 200

    receiver.script = hang
    own.client().create_task(parent=QUEUE, task={"http_request": {"url": receiver.url(), "body": b"x"}})
    until(lambda: receiver.calls)
    own.kill()
    killed.set()
    own.start()
    until(lambda: len(receiver.calls) == 2)
    until(own.idle)


def test_a_stop_does_not_wait_for_a_handler_that_hangs(own: Dispatch, receiver: Receiver) -> None:
    """SIGTERM does not wait for open deliveries; they are kept for the next start."""
    stopped, answered = threading.Event(), list[bool]()

    def hang(_call: Call) -> int:
        answered.append(stopped.wait(60))
        return 200

    receiver.script = hang
    own.client().create_task(parent=QUEUE, task={"http_request": {"url": receiver.url()}})
    until(lambda: receiver.calls)
    assert own.stop() == 0
    assert answered == []
    stopped.set()


def test_duplicate_faults_deliver_everything_twice(own: Dispatch, receiver: Receiver) -> None:
    """With duplicate on, each task arrives twice at the same time and is done once."""
    assert own.ask("POST", "/_local/chaos/delivery", {"duplicate": True})[0] == 200
    for number in range(5):
        own.client().create_task(
            parent=QUEUE, task={"http_request": {"url": receiver.url(), "body": b"%d" % number}}
        )
    until(own.idle)
    assert sorted(receiver.bodies()) == sorted([b"0", b"1", b"2", b"3", b"4"] * 2)


def test_reordering_changes_the_order(own: Dispatch, receiver: Receiver) -> None:
    """Twenty tasks that are due in order do not arrive in order."""
    own.ask("POST", "/_local/chaos/delivery", {"reorder_ms": 600})
    for number in range(20):
        own.client().create_task(
            parent=QUEUE, task={"http_request": {"url": receiver.url(), "body": b"%02d" % number}}
        )
    until(own.idle)
    assert len(receiver.calls) == 20
    assert receiver.bodies() != sorted(receiver.bodies())


def test_a_dropped_answer_brings_the_task_again(own: Dispatch, receiver: Receiver) -> None:
    """drop_response loses the next answers: the work is done and the task comes again, n times."""
    own.ask("POST", "/_local/chaos/delivery", {"drop_response": 2})
    own.client().create_task(parent=QUEUE, task={"http_request": {"url": receiver.url()}})
    until(own.idle)
    assert len(receiver.calls) == 3
    assert own.ask("GET", "/_local/chaos/delivery")[1]["drop_response"] == 0


def test_held_deliveries_leave_when_they_are_let_go(own: Dispatch, receiver: Receiver) -> None:
    """With hold on, nothing arrives and nothing is lost."""
    own.ask("POST", "/_local/chaos/delivery", {"hold": True})
    own.client().create_task(parent=QUEUE, task={"http_request": {"url": receiver.url()}})
    time.sleep(0.4)
    assert receiver.calls == []
    own.ask("POST", "/_local/chaos/delivery", {})
    until(own.idle)
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    "wanted", [{"duplicates": True}, {"duplicate": 1}, {"reorder_ms": -1}, {"drop_response": True}, [], "x"]
)
def test_a_nonsense_fault_is_refused_and_changes_nothing(own: Dispatch, wanted: object) -> None:
    """A wrong name or type is answered with 400 and the field."""
    status, answer = own.ask("POST", "/_local/chaos/delivery", wanted)
    assert status == 400
    assert answer["error"]
    assert own.ask("GET", "/_local/chaos/delivery")[1] == {
        "duplicate": False,
        "reorder_ms": 0,
        "drop_response": 0,
        "hold": False,
    }
