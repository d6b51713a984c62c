"""The stores that conversations stand on: Postgres, Cloud Storage, Firestore and Cloud Tasks, as processes."""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import ports
from tests import keeper
from tests.servers import launch

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def stores() -> dict[str, str]:
    """A space on the servers of the run: the environment that leads there."""
    space = keeper.space()
    return space.environment | {"MIGRATIONS_DATABASE_URL": space.owner, "BRIDGE_POOL_SIZE": "24"}


@pytest.fixture(scope="module")
def ground(stores: dict[str, str]) -> Iterator[dict[str, str]]:
    """This process's settings and clients pointed at the stores."""
    from shared.platform import settings as module
    from shared.platform.cloud import documents, objects, queues
    from shared.platform.postgres import pool

    caches = (module.settings, pool._pool, documents.client, objects._client, queues._client)
    before = dict(os.environ)
    os.environ.update(stores)
    for cache in caches:
        cache.cache_clear()
    yield stores
    os.environ.clear()
    os.environ.update(before)
    for cache in caches:
        cache.cache_clear()


@dataclass(frozen=True)
class Somebody:
    """A member of a team."""

    team: Any
    user: Any

    @property
    def teams(self) -> list[Any]:
        return [self.team]


@pytest.fixture
def somebody(ground: dict[str, str]) -> Callable[[], Somebody]:
    """Make a person with a team of their own."""
    from urllib.parse import urlsplit

    import pg8000.native

    def make() -> Somebody:
        url = urlsplit(ground["MIGRATIONS_DATABASE_URL"])
        owner = pg8000.native.Connection(
            url.username or "", host=url.hostname or "", port=url.port or 0, database=url.path[1:],
            password=url.password,
        )  # fmt: skip
        team, user = str(uuid.uuid4()), str(uuid.uuid4())
        owner.run("INSERT INTO users (id, email) VALUES (:id, :email)", id=user, email=f"{user}@example.com")
        owner.run("INSERT INTO teams (id, name, slug) VALUES (:id, 'Team', :slug)", id=team, slug=f"t-{team}")
        owner.run(
            "INSERT INTO team_members (team_id, user_id, role) VALUES (:team, :user, 'admin')",
            team=team,
            user=user,
        )
        owner.close()
        return Somebody(team, user)

    return make


@pytest.fixture
def me(somebody: Callable[[], Somebody]) -> Somebody:
    """One person with a team."""
    return somebody()


@pytest.fixture
def session_id(me: Somebody) -> str:
    """A conversation of theirs."""
    from shared.agents.conversation import sessions
    from shared.platform.ids import new_id

    return sessions.create(me.team, me.user, id=new_id(), provider="scripted", model="m").session_id


@dataclass
class MessagesApi:
    """The protocol server of the Messages API and what it is told to say."""

    url: str
    data: Path
    seen: int = 0

    def say(self, *replies: dict[str, Any]) -> None:
        """Write the script; it replaces what was left of the one before."""
        temporary = self.data / "script.next"
        temporary.write_text(json.dumps({"replies": list(replies)}))
        temporary.rename(self.data / "script.json")

    def requests(self) -> list[dict[str, Any]]:
        """Every request of this test so far, with its accounting."""
        return [json.loads(line) for line in self._lines()[self.seen :]]

    def _lines(self) -> list[str]:
        return (self.data / "requests.jsonl").read_text().splitlines()


@pytest.fixture(scope="session")
def messages_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MessagesApi]:
    """One server for the whole run."""
    data, port = tmp_path_factory.mktemp("messages"), ports.free()
    child = launch("local.anthropic", "--port", str(port), "--data", str(data), "--key", "test-key")
    yield MessagesApi(f"http://127.0.0.1:{port}", data)
    child.terminate()
    assert child.wait() == 0
    assert child.stdout is not None
    child.stdout.close()


@pytest.fixture
def messages_api(messages_server: MessagesApi) -> MessagesApi:
    """A Messages API that accepts one key, without a script."""
    messages_server.say()
    return MessagesApi(messages_server.url, messages_server.data, seen=len(messages_server._lines()))


@pytest.fixture
def pass_time(ground: dict[str, str]) -> Iterator[Any]:
    """Let time pass at once, for this process and for every lease: `pass_time(seconds)`."""
    from tests.moved_clock import moved_clock

    with moved_clock(directory=ground["MIGRATIONS_DATABASE_URL"]) as made:
        yield made
