"""No request outlasts its function, whatever happens to the services that it asks."""

import contextvars
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.patience import until
from shared.platform import deadline
from shared.platform import settings as module
from shared.platform.cloud import documents, identity, keys, objects, queues, secrets
from shared.platform.errors import Unavailable
from shared.platform.postgres import pool
from tests.local.grpc_serving import serving

pytestmark = pytest.mark.slow

ALLOWED = deadline.ANSWER_SECONDS + 1.5
"""What the requests here may take; their clients would go on for half a minute and more."""


def _never(_: Any) -> Any:
    raise AssertionError("the document can't be there")


OPERATIONS: dict[str, Callable[[], Any]] = {
    "read an object": lambda: objects.get("cache", "x"),
    "write an object": lambda: objects.put("cache", "x", b"1", if_generation=0),
    "look at an object": lambda: objects.head("cache", "x"),
    "delete an object": lambda: objects.delete("cache", "x"),
    "compose objects": lambda: objects.compose(
        "cache", "x", ["y"], if_generation=0, content_type="text/plain"
    ),
    "list objects": lambda: list(objects.listing("cache", "x")),
    "read a document": lambda: documents.get("leases", "x"),
    "read documents": lambda: documents.get_many("leases", ["x"]),
    "write a document": lambda: documents.put("leases", "x", {}, ttl_seconds=5),
    "delete a document": lambda: documents.delete("leases", "x"),
    "change a document": lambda: documents.change("leases", "x", _never, ttl_seconds=5),
    "seal": lambda: keys.seal(b"x", bound_to="a"),
    "read a secret": lambda: secrets.resolve("projects/p/secrets/s/versions/1"),
    "look for a task": lambda: queues.waits(queue="default", step="a-b", dedup="c"),
    "hand over a task": lambda: queues.create(
        queue="default", step="a-b", dedup="c", payload={}, not_before=None, headers={}
    ),
    "read the issuer's keys": lambda: identity._certs().get(),
}
CLIENTS = (objects._client, documents.client, keys._client, secrets._client, queues._client, identity._certs)


@pytest.fixture
def services(directory: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put all services at one address."""

    def at(address: str) -> None:
        for name in ("FIRESTORE", "KMS", "SECRET_MANAGER", "CLOUD_TASKS"):
            monkeypatch.setenv(f"{name}_EMULATOR_HOST", address)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{address}")
        monkeypatch.setenv("BRIDGE_OIDC_CERTS_URL", f"http://{address}/certs")
        for cached in (module.settings, *CLIENTS):
            cached.cache_clear()

    yield at
    for cached in CLIENTS:
        cached.cache_clear()


@pytest.fixture(params=["nobody there", "nobody answers"])
def away(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address that refuses connections, or takes them and is silent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if request.param == "nobody there":
            with socket.create_server(("127.0.0.1", 0)) as other:
                port = other.getsockname()[1]
        else:
            port = listener.getsockname()[1]
            taken: list[socket.socket] = []

            def take() -> None:
                while True:
                    try:
                        taken.append(listener.accept()[0])
                    except OSError:
                        return

            threading.Thread(target=take, daemon=True).start()
        yield f"127.0.0.1:{port}"
        listener.shutdown(socket.SHUT_RDWR)


def _all_at_once(operations: dict[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    """What each raised; fails where one still asks after so many seconds of a quiet machine."""
    found: dict[str, Any] = {}

    def run(name: str, ask: Callable[[], Any]) -> None:
        try:
            ask()
        except Exception as error:
            found[name] = error

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(run, *one), daemon=True)
        for one in operations.items()
    ]
    for thread in threads:
        thread.start()
    until(
        lambda: not any(thread.is_alive() for thread in threads),
        lambda: f"all give up; these still ask: {sorted(operations.keys() - found.keys())}",
        seconds=seconds,
    )
    return found


def test_a_request_whose_services_are_away_is_answered_before_it_is_cut_off(
    away: str, services: Callable[[str], None]
) -> None:
    """Every kind of call gives up in time, says that the service is away, and nothing else comes through."""
    services(away)
    with deadline.over(ALLOWED):
        # Without the deadline it is 20 to 120 s.
        raised = _all_at_once(OPERATIONS, ALLOWED + 6)
    assert sorted(raised) == sorted(OPERATIONS)
    assert {name: error for name, error in raised.items() if not isinstance(error, Unavailable)} == {}


def test_without_a_request_each_call_has_its_own_limit(
    away: str, services: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread of its own, a script: no client's default of minutes."""
    for limited in (objects, keys, secrets, queues):
        monkeypatch.setattr(limited, "TIMEOUT_SECONDS", 1)
    own = deadline.operation
    monkeypatch.setattr(deadline, "operation", lambda most: own(min(most, 1)))
    services(away)
    limited_here = {name: ask for name, ask in OPERATIONS.items() if "issuer" not in name}
    assert sorted(_all_at_once(limited_here, 8)) == sorted(limited_here)


def test_a_transaction_that_took_too_long_lets_go_of_what_it_locked(
    tmp_path: Any, services: Callable[[str], None]
) -> None:
    """The next one need not wait until Firestore finds out by itself, which takes a minute."""
    with serving("local.cloud.firestore", tmp_path, "--idle-seconds", "3600") as server:
        services(server.address)
        documents.put("leases", "x", {"n": 1}, ttl_seconds=60)
        slept: list[float] = []

        def slow(document: dict[str, Any] | None) -> tuple[dict[str, Any] | None, None]:
            if not slept:
                slept.append(1.5)
                time.sleep(slept[0])
            return {"n": 2}, None

        with pytest.raises(Unavailable):
            documents.change("leases", "x", slow, ttl_seconds=60, timeout_seconds=1)
        # Of this server no transaction ever idles out: only one that was given back lets another in.
        changed = documents.change(
            "leases", "x", lambda d: ({"n": 3}, d), ttl_seconds=60, timeout_seconds=600, attempts=3
        )
        assert changed == {"n": 1}


def test_a_statement_ends_with_its_request(directory: dict[str, str]) -> None:
    """Of 15 s that a statement may take, it gets what the request has left; the next transaction has all again."""
    with (
        pytest.raises(Unavailable, match="busy"),
        deadline.over(ALLOWED),
        pool.transaction() as tx,
    ):
        tx.all("SELECT pg_sleep(12)")
        pytest.fail("it went on for longer than its request")
    with pool.transaction() as tx:
        assert tx.one("SHOW statement_timeout") == {"statement_timeout": "15s"}


def test_an_inner_deadline_never_outlasts_an_outer_one() -> None:
    """An operation has its own limit or what is left, whichever is less; at the end there is a second for order."""
    assert deadline.within(10) == 10
    assert deadline.left() is None
    with deadline.over(7):
        assert 4 < deadline.within(10) <= 5
        assert deadline.within(3) == 3
        with deadline.operation(60):
            assert deadline.within(60) <= 5
        with deadline.operation(2):
            assert deadline.within(60) <= 2
        assert deadline.within(60) > 2
    with deadline.over(0):
        assert deadline.within(10) == deadline.LEAST_SECONDS
    assert deadline.left() is None
