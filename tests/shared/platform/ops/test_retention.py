"""What is old goes, what still protects stays."""

from __future__ import annotations

import importlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.platform.ops.retention import running as retention

ROOT = Path(__file__).resolve().parents[4]
AGES = {"young": -1, "old": 1}
"""Days beyond the period."""


def kinds() -> dict[str, Any]:
    """How a row of each rule is made, from the file that each area has for it: tests/shared/<area>/retained.py."""
    found: dict[str, Any] = {}
    for path in sorted((ROOT / "tests" / "shared").glob("*/retained.py")):
        found |= importlib.import_module(f"tests.shared.{path.parent.name}.retained").ROWS
    return found


def id() -> str:
    return str(uuid.uuid4())


class Rows:
    """One row of each kind, younger and older than its period."""

    def __init__(self, cloud: Any) -> None:
        self.cloud, self.person = cloud, cloud.person()
        self.team = cloud.team(self.person)
        self.ids: dict[tuple[str, str], str] = {}
        self.kinds = kinds()
        for rule in retention.RULES:
            for age, more in AGES.items():
                made = self.ids[rule.name, age] = id()
                self.kinds[rule.name].make(cloud, made, rule.days + more, team=self.team, user=self.person.id)

    def there(self, name: str, age: str) -> bool:
        kind = self.kinds[name]
        found = self.cloud.sql(
            f"SELECT 1 AS one FROM {kind.table} WHERE {kind.column} = :id", id=self.ids[name, age]
        )
        return bool(found)


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
