"""Dead letters: shown without anybody's data, replayed once, and a failed job that ends well after all."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.shared.conftest import STEPS, Delivery, crashing, together, twice

pytestmark = pytest.mark.slow


def listed(cloud: Any, admin: Any, query: str = "") -> list[dict[str, Any]]:
    answer = cloud.call("GET", f"/v1/ops/dead-letters?limit=200{query}", as_=admin)
    assert answer.status == 200, answer.content
    return list(answer.json["dead_letters"])


def letter_of(cloud: Any, admin: Any, job: str) -> dict[str, Any]:
    return next(letter for letter in listed(cloud, admin) if letter["job_id"] == job)


def replay(cloud: Any, admin: Any, letter: dict[str, Any]) -> Any:
    return cloud.call("POST", f"/v1/ops/dead-letters/{letter['id']}/replay", as_=admin)


def attempt(cloud: Any, letter: dict[str, Any]) -> dict[str, Any]:
    (row,) = cloud.sql(
        "SELECT state, tries FROM attempts WHERE step = :step AND key = :key",
        step=letter["step"],
        key=letter["key"],
    )
    return dict(row)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A warehouse that can't be reached, until it is mended."""
    from shared.warehouses.bigquery.adapter import BigQuery
    from shared.warehouses.declared import WarehouseUnavailable

    patch = pytest.MonkeyPatch()

    def refuse(*_: Any) -> None:
        raise WarehouseUnavailable

    patch.setattr(BigQuery, "check", refuse)
    yield patch.undo
    patch.undo()


@pytest.fixture
def dead(cloud: Any, admin: Any, validation: tuple[str, Delivery], broken: Any) -> tuple[str, dict[str, Any]]:
    """A job whose step was given up, and its letter."""
    job, step = validation
    assert cloud.deliver(step, tries=7) == 204
    return job, letter_of(cloud, admin, job)


def test_a_dead_letter_tells_what_died_and_of_which_job(
    cloud: Any, dead: tuple[str, dict[str, Any]], connection: Any
) -> None:
    """Step, key, the error's own sentence, the ids of its message, and the trace to look for in the logs."""
    job, letter = dead
    assert letter["step"] == "connections-validate-connection"
    assert (letter["kind"], letter["key"], letter["error_code"]) == ("task", job, "WAREHOUSE_UNAVAILABLE")
    assert letter["payload"] == {"team": connection[1], "connection": connection[2], "job": job}
    assert letter["replayable"]
    assert len(letter["trace_id"]) == 32


def test_letters_are_newest_first_in_pages_and_filtered(cloud: Any, admin: Any, dead: Any) -> None:
    """By step, by code, by whether they were replayed."""
    cloud.deliver(Delivery("catalog-scan-dataset", {"not": "one"}, event=False))
    times = [letter["created_at"] for letter in listed(cloud, admin)]
    assert times == sorted(times, reverse=True)
    assert {letter["step"] for letter in listed(cloud, admin, "&step=catalog-scan-dataset")} == {
        "catalog-scan-dataset"
    }
    assert {letter["error_code"] for letter in listed(cloud, admin, "&code=MALFORMED_EVENT")} == {
        "MALFORMED_EVENT"
    }
    replay(cloud, admin, dead[1])
    assert dead[1]["id"] in {letter["id"] for letter in listed(cloud, admin, "&replayed=true")}
    assert dead[1]["id"] not in {letter["id"] for letter in listed(cloud, admin, "&replayed=false")}
    page = cloud.call("GET", "/v1/ops/dead-letters?limit=1", as_=admin).json
    following = cloud.call(
        "GET", f"/v1/ops/dead-letters?limit=1&cursor={page['next_cursor']}", as_=admin
    ).json
    assert following["dead_letters"][0]["id"] == listed(cloud, admin)[1]["id"]


def test_a_letter_shows_nobodys_data(cloud: Any, admin: Any) -> None:
    """Choices of readers and sentences of warehouses may hold values of rows: neither is shown."""
    canary = f"canary {uuid.uuid4().hex}"
    cloud.sql(
        "INSERT INTO dead_letters (id, step, key, payload, error_code, error_message)"
        " VALUES (:id, 'dashboards-warm-dashboard', 'k', :payload, 'QUERY_INVALID', :message)",
        id=(id := str(uuid.uuid4())),
        payload=json.dumps(
            {"message": {"slug": "sales", "version": 3, "filters": {"name": [canary]}, "note": canary}}
        ),
        message=f"Bad int64 value: {canary}",
    )
    answer = cloud.call("GET", "/v1/ops/dead-letters?limit=200", as_=admin)
    assert canary not in answer.content.decode()
    shown = next(letter for letter in answer.json["dead_letters"] if letter["id"] == id)
    assert shown["payload"] == {
        "slug": "sales", "version": 3, "filters": "(1 fields)", "note": f"({len(canary)} characters)",
    }  # fmt: skip
    assert shown["error_title"] == "The warehouse can't run this query."


@pytest.mark.parametrize("weather", [twice, together, crashing], ids=lambda weather: weather.__name__)
def test_a_replayed_step_may_end_its_failed_job_well(
    cloud: Any, admin: Any, connection: Any, warehouse: None, dead: Any, broken: Any, weather: Any
) -> None:
    """The job runs again and says why; the step has a fresh set of attempts; in any weather it ends once."""
    person, _, id = connection
    job, letter = dead
    assert cloud.job(job, person)["state"] == "failed"
    broken()
    done = replay(cloud, admin, letter)
    assert done.status == 200, done.content
    assert (done.json["replayed_by"], done.json["replayable"]) == (admin.id, False)
    assert attempt(cloud, letter) == {"state": "released", "tries": 0}
    reopened = cloud.job(job, person)
    assert (reopened["state"], reopened["errors"], reopened["finished_at"]) == ("running", [], None)
    assert [warning["code"] for warning in reopened["warnings"]] == ["REPLAYED"]
    cloud.drain(weather)
    ended = cloud.job(job, person)
    assert (ended["state"], ended["errors"]) == ("completed", [])
    assert attempt(cloud, letter)["state"] == "done"
    status = cloud.sql("SELECT status FROM connections WHERE id = :id", id=id)
    assert status == [{"status": "validated"}]


def test_a_letter_is_replayed_once_by_however_many(cloud: Any, admin: Any, dead: Any) -> None:
    """Eight at the same time and one later get the same answer, and one message leaves."""
    job, letter = dead
    with ThreadPoolExecutor(8) as operators:
        answers = list(operators.map(lambda _: replay(cloud, admin, letter).json, range(8)))
    answers.append(replay(cloud, admin, letter).json)
    assert all(answer == answers[0] for answer in answers)
    sent = cloud.sql("SELECT id FROM outbox WHERE job_id = :job ORDER BY created_at", job=job)
    assert len(sent) == 2
    assert (
        sent[1]["id"] == uuid.UUID(answers[0]["replay_message_id"])
        or str(sent[1]["id"]) == answers[0]["replay_message_id"]
    )


def test_a_replayed_step_that_dies_again_leaves_a_letter_of_its_own(
    cloud: Any, admin: Any, connection: Any, dead: Any
) -> None:
    """Its job fails again; the first letter stays as it was replayed."""
    job, letter = dead
    replay(cloud, admin, letter)
    (again,) = cloud.pending()
    assert cloud.deliver(again, tries=6) == 503
    assert cloud.deliver(again, tries=7) == 204
    second = letter_of(cloud, admin, job)
    assert second["id"] != letter["id"]
    assert second["replayable"]
    assert cloud.job(job, connection[0])["state"] == "failed"


def test_what_could_not_be_read_can_not_be_replayed(cloud: Any, admin: Any) -> None:
    """409 with the reason; the message that carried it is settled and not looked after any more."""
    message = str(uuid.uuid4())
    cloud.sql(
        "INSERT INTO outbox (id, step, queue, payload, traceparent, not_before, sent_at)"
        " VALUES (:id, 'catalog-scan-dataset', 'catalog', '{}', '', now(), now())",
        id=message,
    )
    cloud.pending()
    assert cloud.deliver(Delivery("catalog-scan-dataset", {"junk": 1}, event=False, message=message)) == 202
    letter = listed(cloud, admin)[0]
    assert (letter["error_code"], letter["replayable"]) == ("MALFORMED_EVENT", False)
    refused = replay(cloud, admin, letter)
    assert (refused.status, refused.error["code"]) == (409, "NOT_REPLAYABLE")
    assert "could not be read" in refused.error["reason"]
    assert cloud.sql("SELECT settled_at IS NOT NULL AS settled FROM outbox WHERE id = :id", id=message)[0][
        "settled"
    ]


def test_a_tick_that_failed_is_replayed_as_the_tick_that_it_was(
    cloud: Any, admin: Any, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The night's work need not wait for the next night: under the same key, so it is done once."""
    from shared.platform.ops.retention import running as retention

    tick = Delivery("ops-retention", {"at": f"2026-01-02T03:{uuid.uuid4().int % 60:02d}:00Z"}, event=False)
    with monkeypatch.context() as patch:
        patch.setattr(retention, "_apply", lambda *_: 1 / 0)
        assert cloud.deliver(tick) == 204
    letter = listed(cloud, admin, "&step=ops-retention")[0]
    assert (letter["kind"], letter["key"], letter["replayable"]) == ("scheduled", tick.body["at"], True)
    queue()
    replayed = replay(cloud, admin, letter)
    assert replayed.status == 200, replayed.content
    (task,) = queue()
    assert task.http_request.headers["X-CloudScheduler-ScheduleTime"] == tick.body["at"]
    assert task.http_request.oidc_token.service_account_email == STEPS
    again = next(step for step in cloud.pending() if step.message == replayed.json["replay_message_id"])
    assert again.body == tick.body
    assert [cloud.deliver(again), cloud.deliver(again)] == [204, 204]
    assert attempt(cloud, letter) == {"state": "done", "tries": 1}


@pytest.mark.parametrize("at", ["tomorrow", "2026-01-02T03:04:05"])
def test_a_tick_of_no_time_is_refused(cloud: Any, admin: Any, at: str) -> None:
    """Its time is its key: what is none, or says no zone, is a malformed delivery."""
    assert cloud.deliver(Delivery("ops-retention", {"at": at}, event=False)) == 202
    assert listed(cloud, admin, "&step=ops-retention")[0]["error_code"] == "MALFORMED_EVENT"


def test_a_cancelled_jobs_step_is_not_replayed(cloud: Any, admin: Any, connection: Any, dead: Any) -> None:
    """Somebody decided that this work is not wanted; nothing of the replay stays."""
    job, letter = dead
    cloud.sql("UPDATE jobs SET state = 'cancelled' WHERE id = :job", job=job)
    refused = replay(cloud, admin, letter)
    assert (refused.status, refused.error["reason"]) == (409, "its job was cancelled, or is gone")
    assert attempt(cloud, letter)["state"] == "dead"
    assert cloud.pending() == []


def test_a_step_that_is_not_dead_any_more_is_not_replayed(cloud: Any, admin: Any, dead: Any) -> None:
    """A reconciler, or another letter's replay, was faster: what is done stays done."""
    job, letter = dead
    cloud.sql("UPDATE attempts SET state = 'done' WHERE key = :job", job=job)
    refused = replay(cloud, admin, letter)
    assert (refused.status, refused.error["reason"]) == (409, "the step is done by now")
    assert attempt(cloud, letter)["state"] == "done"


@pytest.fixture
def half_dead(cloud: Any, bigquery: Any, admin: Any) -> tuple[Any, str, dict[str, Any]]:
    """A scan of two data sets, one of which has died; its end is on its way: person, job, letter."""
    from shared.catalog import snapshot
    from shared.platform.errors import Unavailable

    for dataset in bigquery.list_datasets():
        bigquery.delete_dataset(dataset.reference, delete_contents=True, not_found_ok=True)
    for name in ("alpha", "beta"):
        bigquery.query(f"CREATE SCHEMA {name}_{uuid.uuid4().hex[:6]}").result()
    person = cloud.person()
    warehouse = cloud.connection(cloud.team(person), person)
    started = cloud.call("POST", "/v1/onboarding/catalog/scan", {"connection_id": warehouse}, as_=person)
    for step in cloud.pending():
        cloud.deliver(step)
    first, second = cloud.pending()

    def refuse(_data: bytes) -> Any:
        raise Unavailable

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "unpack", refuse)
        assert cloud.deliver(first, tries=7) == 204
    cloud.deliver(second)
    return person, started.json["job_id"], letter_of(cloud, admin, started.json["job_id"])


def test_a_dead_event_is_replayed_with_the_identity_of_events(cloud: Any, admin: Any, half_dead: Any) -> None:
    """It arrives as a CloudEvent through a queue; the scan's failed dataset counts anew, and the scan ends well."""
    person, job, letter = half_dead
    cloud.drain()
    failed = cloud.job(job, person)
    assert (failed["state"], failed["progress"]["failed"]) == ("completed_with_errors", 1)
    assert letter["kind"] == "event"
    replay(cloud, admin, letter)
    (event,) = cloud.pending()
    assert event.event
    wrong = Delivery(event.function, event.body, event=False, message=event.message)
    assert cloud.deliver(wrong) == 401, STEPS
    assert cloud.deliver(event) == 204
    cloud.drain(twice)
    ended = cloud.job(job, person)
    assert (ended["state"], ended["progress"]) == ("completed", {"done": 2, "total": 2, "failed": 0})
    assert ended["errors"] == []
    assert ended["result"]["datasets"] == 2


def test_a_job_does_not_end_while_a_replayed_child_is_on_its_way(
    cloud: Any, admin: Any, half_dead: Any
) -> None:
    """The end that was promised before the replay comes too early: it leaves the end to the next round."""
    person, job, letter = half_dead
    (early,) = cloud.pending()
    assert early.function == "catalog-finish-scan"
    replay(cloud, admin, letter)
    assert cloud.deliver(early) == 204
    going = cloud.job(job, person)
    assert (going["state"], going["progress"]) == ("running", {"done": 1, "total": 2, "failed": 0})
    cloud.drain()
    ended = cloud.job(job, person)
    assert (ended["state"], ended["progress"]) == ("completed", {"done": 2, "total": 2, "failed": 0})


def test_only_administrators_of_the_platform_see_letters(cloud: Any, dead: Any) -> None:
    """A team's admin is none: 403, and nothing happens."""
    person = cloud.person()
    cloud.team(person)
    assert cloud.call("GET", "/v1/ops/dead-letters", as_=person).status == 403
    assert cloud.call("GET", "/v1/ops/dead-letters").status == 401
    assert replay(cloud, person, dead[1]).status == 403
    assert attempt(cloud, dead[1])["state"] == "dead"
