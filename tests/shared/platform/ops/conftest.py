"""An administrator of the platform, and a queue that a test can empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.platform.registry import gathered
from tests import keeper
from tests.shared.conftest import Delivery, Person

QUEUES = sorted(gathered.QUEUES)


@pytest.fixture
def admin(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody whose address is among the platform's administrators."""
    from shared.platform import settings

    person: Person = cloud.person("operator")
    email = cloud.sql("SELECT email FROM users WHERE id = :id", id=person.id)[0]["email"]
    monkeypatch.setenv("BRIDGE_PLATFORM_ADMINS", email)
    settings.settings.cache_clear()
    return person


@pytest.fixture
def connection(cloud: Any) -> tuple[Person, str, str]:
    """A person, their team, and a connection that nobody has validated."""
    person = cloud.person()
    team = cloud.team(person)
    return person, team, cloud.connection(team, person, validated=False)


@pytest.fixture
def validation(cloud: Any, connection: tuple[Person, str, str]) -> tuple[str, Delivery]:
    """The job of a requested validation, and its step."""
    person, _, id = connection
    job = cloud.call("POST", f"/v1/onboarding/connections/{id}/validate", as_=person).json["job_id"]
    (step,) = cloud.pending()
    return job, step


@pytest.fixture
def warehouse(bigquery: Any) -> None:
    """The local BigQuery, with something in it, so that a validation ends well."""
    bigquery.create_dataset("something", exists_ok=True)


@pytest.fixture
def queue(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Any]]]:
    """Lose every task that waits; answers them."""
    from shared.platform import settings
    from shared.platform.cloud import queues

    monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", keeper.asked("tasks"))
    settings.settings.cache_clear()
    queues._client.cache_clear()

    def lose() -> list[Any]:
        lost = []
        for name in keeper.QUEUES:
            for task in queues._client().list_tasks(parent=queues._parent(name)):
                queues._client().delete_task(name=task.name)
                lost.append(task)
        return lost

    lose()
    yield lose
    lose()
    queues._client.cache_clear()
