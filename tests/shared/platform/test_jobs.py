"""Jobs as people see them: listed, cancelled; and what their steps do about it."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from local.patience import until
from tests.shared.conftest import WEATHER, together

pytestmark = pytest.mark.slow


@pytest.fixture
def ready(cloud: Any, shop: Any) -> tuple[Any, str, str]:
    """A person, their team and a validated connection to the shop."""
    person = cloud.person()
    team = cloud.team(person)
    return person, team, cloud.connection(team, person)


@pytest.fixture(name="shop")
def _shop(bigquery: Any) -> None:
    """Three datasets with a table each."""
    for dataset in bigquery.list_datasets():
        bigquery.delete_dataset(dataset.reference, delete_contents=True, not_found_ok=True)
    for name in ("one", "two", "three"):
        bigquery.query(f"CREATE SCHEMA {name}_{uuid.uuid4().hex[:6]}").result()


def start(cloud: Any, person: Any, connection: str) -> str:
    started = cloud.call("POST", "/v1/onboarding/catalog/scan", {"connection_id": connection}, as_=person)
    assert started.status == 202, started.content
    return str(started.json["job_id"])


def cancel(cloud: Any, person: Any, job: str) -> Any:
    return cloud.call("POST", f"/v1/jobs/{job}/cancel", as_=person)


def letters(cloud: Any) -> int:
    return int(cloud.sql("SELECT count(*) AS n FROM dead_letters")[0]["n"])


def test_jobs_are_listed_newest_first_and_by_state_and_kind(cloud: Any, ready: Any) -> None:
    """A page at a time; another kind or state finds nothing; a stranger finds no such team."""
    person, team, connection = ready
    first = start(cloud, person, connection)
    cancel(cloud, person, first)
    second = start(cloud, person, connection)

    def listed(query: str) -> list[str]:
        answer = cloud.call("GET", f"/v1/jobs?team_id={team}{query}", as_=person)
        assert answer.status == 200, answer.content
        return [job["job_id"] for job in answer.json["jobs"]]

    assert listed("")[:2] == [second, first]
    assert listed("&state=cancelled") == [first]
    assert listed("&kind=catalog_scan&state=queued") == [second]
    assert listed("&kind=export") == []
    page = cloud.call("GET", f"/v1/jobs?team_id={team}&limit=1", as_=person).json
    assert page["has_more"]
    assert listed(f"&limit=1&cursor={page['next_cursor']}") == [first]
    assert cloud.call("GET", f"/v1/jobs?team_id={team}", as_=cloud.person()).status == 404
    assert cloud.call("GET", f"/v1/jobs?team_id={team}&state=lost", as_=person).status == 400


@pytest.mark.parametrize("weather", WEATHER, ids=lambda weather: weather.__name__)
def test_the_steps_of_a_cancelled_job_end_without_effect(cloud: Any, ready: Any, weather: Any) -> None:
    """In any weather: nothing is written, nothing is dead, the job stays cancelled, and a new scan may begin."""
    from shared.platform.cloud import objects

    person, _, connection = ready
    job, before = start(cloud, person, connection), letters(cloud)
    assert cancel(cloud, person, job).json["state"] == "cancelled"
    cloud.drain(weather)
    found = cloud.job(job, person)
    assert (found["state"], found["progress"]["done"]) == ("cancelled", 0)
    assert list(objects.listing("catalog", f"{connection}/")) == []
    assert letters(cloud) == before
    states = cloud.sql("SELECT DISTINCT state FROM attempts WHERE job_id = :job", job=job)
    assert states == [{"state": "done"}]
    again = start(cloud, person, connection)
    cloud.drain()
    assert cloud.job(again, person)["state"] == "completed"


def test_a_job_that_is_cancelled_half_way_keeps_what_was_done_and_does_no_more(
    cloud: Any, ready: Any
) -> None:
    """Snapshots that had landed count; those whose event comes later are not indexed."""
    person, team, connection = ready
    job = start(cloud, person, connection)
    first, *others = cloud.pending()
    cloud.deliver(first)
    for event in cloud.pending():
        cloud.deliver(event)
    for step in others:
        cloud.deliver(step)
    assert cancel(cloud, person, job).status == 200
    cloud.drain(together)
    found = cloud.job(job, person)
    assert (found["state"], found["progress"]) == ("cancelled", {"done": 1, "total": 3, "failed": 0})
    scanned = cloud.sql(
        "SELECT count(*) AS n FROM datasets WHERE team_id = :t AND last_scanned_at IS NOT NULL", t=team
    )
    assert scanned[0]["n"] == 1


def test_a_cancel_is_repeated_harmlessly_and_comes_too_late_for_an_ended_job(cloud: Any, ready: Any) -> None:
    """Twice is once; a job that has ended in another way says so with 409 and stays as it is."""
    person, _, connection = ready
    job = start(cloud, person, connection)
    first = cancel(cloud, person, job)
    assert cancel(cloud, person, job).json == first.json
    cloud.drain()
    ended = start(cloud, person, connection)
    cloud.drain()
    late = cancel(cloud, person, ended)
    assert (late.status, late.error["code"], late.error["reason"]) == (409, "JOB_ENDED", "completed")
    assert cloud.job(ended, person)["state"] == "completed"


def test_only_members_cancel(cloud: Any, ready: Any) -> None:
    """For anybody else there is no such job; every cancel is in the audit log once."""
    person, team, connection = ready
    job = start(cloud, person, connection)
    assert cancel(cloud, cloud.person(), job).status == 404
    assert cancel(cloud, person, str(uuid.uuid4())).status == 404
    cancel(cloud, person, job)
    cancel(cloud, person, job)
    written = cloud.sql(
        "SELECT actor, target FROM audit_log WHERE action = 'job.cancelled' AND team_id = :t", t=team
    )
    assert [(row["actor"], row["target"]) for row in written] == [(person.id, job)]


def test_a_cancel_and_the_effects_of_a_step_come_one_after_the_other(cloud: Any, ready: Any) -> None:
    """A step that is about to commit when the cancel comes is first, or without effect: never half."""
    from shared.platform.background import jobs, ledger
    from shared.platform.background.messages import Part
    from shared.platform.ids import TeamId, UserId, new_id

    person, team, connection = ready
    job = start(cloud, person, connection)
    attempt = ledger.claim("test-step", new_id(), 60)
    assert attempt is not None
    order: list[str] = []

    def late() -> None:
        jobs.cancel(TeamId(team), job, user=UserId(person.id))
        order.append("cancelled")

    with ledger.working_on(attempt):
        ledger.part_of(Part(team, job))
        with ledger.finishing(team) as tx:
            ledger.finish(tx, attempt)
            attempt.finished = True
            canceller = threading.Thread(target=late)
            canceller.start()
            waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
            until(lambda: order or cloud.sql(waits), "the cancel waits for the job's row")
            order.append("effects")
    canceller.join()
    assert order == ["effects", "cancelled"]
    second = ledger.claim("test-step", new_id(), 60)
    assert second is not None
    with ledger.working_on(second):
        with pytest.raises(ledger.JobCancelled):
            ledger.part_of(Part(team, job))
        with pytest.raises(ledger.JobCancelled), ledger.finishing(team):
            pass


def test_a_query_under_way_is_stopped_when_its_job_is_cancelled(
    cloud: Any, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat that sees the cancel tells what the step waits for, and the step ends without a letter."""
    from shared.platform.leases.stopping import cancelling
    from shared.warehouses.bigquery.adapter import BigQuery
    from shared.warehouses.declared import QueryTimedOut

    person, _, connection = ready
    job, before = start(cloud, person, connection), letters(cloud)
    waiting, stopped = threading.Event(), threading.Event()

    def endless(*_: Any) -> Any:
        with cancelling(stopped.set):
            waiting.set()
            assert stopped.wait(60)
            raise QueryTimedOut

    monkeypatch.setattr(BigQuery, "tables", endless)
    step = cloud.pending()[0]
    statuses: list[int] = []
    worker = threading.Thread(target=lambda: statuses.append(cloud.deliver(step)))
    worker.start()
    assert waiting.wait(60)
    cancel(cloud, person, job)
    worker.join(60)
    assert statuses == [204]
    assert letters(cloud) == before
    assert cloud.job(job, person)["errors"] == []
