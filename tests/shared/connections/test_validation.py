"""The step that tries a connection, against the local BigQuery and in any weather."""

import pytest


@pytest.fixture(scope="module")
def data(bigquery):
    """One dataset with one table."""
    bigquery.query("CREATE SCHEMA IF NOT EXISTS probe").result()
    bigquery.query("CREATE TABLE IF NOT EXISTS probe.things (a INT64)").result()
    return bigquery


def _validate(cloud, connection, person):
    answer = cloud.call("POST", f"/v1/onboarding/connections/{connection}/validate", as_=person)
    assert answer.status == 202
    assert answer.json["state"] == "queued"
    return answer.json["job_id"]


def _seen(cloud, connection, person):
    return cloud.call("GET", f"/v1/onboarding/connections/{connection}", as_=person).json


def test_good_credentials_are_validated_in_any_weather(cloud, data, weather):
    """Twice, together, backwards, or with the worker dying after each effect: one outcome."""
    person = cloud.person()
    connection = cloud.connection(cloud.team(person), person, validated=False)
    job = _validate(cloud, connection, person)
    cloud.drain(weather)
    assert cloud.job(job, person)["state"] == "completed", cloud.job(job, person)["errors"]
    assert cloud.job(job, person)["result"] == {"connection_id": connection, "status": "validated"}
    assert _seen(cloud, connection, person)["status"] == "validated"
    assert _seen(cloud, connection, person)["validated_at"]


def test_a_project_without_a_visible_dataset_fails_with_what_to_do(cloud, data):
    """The message names the account, the project and the role to grant."""
    person = cloud.person()
    team = cloud.team(person)
    made = cloud.call(
        "POST",
        "/v1/onboarding/connections",
        {
            "team_id": team,
            "name": "empty",
            "connection_type": "bigquery",
            "credentials": cloud.service_account(project_id="empty-project"),
        },
        as_=person,
    )
    job = _validate(cloud, made.json["id"], person)
    cloud.drain()
    assert cloud.job(job, person)["state"] == "failed"
    assert cloud.job(job, person)["errors"][0]["code"] == "WAREHOUSE_PERMISSION_MISSING"
    seen = _seen(cloud, made.json["id"], person)
    assert seen["status"] == "failed"
    assert "empty-project" in seen["validation_error"]
    assert "Data Viewer" in seen["validation_error"]


@pytest.mark.parametrize(
    ("account", "code", "named"),
    [
        ("no-jobs", "WAREHOUSE_PERMISSION_MISSING", "bigquery.jobs.create"),
        ("no-metadata", "WAREHOUSE_PERMISSION_MISSING", "bigquery.datasets.get"),
        ("no-data", "WAREHOUSE_PERMISSION_MISSING", "bigquery.tables.getData"),
        ("unknown", "WAREHOUSE_CREDENTIALS_REJECTED", "authentication"),
    ],
)
def test_a_permission_that_is_missing_is_named(cloud, data, account, code, named):
    """Permissions are tried by using them; the message names the one to grant, and no address or driver."""
    person = cloud.person()
    email = f"{account}@bridge-local.iam.gserviceaccount.com"
    made = cloud.call(
        "POST",
        "/v1/onboarding/connections",
        {
            "team_id": cloud.team(person),
            "name": account,
            "connection_type": "bigquery",
            "credentials": cloud.service_account(client_email=email),
        },
        as_=person,
    )
    job = _validate(cloud, made.json["id"], person)
    cloud.drain()
    assert [error["code"] for error in cloud.job(job, person)["errors"]] == [code]
    seen = _seen(cloud, made.json["id"], person)
    assert seen["status"] == "failed"
    assert named in seen["validation_error"]
    assert "http" not in seen["validation_error"]


def test_a_broken_object_fails_the_validation_and_says_to_save_it_again(cloud, data):
    """A damaged ciphertext is final: no retry, a clear message, no key material."""
    from shared.platform.cloud import objects

    person = cloud.person()
    team = cloud.team(person)
    connection = cloud.connection(team, person, validated=False)
    name = f"{team}/{connection}.json.enc"
    blob, _ = objects.get("credentials", name)
    damaged = objects.put("credentials", name, blob[:-1] + bytes([blob[-1] ^ 1]))
    cloud.sql(
        "UPDATE connections SET credentials_generation = :g WHERE id = :id",
        g=damaged.generation,
        id=connection,
    )
    job = _validate(cloud, connection, person)
    cloud.drain()
    assert cloud.job(job, person)["errors"][0]["code"] == "INVALID_CIPHERTEXT"
    assert _seen(cloud, connection, person)["status"] == "failed"


def test_an_unreachable_warehouse_is_tried_again_and_given_up_at_last(cloud, data, monkeypatch):
    """503 keeps the message in the queue; the last attempt fails connection and job with the cause."""
    from local import ports
    from shared.platform import settings

    person = cloud.person()
    connection = cloud.connection(cloud.team(person), person, validated=False)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{ports.free()}")
    settings.settings.cache_clear()
    monkeypatch.setattr("shared.warehouses.bigquery.retrying.RETRY_SECONDS", 0.5)
    job = _validate(cloud, connection, person)
    (message,) = [item for item in cloud.pending() if item.body.get("job") == job]
    assert cloud.deliver(message, tries=0) == 503
    assert _seen(cloud, connection, person)["status"] == "pending_validation"
    assert cloud.deliver(message, tries=7) < 300
    assert _seen(cloud, connection, person)["status"] == "failed"
    assert cloud.job(job, person)["state"] == "failed"
    assert cloud.deliver(message, tries=8) < 300


def test_an_outcome_for_replaced_credentials_is_not_recorded(cloud, data):
    """What was tried is not what is stored now: the connection stays pending and the job says why."""
    from shared.connections import service
    from shared.connections.flow import ValidateConnection

    person = cloud.person()
    team = cloud.team(person)
    connection = cloud.connection(team, person, validated=False)
    job = _validate(cloud, connection, person)
    before = cloud.sql("SELECT credentials_generation AS g FROM connections WHERE id = :id", id=connection)[
        0
    ]["g"]
    new = {"credentials": cloud.service_account()}
    cloud.call("PUT", f"/v1/onboarding/connections/{connection}/credentials", new, as_=person)
    service._record(ValidateConnection(team=team, connection=connection, job=job), before, None)
    assert _seen(cloud, connection, person)["status"] == "pending_validation"
    assert cloud.job(job, person)["errors"][0]["code"] == "CREDENTIALS_ROTATED"


def test_a_validation_of_a_deleted_connection_ends_its_job(cloud, data):
    """The message outlives the connection; the job does not stay queued for ever."""
    person = cloud.person()
    connection = cloud.connection(cloud.team(person), person, validated=False)
    job = _validate(cloud, connection, person)
    cloud.call("DELETE", f"/v1/onboarding/connections/{connection}", as_=person)
    cloud.drain()
    assert cloud.job(job, person)["state"] == "failed"


def test_only_the_queues_identity_runs_the_step(cloud):
    """Without its token, or with the events' one, the step answers 401."""
    answer = cloud._enter(
        next(d for d in cloud.doors if d.__bridge__.name == "connections-validate-connection"),
        "POST",
        "/",
        b"{}",
        {"Content-Type": "application/json"},
    )
    assert answer.status == 401
