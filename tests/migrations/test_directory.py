"""The product's own migrations: forward, back and forward again, on rows."""

import uuid
from typing import Any

import pg8000.exceptions
import pg8000.native
import pytest

from migrations import runner
from tests.local.postgres.conftest import Postgres

SHAPE = {
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    " WHERE table_schema = 'public' AND table_name <> 'schema_migrations' ORDER BY 1, 2",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "functions": "SELECT proname, prosrc, prosecdef, proacl::text FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND conrelid <> 'schema_migrations'::regclass ORDER BY 1, 2",
    "policies": "SELECT tablename, policyname, roles::text, qual, with_check FROM pg_policies ORDER BY 1, 2",
    "grants": "SELECT table_name, privilege_type FROM information_schema.role_table_grants"
    " WHERE grantee = 'bridge_app' AND table_name <> 'schema_migrations' ORDER BY 1, 2",
}


def shape(db: pg8000.native.Connection) -> dict[str, Any]:
    return {name: db.run(question) for name, question in SHAPE.items()}


def test_all_the_way_down_and_up_again_is_the_same_schema(postgres: Postgres) -> None:
    """Tables, indexes, functions, policies and grants; nothing is left behind on the way."""
    db = postgres.connect()
    runner.up(postgres.url())
    before = shape(db)
    runner.down(postgres.url(), to=0)
    assert shape(db)["columns"] == []
    assert shape(db)["functions"] == []
    runner.up(postgres.url())
    assert shape(db) == before
    assert runner.verify(postgres.url()) == []
    db.close()


def test_each_migration_alone_can_be_undone_and_done_again(postgres: Postgres) -> None:
    """After every step forward, a step back and forward again leaves the same."""
    db = postgres.connect()
    for migration in runner.load():
        runner.up(postgres.url(), to=migration.number)
        before = shape(db)
        runner.down(postgres.url())
        runner.up(postgres.url(), to=migration.number)
        assert shape(db) == before, migration.id
    db.close()


def test_the_operation_of_steps_comes_and_goes_over_rows(postgres: Postgres) -> None:
    """What was sent before is not looked for, letters learn their kind; back again, all but events' rows stay."""
    db = postgres.connect()
    runner.up(postgres.url(), to=5)
    db.run(
        "INSERT INTO outbox (id, step, queue, payload, traceparent, not_before, sent_at)"
        " SELECT gen_random_uuid(), 's', 'default', '{}', '', now(), CASE WHEN n = 1 THEN now() END FROM generate_series(1, 2) n"
    )
    for payload in ('{"message": {"generation": 1}}', '{"message": {"scan": "s"}}', '{"bytes": 3}'):
        db.run(
            "INSERT INTO dead_letters (id, step, key, payload, error_code, error_message)"
            " VALUES (gen_random_uuid(), 's', 'k', :payload, 'X', '')",
            payload=payload,
        )
    runner.up(postgres.url(), to=6)
    assert db.run("SELECT sent_at IS NULL, settled_at IS NULL FROM outbox ORDER BY 1") == [
        [False, False],
        [True, True],
    ]
    assert db.run("SELECT kind, count(*) FROM dead_letters GROUP BY 1 ORDER BY 1") == [
        ["event", 1],
        ["task", 2],
    ]
    db.run(
        "INSERT INTO outbox (id, step, queue, kind, payload, traceparent, not_before)"
        " VALUES (gen_random_uuid(), 's', 'catalog', 'event', '{}', '', now())"
    )
    runner.down(postgres.url())
    assert db.run("SELECT count(*) FROM outbox") == [[2]]
    assert db.run("SELECT count(*) FROM dead_letters") == [[3]]
    runner.up(postgres.url())
    assert runner.verify(postgres.url()) == []
    db.close()


def test_replayed_ticks_come_and_go_over_rows(postgres: Postgres) -> None:
    """Down, ticks of ours are gone and cannot be written; up again they can."""
    db = postgres.connect()
    runner.up(postgres.url(), to=9)
    add = (
        "INSERT INTO outbox (id, step, queue, kind, payload, traceparent, not_before)"
        " VALUES (gen_random_uuid(), 's', 'default', :kind, '{}', '', now())"
    )
    for kind in ("task", "scheduled"):
        db.run(add, kind=kind)
    runner.down(postgres.url(), to=8)
    assert db.run("SELECT kind FROM outbox") == [["task"]]
    with pytest.raises(pg8000.exceptions.DatabaseError, match="outbox_kind_check"):
        db.run(add, kind="scheduled")
    runner.up(postgres.url())
    db.run(add, kind="scheduled")
    db.close()


def test_makers_of_teams_come_and_go_over_rows(postgres: Postgres) -> None:
    """Teams learn who made them from the audit log; back again, what shares a slug is told apart."""
    db = postgres.connect()
    runner.up(postgres.url(), to=10)
    person, teams = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(2)]
    db.run("INSERT INTO users (id, email) VALUES (:id, 'maker@example.com')", id=person)
    for team, actor in zip(teams, (person, "somebody who is gone"), strict=True):
        db.run("INSERT INTO teams (id, name, slug) VALUES (:id, 'T', :slug)", id=team, slug=f"t-{team}")
        db.run(
            "INSERT INTO audit_log (id, team_id, actor, action, target, correlation_id)"
            " VALUES (gen_random_uuid(), :team, :actor, 'team.created', 't', '')",
            team=team,
            actor=actor,
        )
    runner.up(postgres.url(), to=11)
    made = "SELECT created_by::text FROM teams WHERE id = :id"
    assert [db.run(made, id=team) for team in teams] == [[[person]], [[None]]]
    assert db.run("SELECT bridge_teams_made(:id)", id=person) == [[1]]
    db.run("UPDATE teams SET slug = 'same'")
    runner.down(postgres.url(), to=10)
    slugs = sorted(str(row[0]) for row in db.run("SELECT slug FROM teams"))
    assert slugs[0] == "same"
    assert slugs[1].startswith("same-")
    runner.up(postgres.url())
    assert runner.verify(postgres.url()) == []
    db.close()
