"""A real Postgres with the real migrations, for the parts of the platform that stand on it alone."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.platform.registry.gathered import RATES
from tests import keeper

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def postgres() -> dict[str, str]:
    """A migrated database of one's own; answers the address of each role."""
    return dict(
        zip(("bridge_app", "bridge_owner"), keeper.database(f"directory-{uuid.uuid4().hex[:8]}"), strict=True)
    )


@pytest.fixture
def directory(postgres: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The platform's settings pointed at the test database, with a pool of its own."""
    from shared.platform import settings as module
    from shared.platform.postgres import pool

    environment = {
        "BRIDGE_ENV": "local",
        "BRIDGE_BASE_URL": "http://127.0.0.1:1",
        "BRIDGE_STEP_URL": "http://127.0.0.1:1/_fn/{name}",
        "GOOGLE_CLOUD_PROJECT": "bridge-local",
        "DATABASE_URL": postgres["bridge_app"],
        "BRIDGE_BUCKET_PREFIX": "bridge-local",
        "BRIDGE_KMS_KEY": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "BRIDGE_STEP_SERVICE_ACCOUNT": "steps@bridge-local.iam.gserviceaccount.com",
        "BRIDGE_EVENTS_SERVICE_ACCOUNT": "events@bridge-local.iam.gserviceaccount.com",
        "CLOUD_TASKS_EMULATOR_HOST": "127.0.0.1:1",
        # Enough for every test without a question to Firestore, which is not there.
        "BRIDGE_LIMITS": json.dumps(dict.fromkeys(RATES, 1_600_000)),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    module.settings.cache_clear()
    pool._pool.cache_clear()
    yield environment
    module.settings.cache_clear()
    pool._pool.cache_clear()


@pytest.fixture
def owner(postgres: dict[str, str]) -> Iterator[Any]:
    """A connection of the schema's owner, to look behind the row-level policies."""
    from urllib.parse import urlsplit

    from pg8000.native import Connection

    url = urlsplit(postgres["bridge_owner"])
    connection = Connection(
        url.username or "",
        password=url.password,
        host="127.0.0.1",
        port=url.port,
        database=url.path[1:],
        ssl_context=None,
    )
    yield connection
    connection.close()


@pytest.fixture
def two_teams(directory: dict[str, str], owner: Any) -> dict[str, dict[str, str]]:
    """Two teams with one person each."""
    from shared.platform.ids import new_id

    found = {}
    for name in ("ours", "theirs"):
        team, user = new_id(), new_id()
        mark = uuid.uuid4().hex[:8]
        owner.run(
            "INSERT INTO users (id, email) VALUES (:id, :email)", id=user, email=f"{name}-{mark}@example.com"
        )
        owner.run(
            "INSERT INTO teams (id, name, slug) VALUES (:id, :name, :slug)",
            id=team,
            name=name,
            slug=f"{name}-{mark}",
        )
        owner.run(
            "INSERT INTO team_members (team_id, user_id, role) VALUES (:t, :u, 'admin')", t=team, u=user
        )
        found[name] = {"team": team, "user": user}
    return found


@pytest.fixture
def pass_time(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Let time pass at once, for this process and for every lease of the directory that the test stands on."""
    from tests.moved_clock import moved_clock

    if "cloud" in request.fixturenames:
        request.getfixturevalue("cloud")
        owner = request.getfixturevalue("servers")["owner"]
    else:
        request.getfixturevalue("directory")
        owner = request.getfixturevalue("postgres")["bridge_owner"]
    with moved_clock(directory=owner) as made:
        yield made
