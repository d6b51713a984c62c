"""An administrator of the platform, and a queue that a test can empty."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local import ports
from shared.platform.registry import gathered
from tests.shared.conftest import ROOT, Delivery, Person

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


@pytest.fixture(scope="session")
def dispatch(servers: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real Cloud Tasks whose deliveries reach nobody, so that tasks wait in their queues."""
    home: Path = tmp_path_factory.mktemp("dispatch")
    http, grpc = ports.free(), ports.free()
    options = [word for queue in QUEUES for word in ("--queue", queue)]
    child = subprocess.Popen(
        [
            *(sys.executable, "-m", "local.dispatch", "--port", str(http), "--grpc-port", str(grpc)),
            *("--data", str(home), "--no-clock", *options),
            *("--step-url", f"http://127.0.0.1:{ports.free()}/{{name}}"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert "ready" in child.stdout.readline()
    yield {"CLOUD_TASKS_EMULATOR_HOST": f"127.0.0.1:{grpc}"}
    child.terminate()
    child.wait(60)
    child.stdout.close()


@pytest.fixture
def queue(
    dispatch: dict[str, str], cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], list[Any]]]:
    """Lose every task that waits; answers them."""
    from shared.platform import settings
    from shared.platform.cloud import queues

    for name, value in dispatch.items():
        monkeypatch.setenv(name, value)
    settings.settings.cache_clear()
    queues._client.cache_clear()

    def lose() -> list[Any]:
        lost = []
        for name in QUEUES:
            for task in queues._client().list_tasks(parent=queues._parent(name)):
                queues._client().delete_task(name=task.name)
                lost.append(task)
        return lost

    lose()
    yield lose
    lose()
    queues._client.cache_clear()
