"""What is old goes, what still protects stays, and the periods stand in the docs."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.platform.ops import retention

ROOT = Path(__file__).resolve().parents[4]
AGES = {"young": -1, "old": 1}
"""Days beyond the period."""


TABLES = {
    "attempts": ("attempts", "key"),
    "messages": ("outbox", "id::text"),
    "idempotency keys": ("idempotency_keys", "key"),
    "dead letters": ("dead_letters", "id::text"),
    "browser sessions": ("auth_sessions", "id::text"),
    "children of jobs": ("job_children", "job_id::text"),
    "journals of turns": ("turn_journal", "turn_id::text"),
    "reservations": ("reservations", "key"),
    "counters of spending": ("spend_counters", "window_key"),
}


def id() -> str:
    return str(uuid.uuid4())


class Rows:
    """One row of each kind, younger and older than its period."""

    def __init__(self, cloud: Any) -> None:
        self.cloud, self.person = cloud, cloud.person()
        self.team = cloud.team(self.person)
        self.ids: dict[tuple[str, str], str] = {}
        for rule in retention.RULES:
            for age, more in AGES.items():
                made = self.ids[rule.name, age] = id()
                self._add(rule.name, made, rule.days + more)

    def _add(self, name: str, made: str, days: int) -> None:
        values: dict[str, Any] = {"id": made, "days": days}
        match name:
            case "attempts":
                statement = (
                    "INSERT INTO attempts (step, key, owner, state, lease_until, tries, created_at, finished_at)"
                    " VALUES ('s', CAST(:id AS text), gen_random_uuid(), 'done', now(), 1, now() - make_interval(days => :days),"
                    " now() - make_interval(days => :days))"
                )
            case "messages":
                statement = (
                    "INSERT INTO outbox (id, step, queue, payload, traceparent, not_before, sent_at, settled_at)"
                    " VALUES (:id, 's', 'default', '{}', '', now(), now(), now() - make_interval(days => :days))"
                )
            case "idempotency keys":
                values["user"] = self.person.id
                statement = (
                    "INSERT INTO idempotency_keys (user_id, route, key, body_sha256, owner, lease_until, status, created_at)"
                    " VALUES (:user, 'r', CAST(:id AS text), '', gen_random_uuid(), now(), 201, now() - make_interval(days => :days))"
                )
            case "dead letters":
                statement = (
                    "INSERT INTO dead_letters (id, step, key, payload, error_code, error_message, created_at)"
                    " VALUES (:id, 's', '', '{}', 'X', '', now() - make_interval(days => :days))"
                )
            case "browser sessions":
                values["user"] = self.person.id
                statement = (
                    "INSERT INTO auth_sessions (id, user_id, token_sha256, expires_at)"
                    " VALUES (:id, :user, CAST(gen_random_uuid() AS text), now() - make_interval(days => :days))"
                )
            case "children of jobs":
                values["team"] = self.team
                self.cloud.sql(
                    "INSERT INTO jobs (id, team_id, kind, state, finished_at) VALUES (:id, :team, 'k', 'completed',"
                    " now() - make_interval(days => :days))",
                    **values,
                )
                values.pop("days")
                statement = "INSERT INTO job_children (job_id, key, team_id) VALUES (:id, 'c', :team)"
            case "journals of turns":
                session = id()
                self.cloud.sql(
                    "INSERT INTO sessions (id, team_id, user_id, provider, model, gcs_messages_uri)"
                    " VALUES (:session, :team, :user, 'p', 'm', '')",
                    session=session, team=self.team, user=self.person.id,
                )  # fmt: skip
                self.cloud.sql(
                    "INSERT INTO turns (id, team_id, session_id, user_id, state, ask_sha256, owner, lease_until, finished_at)"
                    " VALUES (:id, :team, :session, :user, 'failed', '', gen_random_uuid(), now(),"
                    " now() - make_interval(days => :days))",
                    session=session, team=self.team, user=self.person.id, **values,
                )  # fmt: skip
                values = {"id": made, "team": self.team}
                statement = (
                    "INSERT INTO turn_journal (turn_id, number, team_id, kind, entry, last_event)"
                    " VALUES (:id, 1, :team, 'tools', '{}', 1)"
                )
            case "reservations":
                values["team"] = self.team
                statement = (
                    "INSERT INTO reservations (team_id, resource, key, state, amount, parts, lease_until, ended_at)"
                    " VALUES (:team, 'scans', CAST(:id AS text), 'settled', 1, '[]', now(), now() - make_interval(days => :days))"
                )
            case "counters of spending":
                values["team"] = self.team
                statement = (
                    "INSERT INTO spend_counters (team_id, name, window_key, ceiling, updated_at)"
                    " VALUES (:team, 'scans', CAST(:id AS text), 1, now() - make_interval(days => :days))"
                )
            case _:
                raise AssertionError(f"no row of the kind {name!r}")
        self.cloud.sql(statement, **values)

    def there(self, name: str, age: str) -> bool:
        table, column = TABLES[name]
        return bool(
            self.cloud.sql(f"SELECT 1 AS one FROM {table} WHERE {column} = :id", id=self.ids[name, age])
        )


@pytest.mark.slow
def test_what_is_older_than_its_period_goes_and_nothing_younger(cloud: Any) -> None:
    """Every rule, one row on each side of its period; a second run finds nothing."""
    rows = Rows(cloud)
    removed = retention.run(seconds=60)
    for rule in retention.RULES:
        assert removed[rule.name] >= 1, rule.name
        assert rows.there(rule.name, "young"), rule.name
        assert not rows.there(rule.name, "old"), rule.name
    assert set(retention.run(seconds=60).values()) == {0}


@pytest.mark.slow
def test_an_attempt_outlives_the_last_delivery_that_its_queue_could_make(cloud: Any) -> None:
    """34 days after its end it still turns a late delivery away; a dead one stays as long as its letter."""
    for key, state, days in (("late", "done", 34), ("letter", "dead", 60), ("no-letter", "dead", 60)):
        cloud.sql(
            "INSERT INTO attempts (step, key, owner, state, lease_until, tries, created_at, finished_at)"
            " VALUES ('retained', :key, gen_random_uuid(), :state, now(), 1, now() - make_interval(days => :days),"
            " now() - make_interval(days => :days)) ON CONFLICT DO NOTHING",
            key=key, state=state, days=days,
        )  # fmt: skip
    cloud.sql(
        "INSERT INTO dead_letters (id, step, key, payload, error_code, error_message, created_at)"
        " VALUES (gen_random_uuid(), 'retained', 'letter', '{}', 'X', '', now() - interval '60 days')"
    )
    retention.run(seconds=60)
    left = {row["key"] for row in cloud.sql("SELECT key FROM attempts WHERE step = 'retained'")}
    assert left == {"late", "letter"}


@pytest.mark.slow
def test_what_still_promises_something_is_never_old(cloud: Any) -> None:
    """A reservation that is held, its counter, and what counts the present stay, however long ago they moved."""
    team = cloud.team(cloud.person())
    cloud.sql(
        "INSERT INTO reservations (team_id, resource, key, state, amount, parts, lease_until, created_at)"
        " VALUES (:team, 'scans', 'held', 'held', 1, '[]', now(), now() - interval '9 years')",
        team=team,
    )
    for window, reserved in (("2017-01-01", 1), ("now", 0)):
        cloud.sql(
            "INSERT INTO spend_counters (team_id, name, window_key, reserved, ceiling, updated_at)"
            " VALUES (:team, 'scans', :window, :reserved, 1, now() - interval '9 years')",
            team=team, window=window, reserved=reserved,
        )  # fmt: skip
    retention.run(seconds=60)
    assert len(cloud.sql("SELECT 1 AS one FROM reservations WHERE team_id = :team", team=team)) == 1
    assert len(cloud.sql("SELECT 1 AS one FROM spend_counters WHERE team_id = :team", team=team)) == 2


@pytest.mark.slow
def test_an_attempt_that_works_and_a_request_that_runs_are_never_old(cloud: Any) -> None:
    """However long ago they began."""
    person = cloud.person()
    cloud.sql(
        "INSERT INTO attempts (step, key, owner, state, lease_until, tries, created_at)"
        " VALUES ('retained', 'alive', gen_random_uuid(), 'running', now() + interval '20 s', 1, now() - interval '99 days')"
    )
    cloud.sql(
        "INSERT INTO idempotency_keys (user_id, route, key, body_sha256, owner, lease_until, created_at)"
        " VALUES (:user, 'r', 'alive', '', gen_random_uuid(), now() + interval '20 s', now() - interval '9 days')",
        user=person.id,
    )
    retention.run(seconds=60)
    assert cloud.sql("SELECT key FROM attempts WHERE step = 'retained' AND key = 'alive'")
    assert cloud.sql(
        "SELECT key FROM idempotency_keys WHERE user_id = :user AND key = 'alive'", user=person.id
    )


@pytest.mark.slow
def test_runs_at_the_same_time_share_the_work_in_bounded_batches(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs over 25 rows in batches of four remove each row once."""
    monkeypatch.setattr(retention, "BATCH", 4)
    retention.run(seconds=60)
    cloud.sql(
        "INSERT INTO dead_letters (id, step, key, payload, error_code, error_message, created_at)"
        " SELECT gen_random_uuid(), 's', '', '{}', 'X', '', now() - interval '99 days' FROM generate_series(1, 25)"
    )
    with ThreadPoolExecutor(3) as runs:
        removed = list(runs.map(lambda _: retention.run(seconds=60)["dead letters"], range(3)))
    assert sum(removed) + retention.run(seconds=60)["dead letters"] == 25


def test_the_periods_stand_in_the_docs_as_they_are() -> None:
    """docs/operations.md shows each rule with its days."""
    text = (ROOT / "docs" / "operations.md").read_text()
    shown = {
        row[0]: int(row[1]) for row in re.findall(r"^\| ([a-z ]+) \| (\d+) days? after ", text, re.MULTILINE)
    }
    assert shown == {rule.name: rule.days for rule in retention.RULES}
