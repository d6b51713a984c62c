"""One attempt works, one finishes, and what is done stays done."""

import threading
from typing import Any

import pytest

from local.patience import until
from shared.platform.background import jobs, ledger
from shared.platform.errors import StillRunning
from shared.platform.ids import new_id
from shared.platform.postgres import pool

pytestmark = pytest.mark.slow


def left(key: str) -> float:
    """Seconds until the lease of a step ends."""
    with pool.transaction() as tx:
        return ledger.ROWS.left(tx, step="step", key=key)


def heartbeats() -> list[threading.Thread]:
    """The heartbeats of this process now."""
    return [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_of_sixteen_deliveries_at_once_one_works(directory: dict[str, str]) -> None:
    """The claim has one winner; the others are told to come back."""
    key, barrier = new_id(), threading.Barrier(16)
    outcomes: list[str] = []

    def deliver() -> None:
        barrier.wait()
        try:
            outcomes.append("works" if ledger.claim("step", key, 60) else "done")
        except StillRunning:
            outcomes.append("waits")

    threads = [threading.Thread(target=deliver) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["waits"] * 15 + ["works"]


def test_a_finished_step_is_not_worked_again(directory: dict[str, str]) -> None:
    """A redelivery after the end finds nothing to do."""
    key = new_id()
    attempt = ledger.claim("step", key, 60)
    assert attempt is not None
    with ledger.working_on(attempt), ledger.finishing(None):
        pass
    assert ledger.claim("step", key, 60) is None


def test_a_stalled_attempt_cannot_overwrite_the_one_that_took_over(two_teams: dict[str, Any]) -> None:
    """The zombie's whole transaction rolls back when it wakes up: its effects are not there."""
    team, key = two_teams["ours"]["team"], new_id()
    zombie = ledger.claim("step", key, lease_seconds=0)
    second = ledger.claim("step", key, lease_seconds=60)
    assert zombie is not None
    assert second is not None
    late = new_id()
    with pytest.raises(ledger.LostLease), ledger.working_on(zombie), ledger.finishing(team) as tx:
        jobs.open_job(tx, id=late, team=team, kind="zombie", user=None)
    with ledger.working_on(second), ledger.finishing(team) as tx:
        jobs.open_job(tx, id=(kept := new_id()), team=team, kind="second", user=None)
    with pool.transaction(team) as tx:
        found = {
            row["id"] for row in tx.all("SELECT id FROM jobs WHERE id = ANY(:ids::uuid[])", ids=[late, kept])
        }
    assert found == {kept}


def test_a_stalled_attempt_cannot_release_the_one_that_took_over(directory: dict[str, str]) -> None:
    """Releasing names the owner, so a zombie's release does not open the step to a third worker."""
    key = new_id()
    zombie = ledger.claim("step", key, lease_seconds=0)
    second = ledger.claim("step", key, lease_seconds=60)
    assert zombie is not None
    assert second is not None
    ledger.release(zombie)
    with pytest.raises(StillRunning):
        ledger.claim("step", key, 60)


def test_a_heartbeat_keeps_a_step_for_as_long_as_its_worker_works(
    directory: dict[str, str], pass_time: Any
) -> None:
    """A lease is short, so that a dead worker's step is free soon; a living worker keeps it past its end."""
    key = new_id()
    attempt = ledger.claim("step", key, ledger.TERMS.seconds)
    assert attempt is not None
    with ledger.keeping(attempt, seconds=6000):
        for _ in range(3):
            pass_time(ledger.TERMS.seconds / 2)
            until(lambda: left(key) > 0.9 * ledger.TERMS.seconds, "a heartbeat begins the lease anew")
        with pytest.raises(StillRunning):
            ledger.claim("step", key, 60)
    until(lambda: not heartbeats(), "the heartbeat ends with the work")
    pass_time(ledger.TERMS.seconds)
    assert ledger.claim("step", key, 60) is not None


def test_a_heartbeat_ends_with_the_steps_deadline(directory: dict[str, str], pass_time: Any) -> None:
    """A worker that hangs for ever does not hold its step for ever."""
    key = new_id()
    attempt = ledger.claim("step", key, ledger.TERMS.seconds)
    assert attempt is not None
    with ledger.keeping(attempt, seconds=ledger.TERMS.heartbeat / 2):
        pass_time(ledger.TERMS.heartbeat)
        until(lambda: not heartbeats(), "the heartbeat ends with the deadline")
        pass_time(ledger.TERMS.seconds)
        assert ledger.claim("step", key, 60) is not None


def test_a_late_heartbeat_takes_nothing_back(directory: dict[str, str], pass_time: Any) -> None:
    """A worker that wakes up after another has taken the step over renews in vain."""
    key = new_id()
    zombie = ledger.claim("step", key, lease_seconds=0)
    second = ledger.claim("step", key, lease_seconds=0)
    assert zombie is not None
    assert second is not None
    with ledger.keeping(zombie, seconds=600):
        pass_time(ledger.TERMS.heartbeat)
        until(lambda: not heartbeats(), "it finds that the step is another's")
    assert ledger.claim("step", key, 60) is not None


def test_a_released_step_can_be_taken_at_once(directory: dict[str, str]) -> None:
    """After a retryable error the next delivery need not wait for the lease, and it knows its number."""
    key = new_id()
    first = ledger.claim("step", key, 600)
    assert first is not None
    ledger.release(first)
    second = ledger.claim("step", key, 600)
    assert second is not None
    assert second.tries == 2


def test_a_buried_step_is_over_and_leaves_a_dead_letter(directory: dict[str, str], owner: Any) -> None:
    """A refusal is final and visible."""
    key = new_id()
    attempt = ledger.claim("step", key, 60)
    assert attempt is not None
    letter = ledger.Letter(
        "step", key, "task", "default", {"message": {"scan": "s"}}, "QUERY_INVALID", "no such table"
    )
    assert ledger.bury(attempt, letter)
    assert ledger.claim("step", key, 60) is None
    rows = owner.run("SELECT error_code, payload FROM dead_letters WHERE key = :key", key=key)
    assert rows == [["QUERY_INVALID", {"message": {"scan": "s"}}]]


def test_the_last_child_is_the_last_one_once(two_teams: dict[str, Any]) -> None:
    """Twenty children land twice each, in parallel: exactly one landing completes the set."""
    team, job = two_teams["ours"]["team"], new_id()
    with pool.transaction(team) as tx:
        jobs.open_job(tx, id=job, team=team, kind="scan", user=None, total=20)
    last: list[int] = []

    def land(number: int) -> None:
        with pool.transaction(team) as tx:
            if jobs.land(
                tx, job=job, team=team, key=str(number % 20), error={"dataset": "d"} if number == 3 else None
            ):
                last.append(number)

    threads = [threading.Thread(target=land, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(last) == 1
    with pool.transaction(team) as tx:
        view = jobs.get(tx, job)
    assert view.progress.done + view.progress.failed == 20


def test_a_job_keeps_its_first_outcome(two_teams: dict[str, Any]) -> None:
    """Ending a job twice changes nothing."""
    team, job = two_teams["ours"]["team"], new_id()
    with pool.transaction(team) as tx:
        jobs.open_job(tx, id=job, team=team, kind="scan", user=None)
        assert jobs.finish(tx, id=job, team=team, result={"tables": 3})
        assert not jobs.finish(tx, id=job, team=team, error={"code": "X", "message": "late"})
        assert jobs.get(tx, job).state == "completed"
