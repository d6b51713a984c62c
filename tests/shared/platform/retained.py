"""Rows of the platform, of an age: what the test of retention removes and keeps."""

from typing import Any, NamedTuple


class Row(NamedTuple):
    """Where a row of a rule stands, by which column it is known, and what makes one that many days old."""

    table: str
    column: str
    make: Any


def _attempt(cloud: Any, id: str, days: int, **_: str) -> None:
    cloud.sql(
        "INSERT INTO attempts (step, key, owner, state, lease_until, tries, created_at, finished_at)"
        " VALUES ('s', CAST(:id AS text), gen_random_uuid(), 'done', now(), 1, now() - make_interval(days => :days),"
        " now() - make_interval(days => :days))",
        id=id, days=days,
    )  # fmt: skip


def _message(cloud: Any, id: str, days: int, **_: str) -> None:
    cloud.sql(
        "INSERT INTO outbox (id, step, queue, payload, traceparent, not_before, sent_at, settled_at)"
        " VALUES (:id, 's', 'default', '{}', '', now(), now(), now() - make_interval(days => :days))",
        id=id, days=days,
    )  # fmt: skip


def _idempotency_key(cloud: Any, id: str, days: int, *, user: str, **_: str) -> None:
    cloud.sql(
        "INSERT INTO idempotency_keys (user_id, route, key, body_sha256, owner, lease_until, status, created_at)"
        " VALUES (:user, 'r', CAST(:id AS text), '', gen_random_uuid(), now(), 201, now() - make_interval(days => :days))",
        id=id, days=days, user=user,
    )  # fmt: skip


def _letter(cloud: Any, id: str, days: int, **_: str) -> None:
    cloud.sql(
        "INSERT INTO dead_letters (id, step, key, payload, error_code, error_message, created_at)"
        " VALUES (:id, 's', '', '{}', 'X', '', now() - make_interval(days => :days))",
        id=id, days=days,
    )  # fmt: skip


def _child(cloud: Any, id: str, days: int, *, team: str, **_: str) -> None:
    cloud.sql(
        "INSERT INTO jobs (id, team_id, kind, state, finished_at) VALUES (:id, :team, 'k', 'completed',"
        " now() - make_interval(days => :days))",
        id=id, days=days, team=team,
    )  # fmt: skip
    cloud.sql("INSERT INTO job_children (job_id, key, team_id) VALUES (:id, 'c', :team)", id=id, team=team)


def _reservation(cloud: Any, id: str, days: int, *, team: str, **_: str) -> None:
    cloud.sql(
        "INSERT INTO reservations (team_id, resource, key, state, amount, parts, lease_until, ended_at)"
        " VALUES (:team, 'scans', CAST(:id AS text), 'settled', 1, '[]', now(), now() - make_interval(days => :days))",
        id=id, days=days, team=team,
    )  # fmt: skip


def _counter(cloud: Any, id: str, days: int, *, team: str, **_: str) -> None:
    cloud.sql(
        "INSERT INTO spend_counters (team_id, name, window_key, ceiling, updated_at)"
        " VALUES (:team, 'scans', CAST(:id AS text), 1, now() - make_interval(days => :days))",
        id=id, days=days, team=team,
    )  # fmt: skip


ROWS = {
    "attempts": Row("attempts", "key", _attempt),
    "messages": Row("outbox", "id::text", _message),
    "idempotency keys": Row("idempotency_keys", "key", _idempotency_key),
    "dead letters": Row("dead_letters", "id::text", _letter),
    "children of jobs": Row("job_children", "job_id::text", _child),
    "reservations": Row("reservations", "key", _reservation),
    "counters of spending": Row("spend_counters", "window_key", _counter),
}
