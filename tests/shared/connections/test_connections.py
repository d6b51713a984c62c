"""Connections through their doors: made, listed, tried, rotated, deleted."""

import json

import pytest

CANARY = "canary-7f3a"


def _create(cloud, team, person, **changes):
    body = {
        "team_id": team,
        "name": "Warehouse",
        "connection_type": "bigquery",
        "credentials": cloud.service_account(),
    } | changes
    return cloud.call("POST", "/v1/onboarding/connections", body, as_=person)


def _path(connection, rest=""):
    return f"/v1/onboarding/connections/{connection}{rest}"


def test_a_new_connection_waits_for_its_validation(cloud):
    """201, pending, and nothing of the credentials comes back."""
    person = cloud.person()
    team = cloud.team(person)
    made = _create(cloud, team, person)
    assert made.status == 201
    assert made.json | {"id": 0, "created_at": 0} == {
        "id": 0,
        "team_id": team,
        "name": "Warehouse",
        "connection_type": "bigquery",
        "status": "pending_validation",
        "validation_error": None,
        "validated_at": None,
        "created_at": 0,
    }
    seen = cloud.call("GET", _path(made.json["id"]), as_=person)
    assert seen.json["catalog"] == {"datasets": 0, "tables": 0}


def test_no_answer_and_no_log_holds_a_secret(cloud, capsys):
    """A canary in the file appears in no answer, error, row or log line."""
    person = cloud.person()
    team = cloud.team(person)
    email = f"{CANARY}@bridge-local.iam.gserviceaccount.com"
    made = _create(cloud, team, person, credentials=cloud.service_account(client_email=email))
    assert made.status == 201
    broken = cloud.service_account(client_email=email, private_key=f"-----BEGIN {CANARY}")
    answers = [
        made,
        _create(cloud, team, person, name="x", credentials=broken),
        _create(cloud, team, person, name="x", credentials=cloud.service_account(extra=CANARY)),
        _create(cloud, team, person, name="x", credentials=json.dumps({"private_key": CANARY})),
        _create(cloud, team, person, name="x", connection_type="postgres", credentials=CANARY),
        cloud.call("GET", _path(made.json["id"]), as_=person),
        cloud.call("GET", f"/v1/onboarding/connections?team_id={team}", as_=person),
        cloud.call("PUT", _path(made.json["id"], "/credentials"), {"credentials": broken}, as_=person),
    ]
    assert [answer.status for answer in answers] == [201, 400, 400, 400, 400, 200, 200, 400]
    assert all(CANARY.encode() not in answer.content for answer in answers)
    assert CANARY not in capsys.readouterr().out
    for table in ("connections", "audit_log", "outbox", "dead_letters", "idempotency_keys", "jobs"):
        rows = cloud.sql(f"SELECT to_jsonb(t)::text AS row FROM {table} t")
        assert all(CANARY not in row["row"] for row in rows), table


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"connection_type": "mysql"}, "connection_type"),
        ({"connection_type": "postgres"}, "connection_type"),
        ({"credentials": {"host": "x"}}, "credentials"),
        ({"credentials": ""}, "credentials"),
        ({"host": "10.0.0.1"}, "host"),
        ({"team_id": "mine"}, "team_id"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_by_field(cloud, change, field):
    """400 with the field; nothing is stored."""
    person = cloud.person()
    team = cloud.team(person)
    answer = _create(cloud, team, person, **change)
    assert (answer.status, answer.error["field"]) == (400, field)
    assert (
        cloud.call("GET", f"/v1/onboarding/connections?team_id={team}", as_=person).json["connections"] == []
    )


def test_a_name_is_taken_once_in_a_team(cloud):
    """The second one is 409, and leaves no object behind; another team may use it."""
    from shared.platform.cloud import objects

    person = cloud.person()
    team, other = cloud.team(person), cloud.team(person)
    assert _create(cloud, team, person).status == 201
    taken = _create(cloud, team, person)
    assert (taken.status, taken.error["code"], taken.error["field"]) == (409, "SLUG_TAKEN", "name")
    assert len(list(objects.listing("credentials", f"{team}/"))) == 1
    assert _create(cloud, other, person).status == 201


def test_a_repeated_creation_makes_one_connection_and_one_object(cloud):
    """With a key the repetition answers what the first answered."""
    from shared.platform.cloud import objects

    person = cloud.person()
    team = cloud.team(person)
    body = {
        "team_id": team,
        "name": "Once",
        "connection_type": "bigquery",
        "credentials": cloud.service_account(),
    }
    answers = [
        cloud.call("POST", "/v1/onboarding/connections", body, as_=person, headers={"Idempotency-Key": "k1"})
        for _ in range(2)
    ]
    assert answers[0].json == answers[1].json
    assert len(list(objects.listing("credentials", f"{team}/"))) == 1


def test_connections_are_listed_newest_first_in_pages(cloud):
    """Without gaps or repeats."""
    person = cloud.person()
    team = cloud.team(person)
    for name in ("one", "two", "three"):
        _create(cloud, team, person, name=name)
    path = f"/v1/onboarding/connections?team_id={team}&limit=2"
    first = cloud.call("GET", path, as_=person).json
    rest = cloud.call("GET", f"{path}&cursor={first['next_cursor']}", as_=person).json
    assert [c["name"] for c in first["connections"] + rest["connections"]] == ["three", "two", "one"]
    assert rest["next_cursor"] is None


def test_a_member_reads_and_validates_but_only_an_admin_changes(cloud):
    """403 for the lesser role: the member knows that the connection exists."""
    admin, member = cloud.person(), cloud.person()
    team = cloud.team(admin)
    cloud.join(team, member)
    connection = _create(cloud, team, admin).json["id"]
    new = {"credentials": cloud.service_account()}
    assert _create(cloud, team, member, name="x").status == 403
    assert cloud.call("PUT", _path(connection, "/credentials"), new, as_=member).status == 403
    assert cloud.call("DELETE", _path(connection), as_=member).status == 403
    assert cloud.call("GET", _path(connection), as_=member).status == 200
    assert cloud.call("POST", _path(connection, "/validate"), as_=member).status == 202


def test_a_strangers_connection_answers_like_one_that_does_not_exist(cloud):
    """Every route, also those that would change it; and nothing has changed."""
    owner, stranger = cloud.person(), cloud.person()
    cloud.team(stranger)
    connection = _create(cloud, cloud.team(owner), owner).json["id"]
    missing = connection[:-4] + "ffff"
    new = {"credentials": cloud.service_account()}
    for method, rest, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/validate", None),
        ("POST", "/test", None),
        ("PUT", "/credentials", new),
    ):
        answers = [cloud.call(method, _path(id, rest), body, as_=stranger) for id in (connection, missing)]
        assert [answer.status for answer in answers] == [404, 404], (method, rest)
        assert answers[0].error["message"] == answers[1].error["message"]
    assert cloud.call("GET", _path(connection), as_=owner).status == 200


def test_deleting_removes_object_and_row_and_may_be_repeated(cloud):
    """204 each time for the team that had it; the credentials are gone from the bucket."""
    from shared.platform.cloud import objects

    person, stranger = cloud.person(), cloud.person()
    team = cloud.team(person)
    cloud.team(stranger)
    connection = _create(cloud, team, person).json["id"]
    assert [cloud.call("DELETE", _path(connection), as_=person).status for _ in range(2)] == [204, 204]
    assert cloud.call("GET", _path(connection), as_=person).status == 404
    assert cloud.call("DELETE", _path(connection), as_=stranger).status == 404
    assert list(objects.listing("credentials", f"{team}/")) == []


def test_rotation_asks_for_a_new_validation_and_keeps_the_old_version(cloud):
    """The row points at a new generation, the status starts over, and the old object can be restored."""
    from shared.platform.cloud import objects

    person = cloud.person()
    team = cloud.team(person)
    connection = _create(cloud, team, person).json["id"]
    cloud.sql(
        "UPDATE connections SET status = 'validated', validated_at = now() WHERE id = :id", id=connection
    )
    row = "SELECT credentials_generation AS g FROM connections WHERE id = :id"
    before = cloud.sql(row, id=connection)[0]["g"]
    rotated = cloud.call(
        "PUT", _path(connection, "/credentials"), {"credentials": cloud.service_account()}, as_=person
    )
    assert (rotated.status, rotated.json["status"]) == (200, "pending_validation")
    after = cloud.sql(row, id=connection)[0]["g"]
    assert after > before
    assert objects.get("credentials", f"{team}/{connection}.json.enc", generation=before)[0]


def test_a_swap_whose_answer_was_lost_is_the_swap(cloud, monkeypatch):
    """The client of Cloud Storage asks again, and is told that its precondition fails: by its own object."""
    from shared.platform.cloud import objects

    person = cloud.person()
    team = cloud.team(person)
    connection = _create(cloud, team, person).json["id"]
    real = objects.put

    def lost(role, *args, **options):
        real(role, *args, **options)
        return real(role, *args, **options)

    def rotate():
        return cloud.call(
            "PUT", _path(connection, "/credentials"), {"credentials": cloud.service_account()}, as_=person
        )

    monkeypatch.setattr(objects, "put", lost)
    assert rotate().status == 200

    def raced(role, *args, **options):
        real(role, *args, **(options | {"metadata": {"bridge-write": "another"}}))
        return real(role, *args, **options)

    monkeypatch.setattr(objects, "put", raced)
    assert rotate().status == 412


def test_every_change_is_in_the_audit_log(cloud):
    """Who, what, which; values only as hashes."""
    person = cloud.person()
    team = cloud.team(person)
    connection = _create(cloud, team, person).json["id"]
    cloud.call("PUT", _path(connection, "/credentials"), {"credentials": cloud.service_account()}, as_=person)
    cloud.call("DELETE", _path(connection), as_=person)
    rows = cloud.sql("SELECT action, actor, target FROM audit_log WHERE team_id = :t ORDER BY id", t=team)
    actions = [row["action"] for row in rows]
    assert sorted(actions[:2]) == ["member.added", "team.created"]
    assert actions[2:] == ["connection.created", "credentials.rotated", "connection.deleted"]
    assert {row["actor"] for row in rows} == {person.id}


def test_an_unvalidated_connection_opens_no_warehouse(cloud):
    """409 CONNECTION_NOT_VALIDATED, with what it is instead."""
    from shared.connections import service
    from shared.connections.declared import ConnectionNotValidated
    from shared.platform.errors import NotFound

    person = cloud.person()
    team, other = cloud.team(person), cloud.team(person)
    connection = _create(cloud, team, person).json["id"]
    with pytest.raises(ConnectionNotValidated) as caught:
        service.open_warehouse(team, connection)
    assert "pending_validation" in (caught.value.reason or "")
    opened = service.open_warehouse(team, connection, allow_unvalidated=True)
    assert opened.warehouse.project == "bridge-local"
    assert "PRIVATE" not in repr(opened)
    with pytest.raises(NotFound):
        service.open_warehouse(other, connection, allow_unvalidated=True)
