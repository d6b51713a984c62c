"""Messages that both queues forgot, over a real Cloud Tasks: sent again, given up, buried; jobs that stall."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.platform.ops import requeue
from tests.shared.conftest import Delivery

pytestmark = pytest.mark.slow

Lose = Callable[[], list[Any]]
DONE_NOTHING = {"sent_again": 0, "given_up": 0, "buried": 0}


def later(cloud: Any, minutes: float = 16 * 60) -> None:
    """Let time pass for every message and attempt."""
    cloud.sql(
        "UPDATE outbox SET sent_at = sent_at - make_interval(mins => :m), not_before = not_before - make_interval(mins => :m),"
        " created_at = created_at - make_interval(mins => :m), claimed_until = NULL WHERE settled_at IS NULL",
        m=minutes,
    )
    cloud.sql(
        "UPDATE attempts SET lease_until = lease_until - make_interval(mins => :m) WHERE state = 'released'",
        m=minutes,
    )


def message(cloud: Any, step: Delivery) -> dict[str, Any]:
    (row,) = cloud.sql(
        "SELECT key, resends, sent_at IS NOT NULL AS sent, settled_at IS NOT NULL AS settled FROM outbox WHERE id = :id",
        id=step.message,
    )
    return dict(row)


def did(counts: dict[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in DONE_NOTHING}


@pytest.fixture(autouse=True)
def _nothing_of_others(cloud: Any) -> None:
    """Messages of other tests are no business of this one."""
    cloud.sql(
        "UPDATE outbox SET settled_at = now(), sent_at = coalesce(sent_at, now()) WHERE settled_at IS NULL"
    )


@pytest.fixture
def sent(queue: Lose, validation: tuple[str, Delivery]) -> tuple[str, Delivery]:
    """A validation whose message the queue has."""
    return validation


def test_a_message_that_the_queue_still_has_is_left_to_it(cloud: Any, queue: Lose, sent: Any) -> None:
    """However long it waits: a paused queue is no lost message."""
    later(cloud)
    assert did(requeue.run()) == DONE_NOTHING
    assert message(cloud, sent[1])["resends"] == 0
    assert len(queue()) == 1


def test_a_lost_message_is_sent_again_as_a_new_task(cloud: Any, queue: Lose, sent: Any) -> None:
    """Under another name, for the queue remembers the first; a second look at once sends nothing."""
    (first,) = queue()
    later(cloud)
    assert did(requeue.run()) == DONE_NOTHING | {"sent_again": 1}
    assert did(requeue.run()) == DONE_NOTHING
    (second,) = queue()
    assert second.name != first.name
    assert second.http_request.headers["X-Bridge-Message"] == sent[1].message
    assert message(cloud, sent[1]) == {"key": None, "resends": 1, "sent": True, "settled": False}


def test_two_looks_at_once_send_it_once(cloud: Any, queue: Lose, sent: Any) -> None:
    """Each row is somebody's for the time of a look."""
    queue()
    later(cloud)
    with ThreadPoolExecutor(4) as ticks:
        counts = [did(found) for found in ticks.map(lambda _: requeue.run(), range(4))]
    assert sum(found["sent_again"] for found in counts) == 1
    assert len(queue()) == 1


def test_a_living_lease_is_left_alone(cloud: Any, queue: Lose, sent: Any) -> None:
    """A worker that is at it, and a step given back a moment ago, belong to their queue."""
    from shared.platform.background import ledger

    job, step = sent
    queue()
    attempt = ledger.claim("connections-validate-connection", job, 30, message=step.message)
    assert attempt is not None
    later(cloud)
    assert did(requeue.run()) == DONE_NOTHING
    ledger.release(attempt)
    cloud.sql("UPDATE outbox SET claimed_until = NULL")
    assert did(requeue.run()) == DONE_NOTHING
    later(cloud)
    assert did(requeue.run()) == DONE_NOTHING | {"sent_again": 1}


def test_a_worker_that_died_on_the_last_attempt_is_found(
    cloud: Any, queue: Lose, warehouse: None, sent: Any
) -> None:
    """Its lease ended long ago and the queue has given up: the message leaves once more, and the job ends."""
    from shared.platform.background import ledger

    job, step = sent
    assert ledger.claim("connections-validate-connection", job, 30, message=step.message) is not None
    queue()
    later(cloud)
    cloud.sql("UPDATE attempts SET lease_until = now() - interval '2 hours' WHERE key = :job", job=job)
    assert did(requeue.run()) == DONE_NOTHING | {"sent_again": 1}
    assert cloud.deliver(step) == 204
    assert cloud.sql("SELECT state FROM attempts WHERE key = :job", job=job) == [{"state": "done"}]


def test_a_message_whose_step_has_ended_is_settled(
    cloud: Any, queue: Lose, warehouse: None, sent: Any
) -> None:
    """Also where the delivery found the step done by another message of the same key."""
    _, step = sent
    assert cloud.deliver(step) == 204
    assert requeue.run()["settled"] >= 1
    assert message(cloud, step)["settled"]
    queue()
    later(cloud)
    assert did(requeue.run()) == DONE_NOTHING


def test_what_is_lost_again_and_again_is_given_up_by_its_step(
    cloud: Any, queue: Lose, connection: Any, sent: Any
) -> None:
    """After three resends a delivery asks the step to end it: the connection says so, the job fails, a letter is kept."""
    job, step = sent
    for turn in range(1, 4):
        queue()
        later(cloud)
        assert did(requeue.run()) == DONE_NOTHING | {"sent_again": 1}, turn
    queue()
    later(cloud)
    assert did(requeue.run()) == DONE_NOTHING | {"given_up": 1}
    (last,) = queue()
    assert last.http_request.headers["X-Bridge-Give-Up"] == "1"
    assert cloud.deliver(step, give_up=True) == 204
    found = cloud.job(job, connection[0])
    assert (found["state"], found["errors"][0]["code"]) == ("failed", "STEP_LOST")
    status = cloud.sql("SELECT status FROM connections WHERE id = :id", id=connection[2])
    assert status == [{"status": "failed"}]
    letters = cloud.sql("SELECT error_code FROM dead_letters WHERE job_id = :job", job=job)
    assert letters == [{"error_code": "STEP_LOST"}]


@pytest.mark.parametrize("reached", [False, True], ids=["never reached its step", "its worker died"])
def test_what_can_not_even_be_given_up_is_buried(
    cloud: Any, queue: Lose, connection: Any, sent: Any, reached: bool
) -> None:
    """Nobody answers at that step: the letter is kept here and the job fails, in one transaction and once."""
    from shared.platform.background import ledger

    job, step = sent
    if reached:
        assert ledger.claim("connections-validate-connection", job, 30, message=step.message) is not None
        cloud.sql("UPDATE attempts SET lease_until = now() - interval '2 days' WHERE key = :job", job=job)
    queue()
    cloud.sql("UPDATE outbox SET resends = 4 WHERE id = :id", id=step.message)
    later(cloud)
    assert did(requeue.run()) == DONE_NOTHING | {"buried": 1}
    later(cloud)
    assert did(requeue.run()) == DONE_NOTHING
    found = cloud.job(job, connection[0])
    assert (found["state"], [error["code"] for error in found["errors"]]) == ("failed", ["STEP_LOST"])
    assert cloud.sql("SELECT key FROM dead_letters WHERE job_id = :job", job=job) == [
        {"key": job if reached else ""}
    ]
    states = cloud.sql("SELECT state FROM attempts WHERE key = :job", job=job)
    assert states == ([{"state": "dead"}] if reached else [])


def test_a_resend_that_is_not_handed_over_is_the_drainers(
    cloud: Any, queue: Lose, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between the decision and the hand-over: the row is unsent, and the drainer sends it."""
    from shared.platform.background import outbox

    queue()
    later(cloud)

    class Died(BaseException):
        pass

    def die(_rows: Any) -> int:
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(outbox, "hand_over_again", die)
        requeue.run()
    assert not message(cloud, sent[1])["sent"]
    cloud.sql("UPDATE outbox SET claimed_until = NULL WHERE id = :id", id=sent[1].message)
    assert outbox.drain() == 1
    assert len(queue()) == 1


def test_a_message_that_the_queue_refuses_does_not_hold_up_the_others(
    cloud: Any, queue: Lose, sent: Any
) -> None:
    """The oldest goes to a queue that is not there: it stays, and what comes behind it leaves."""
    from shared.platform.background import outbox

    queue()
    cloud.sql(
        "INSERT INTO outbox (id, step, queue, payload, traceparent, not_before, created_at)"
        " VALUES (:id, 'catalog-scan-dataset', 'nowhere', '{}', '', now(), now() - interval '1 day')",
        id=(refused := str(uuid.uuid4())),
    )
    cloud.sql(
        "UPDATE outbox SET sent_at = NULL, created_at = now() - interval '1 hour' WHERE id = :id",
        id=sent[1].message,
    )
    assert outbox.drain() == 1
    assert message(cloud, sent[1])["sent"]
    assert cloud.sql("SELECT sent_at FROM outbox WHERE id = :id", id=refused) == [{"sent_at": None}]


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"])
def test_a_queue_that_refuses_us_keeps_every_message(cloud: Any, queue: Lose, sent: Any, code: str) -> None:
    """A missing right, or too much at once, is no fault of a message: all wait and leave in their order."""
    from local.cloud.faults.grpc_faults import set_rules
    from shared.platform.background import outbox
    from shared.platform.errors import Unavailable
    from shared.platform.settings import settings

    queue()
    cloud.sql(
        "UPDATE outbox SET sent_at = NULL, created_at = now() - interval '1 hour' WHERE id = :id",
        id=sent[1].message,
    )
    address = str(settings().tasks_emulator)
    set_rules(address, [{"method": "CreateTask", "action": "error", "code": code, "count": 0}])
    try:
        with pytest.raises(Unavailable):
            outbox.drain()
    finally:
        set_rules(address, [])
    cloud.sql("UPDATE outbox SET claimed_until = NULL")
    assert outbox.drain() == 1


def test_a_queue_that_can_not_be_asked_is_asked_once(
    cloud: Any, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much waits: each further question would wait for no answer, and the rest of the look with it."""
    from shared.platform.cloud import queues
    from shared.platform.errors import Unavailable

    asked = []

    def away(**which: Any) -> bool:
        asked.append(which)
        raise Unavailable

    cloud.sql(
        "INSERT INTO outbox (id, step, queue, payload, traceparent, not_before, sent_at)"
        " SELECT gen_random_uuid(), 'catalog-scan-dataset', 'catalog', '{}', '', now(), now() FROM generate_series(1, 3)"
    )
    later(cloud)
    monkeypatch.setattr(queues, "waits", away)
    counts = requeue.run()
    assert (counts["waiting"], did(counts), len(asked)) == (4, DONE_NOTHING, 1)


def idle(cloud: Any, job: str) -> None:
    cloud.sql("UPDATE jobs SET updated_at = now() - interval '4 hours' WHERE id = :job", job=job)


def test_a_job_without_anything_on_its_way_fails_with_a_cause(
    cloud: Any, queue: Lose, connection: Any, sent: Any
) -> None:
    """Its message is gone from the outbox too, and nobody has touched the job for hours."""
    job, step = sent
    idle(cloud, job)
    assert requeue.run()["jobs_failed"] == 0, "its message is on its way"
    cloud.sql("UPDATE outbox SET settled_at = now() WHERE id = :id", id=step.message)
    requeue.run()
    found = cloud.job(job, connection[0])
    assert (found["state"], [error["code"] for error in found["errors"]]) == ("failed", ["JOB_STALLED"])
    requeue.run()
    assert len(cloud.job(job, connection[0])["errors"]) == 1


def test_a_job_whose_step_still_works_is_not_stalled(
    cloud: Any, queue: Lose, connection: Any, sent: Any
) -> None:
    """An event has no row in the outbox: the attempt that is part of the job speaks for it."""
    from shared.platform.background import ledger
    from shared.platform.background.messages import Part
    from shared.platform.ids import new_id

    job, step = sent
    attempt = ledger.claim("catalog-index-snapshot", new_id(), 60)
    assert attempt is not None
    with ledger.working_on(attempt):
        ledger.part_of(Part(connection[1], job))
    cloud.sql("UPDATE outbox SET settled_at = now() WHERE id = :id", id=step.message)
    idle(cloud, job)
    requeue.run()
    assert cloud.job(job, connection[0])["state"] == "queued"
