"""The scan as a chain: every step for real, the post in any weather."""

import pytest

from tests.shared.conftest import calm, together


def _start(cloud, connection, person, **body):
    return cloud.call(
        "POST", "/v1/onboarding/catalog/scan", {"connection_id": connection, **body}, as_=person
    )


def _scan(cloud, connection, person, weather=calm, **body):
    started = _start(cloud, connection, person, **body)
    assert started.status == 202, started.content
    cloud.drain(weather)
    return cloud.job(started.json["job_id"], person)


@pytest.fixture
def ready(cloud, shop):
    """A person, their team and a validated connection to the shop."""
    person = cloud.person()
    team = cloud.team(person)
    return person, team, cloud.connection(team, person)


def _rows(cloud, team):
    """Everything that the directory holds of the team's catalog, without ids and times of writing."""
    return [
        cloud.sql(statement, t=team)
        for statement in (
            "SELECT name, description, location, removed_at IS NULL AS there FROM datasets WHERE team_id = :t ORDER BY 1",
            "SELECT fully_qualified_name, table_type, row_count, partitioning, clustering, description,"
            " removed_at IS NULL AS there FROM tables WHERE team_id = :t ORDER BY 1",
            "SELECT t.name, c.path, c.data_type, c.mode, c.position, c.description, c.removed_at IS NULL AS there"
            " FROM columns c JOIN tables t ON t.id = c.table_id WHERE c.team_id = :t ORDER BY 1, 5",
        )
    ]


def test_a_scan_ends_once_and_alike_in_any_weather(cloud, shop, ready, weather):
    """Twice, backwards, together, or dying after each effect: the same catalog, one end, each dataset once."""
    person, team, connection = ready
    job = _scan(cloud, connection, person, weather)
    assert job["state"] == "completed"
    assert job["progress"] == {"done": 3, "total": 3, "failed": 0}
    assert job["errors"] == []
    assert job["result"] == {"connection_id": connection, "datasets": 3, "tables": 5, "columns": 14}
    ends = cloud.sql(
        "SELECT count(*) AS n FROM outbox WHERE step = 'catalog-finish-scan' AND payload->>'scan' = :s",
        s=job["job_id"],
    )
    assert ends[0]["n"] == 1
    tables = {row["fully_qualified_name"]: row for row in _rows(cloud, team)[1]}
    orders = tables[shop.full("sales.orders")]
    assert orders["partitioning"] == {"column": "day", "type": "DAY", "require_filter": True}
    assert orders["clustering"] == ["carrier", "id"]
    assert orders["description"] == "Orders by day"
    assert tables[shop.full("web.page_views")]["partitioning"]["type"] == "MONTH"
    assert tables[shop.full("sales.customers")]["row_count"] == 2
    assert tables[shop.full("sales.big")]["table_type"] == "VIEW"
    assert tables[shop.full("sales.big")]["row_count"] is None
    columns = [row for row in _rows(cloud, team)[2] if row["name"] == "orders"]
    assert [(c["path"], c["mode"]) for c in columns] == [
        ("id", "REQUIRED"),
        ("day", "NULLABLE"),
        ("carrier", "NULLABLE"),
        ("arrDelay", "NULLABLE"),
        ("items", "REPEATED"),
        ("items.sku", "NULLABLE"),
        ("items.price", "NULLABLE"),
    ]
    assert columns[0]["description"] == "Order number"


def test_a_second_scan_of_unchanged_datasets_writes_only_when_it_looked(cloud, shop, ready):
    """No row of tables or columns is touched, the version stays, last_scanned_at moves."""
    person, team, connection = ready
    _scan(cloud, connection, person)

    def state():
        return [
            cloud.sql(
                f"SELECT id, updated_at, xmin::text FROM {table} WHERE team_id = :t ORDER BY id", t=team
            )
            for table in ("tables", "columns")
        ] + [cloud.sql("SELECT catalog_version FROM connections WHERE id = :c", c=connection)]

    def looked():
        rows = cloud.sql(
            "SELECT last_scanned_at AS at FROM datasets WHERE team_id = :t ORDER BY name", t=team
        )
        return [row["at"] for row in rows]

    before, first = state(), looked()
    assert first
    assert _scan(cloud, connection, person)["state"] == "completed"
    assert state() == before
    assert all(later > earlier for later, earlier in zip(looked(), first, strict=True))


def test_what_vanished_is_marked_and_what_came_back_is_there_again(cloud, shop, ready):
    """Tables, columns and datasets keep their rows and ids; readers do not see them meanwhile."""
    from shared.catalog import service

    person, team, connection = ready
    _scan(cloud, connection, person)
    before = {table.fully_qualified_name: table.id for table in service.list_tables(team, connection)}
    version = service.version(team, connection)
    shop.run(
        "DROP TABLE {sales}.customers;\nDROP VIEW {sales}.big;\n"
        "DROP TABLE {web}.sessions;\nCREATE TABLE {web}.sessions (session_id STRING);"
    )
    shop.client.delete_dataset(shop.names["empty"], delete_contents=True)
    assert _scan(cloud, connection, person)["result"]["tables"] == 3
    assert service.version(team, connection) > version
    assert shop.full("sales.customers") not in {
        t.fully_qualified_name for t in service.list_tables(team, connection)
    }
    shape = service.describe_table(team, connection, shop.full("web.sessions"))
    assert [column.path for column in shape.columns] == ["session_id"]
    assert len(service.list_datasets(team, connection)) == 2
    gone = cloud.sql(
        "SELECT count(*) AS n FROM columns WHERE team_id = :t AND removed_at IS NOT NULL", t=team
    )
    assert gone[0]["n"] == 1
    shop.run("CREATE TABLE {sales}.customers (customer_id INT64, full_name STRING);")
    _scan(cloud, connection, person)
    after = {table.fully_qualified_name: table.id for table in service.list_tables(team, connection)}
    assert after[shop.full("sales.customers")] == before[shop.full("sales.customers")]


def test_a_table_that_is_called_null_is_a_table_like_any_other(cloud, shop, ready):
    """It is found by its name, and beside it what vanished is still marked."""
    from shared.catalog import service

    person, team, connection = ready
    shop.run("CREATE TABLE {sales}.`null` (`null` INT64, gone INT64);")
    _scan(cloud, connection, person)
    shop.run(
        "DROP TABLE {sales}.customers;\nDROP TABLE {sales}.`null`;\nCREATE TABLE {sales}.`null` (`null` INT64);"
    )
    _scan(cloud, connection, person)
    names = {table.fully_qualified_name for table in service.list_tables(team, connection)}
    assert shop.full("sales.null") in names
    assert shop.full("sales.customers") not in names
    shape = service.describe_table(team, connection, shop.full("sales.null"))
    assert [column.path for column in shape.columns] == ["null"]


def test_a_late_snapshot_of_an_older_scan_does_not_overwrite_a_newer_one(cloud, shop, ready):
    """The older scan's event lands after the newer scan has ended; the newer content stays."""
    from shared.catalog import service

    person, team, connection = ready
    older = _start(cloud, connection, person).json["job_id"]
    for item in cloud.pending():
        assert cloud.deliver(item) < 300
    late = cloud.pending()
    assert late
    assert all(item.event for item in late)
    cloud.sql("UPDATE scans SET closed_at = now() WHERE id = :s", s=older)
    shop.run("CREATE TABLE {web}.fresh (a INT64);")
    newer = _scan(cloud, connection, person)
    assert newer["state"] == "completed"
    version = service.version(team, connection)
    for item in late:
        assert cloud.deliver(item) < 300
    cloud.drain()
    assert shop.full("web.fresh") in {t.fully_qualified_name for t in service.list_tables(team, connection)}
    assert service.version(team, connection) == version
    assert cloud.job(older, person)["state"] == "completed"


def test_one_datasets_failure_is_recorded_and_the_rest_go_on(cloud, shop, ready):
    """The job ends as completed_with_errors, and says which dataset failed and why."""
    person, _team, connection = ready
    started = _start(cloud, connection, person)
    shop.client.delete_dataset(shop.names["sales"], delete_contents=True)
    cloud.drain()
    job = cloud.job(started.json["job_id"], person)
    assert job["state"] == "completed_with_errors"
    assert job["progress"] == {"done": 2, "total": 3, "failed": 1}
    (error,) = job["errors"]
    assert error["dataset"] == shop.names["sales"]
    assert error["code"] == "QUERY_INVALID"
    assert "http" not in error["message"]


def test_a_scan_where_all_fails_has_failed(cloud, shop, ready):
    """No dataset landed: the job is failed, not completed."""
    person, _, connection = ready
    started = _start(cloud, connection, person)
    for name in shop.names.values():
        shop.client.delete_dataset(name, delete_contents=True)
    cloud.drain(together)
    assert cloud.job(started.json["job_id"], person)["state"] == "failed"


def test_a_damaged_snapshot_counts_as_a_failure_of_its_dataset(cloud, shop, ready):
    """The directory keeps what it had; the scan still ends."""
    from shared.catalog import service
    from shared.platform.cloud import objects

    person, team, connection = ready
    _scan(cloud, connection, person)
    known = service.list_tables(team, connection)
    shop.run("DROP TABLE {sales}.customers;")
    started = _start(cloud, connection, person)
    first, *rest = cloud.pending()
    objects.put(
        "catalog", f"{connection}/{first.body['dataset']}/{started.json['job_id']}.json.gz", b"damaged"
    )
    for item in (first, *rest):
        assert cloud.deliver(item) < 300
    cloud.drain()
    job = cloud.job(started.json["job_id"], person)
    assert job["state"] == "completed_with_errors"
    assert job["errors"][0]["code"] == "BAD_SNAPSHOT"
    assert {t.id for t in known if first.body["dataset"] in t.fully_qualified_name} <= {
        t.id for t in service.list_tables(team, connection)
    }


def test_a_dataset_that_failed_after_its_snapshot_was_written_counts_once(cloud, shop, ready, monkeypatch):
    """The write was applied but its answer was lost, for good: the error and the event are one landing."""
    from shared.platform.cloud import objects
    from shared.platform.errors import Unavailable

    person, _, connection = ready
    started = _start(cloud, connection, person)
    first, *rest = cloud.pending()
    real = objects.put_once

    def applied_but_lost(*args, **options):
        real(*args, **options)
        raise Unavailable

    with monkeypatch.context() as weather:
        weather.setattr(objects, "put_once", applied_but_lost)
        assert cloud.deliver(first, tries=9) < 300
    for item in rest:
        assert cloud.deliver(item) < 300
    cloud.drain()
    job = cloud.job(started.json["job_id"], person)
    assert job["progress"] == {"done": 2, "total": 3, "failed": 1}
    assert job["state"] == "completed_with_errors"


def test_an_object_that_no_scan_left_changes_nothing(cloud, shop, ready):
    """A forged name, another connection's scan, or junk: 2xx so that the trigger stops, and no effect."""
    from shared.catalog import snapshot
    from shared.platform.cloud import objects

    person, team, connection = ready
    job = _scan(cloud, connection, person)
    before = _rows(cloud, team)
    other = cloud.connection(cloud.team(person), person)
    scan, sales = job["job_id"], shop.names["sales"]
    for owner, dataset, left_by in (
        (other, sales, scan),
        (connection, "web_other", scan),
        (connection, sales, "none"),
    ):
        name = f"{owner}/{dataset}/{left_by}.json.gz"
        stored = objects.put("catalog", name, snapshot.pack([], dataset=dataset, scan=left_by))
        assert cloud.deliver(cloud.event(stored.bucket, name, stored.generation)) < 300
    progress = cloud.sql("SELECT count(*) AS n FROM job_children WHERE job_id = :s", s=scan)
    assert progress[0]["n"] == 3
    assert _rows(cloud, team) == before
    assert cloud.job(job["job_id"], person)["progress"] == {"done": 3, "total": 3, "failed": 0}


def test_some_datasets_can_be_scanned_alone(cloud, shop, ready):
    """Only they are read; an id that the connection does not have is refused by field."""
    person, team, connection = ready
    found = cloud.call("POST", f"/v1/onboarding/catalog/discover?connection_id={connection}", as_=person).json
    ids = {dataset["name"]: dataset["id"] for dataset in found["datasets"]}
    job = _scan(cloud, connection, person, dataset_ids=[ids[shop.names["web"]]])
    assert job["progress"]["total"] == 1
    assert {row["fully_qualified_name"] for row in _rows(cloud, team)[1]} == {
        shop.full("web.page_views"),
        shop.full("web.sessions"),
    }
    unknown = _start(cloud, connection, person, dataset_ids=[team])
    assert (unknown.status, unknown.error["field"]) == (400, "dataset_ids")


def test_a_connection_is_scanned_by_one_scan_at_a_time(cloud, shop, ready):
    """The second request is 409 and names the running job; a repeated one with its key is the first."""
    person, _, connection = ready
    body = {"connection_id": connection}
    headers = {"Idempotency-Key": "scan-1"}
    path = "/v1/onboarding/catalog/scan"
    first = cloud.call("POST", path, body, as_=person, headers=headers)
    again = cloud.call("POST", path, body, as_=person, headers=headers)
    assert first.json == again.json
    second = _start(cloud, connection, person)
    assert (second.status, second.error["code"]) == (409, "SCAN_RUNNING")
    assert second.error["details"] == {"job_id": first.json["job_id"]}
    cloud.drain()
    assert _start(cloud, connection, person).status == 202


def test_an_empty_project_is_scanned_to_its_end(cloud, shop, ready):
    """Nothing to read is a completed scan, and what was known is marked removed."""
    person, _, connection = ready
    for name in shop.names.values():
        shop.client.delete_dataset(name, delete_contents=True)
    job = _scan(cloud, connection, person)
    assert job["state"] == "completed"
    assert job["result"]["datasets"] == 0


def test_an_unvalidated_connection_is_not_scanned(cloud, shop):
    """409 CONNECTION_NOT_VALIDATED; nothing was promised."""
    person = cloud.person()
    connection = cloud.connection(cloud.team(person), person, validated=False)
    answer = _start(cloud, connection, person)
    assert (answer.status, answer.error["code"]) == (409, "CONNECTION_NOT_VALIDATED")
    assert cloud.pending() == []


def test_a_deleted_connection_takes_its_catalog_along(cloud, shop, ready):
    """Steps that were under way end without harm."""
    person, team, connection = ready
    _scan(cloud, connection, person)
    _start(cloud, connection, person)
    assert cloud.call("DELETE", f"/v1/onboarding/connections/{connection}", as_=person).status == 204
    cloud.drain()
    assert _rows(cloud, team) == [[], [], []]


def test_a_scan_takes_a_slot_until_it_ends_and_counts_for_the_day(cloud, shop, ready, monkeypatch):
    """A second scan at the same time is refused with the quota's name; after the first has ended it may run."""
    from shared.platform import settings

    monkeypatch.setenv(
        "BRIDGE_LIMITS", '{"scans_concurrent": 1, "rate_write": 1600000, "rate_read": 1600000}'
    )
    settings.settings.cache_clear()
    person, team, connection = ready
    other = cloud.connection(team, person, "Other")
    first = _start(cloud, connection, person)
    refused = _start(cloud, other, person)
    assert (refused.status, refused.json["error"]["code"]) == (403, "QUOTA_EXCEEDED")
    assert refused.json["error"]["details"]["name"] == "scans_concurrent"
    cloud.drain(calm)
    assert cloud.job(first.json["job_id"], person)["state"] == "completed"
    assert _scan(cloud, other, person)["state"] == "completed"
    counted = cloud.sql(
        "SELECT used, reserved FROM spend_counters WHERE team_id = :t AND name = 'scans'", t=team
    )
    assert [(row["used"], row["reserved"]) for row in counted] == [(2, 0)]
