"""A connection's circuit: what is not there is left alone, and a user's own mistake never opens it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.patience import until
from shared.platform import deadline
from shared.platform.errors import Unavailable
from shared.platform.ids import new_id
from shared.platform.leases import breaker
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.declared import (
    BytesCapExceeded,
    CredentialsRejected,
    OverRate,
    PermissionMissing,
    QueryInvalid,
    QueryTimedOut,
    WarehouseUnavailable,
)
from shared.warehouses.shielded import OPENS_AFTER, PAUSE_SECONDS, Shielded, WarehousePaused
from tests.shared.platform.peers import Peer, talking

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cloud")]


class Weather:
    """A warehouse whose answer is decided by a test. It counts who reached it."""

    dialect, project = BIGQUERY, "p"

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.silent: str | None = None
        """The one statement that gets no answer."""
        self.reached = 0

    def dry_run(self, sql: str, parameters: Any = ()) -> str:
        self.reached += 1
        if self.fails is not None:
            raise self.fails
        if sql == self.silent:
            raise WarehouseUnavailable
        return sql


@pytest.fixture
def weather() -> Weather:
    return Weather()


@pytest.fixture
def warehouse(weather: Weather) -> Any:
    return Shielded(weather, new_id())  # type: ignore[arg-type]


def fail(warehouse: Any, weather: Weather, error: Exception, times: int) -> None:
    weather.fails = error
    for _ in range(times):
        with pytest.raises(type(error)):
            warehouse.dry_run("SELECT 1")


def test_a_warehouse_that_does_not_answer_is_left_alone_with_a_word_when_to_come(
    warehouse: Any, weather: Weather
) -> None:
    """After five failures callers hear 503 SERVICE_UNAVAILABLE with Retry-After at once, and nobody dials."""
    fail(warehouse, weather, WarehouseUnavailable(), OPENS_AFTER)
    reached = weather.reached
    with pytest.raises(WarehousePaused) as refusal:
        warehouse.dry_run("SELECT 1")
    assert weather.reached == reached
    assert (refusal.value.code, refusal.value.status, refusal.value.retryable) == (
        "SERVICE_UNAVAILABLE",
        503,
        True,
    )
    assert 0 < (refusal.value.retry_after or 0) <= PAUSE_SECONDS
    assert isinstance(refusal.value, Unavailable)


@pytest.mark.parametrize(
    "mistake",
    [
        QueryInvalid(),
        BytesCapExceeded(),
        PermissionMissing(),
        CredentialsRejected(),
        QueryTimedOut(),
        OverRate(),
        ValueError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_healthy_warehouse_refuses_never_opens_the_circuit(
    warehouse: Any, weather: Weather, mistake: Exception
) -> None:
    """Somebody's wrong SQL must not take the warehouse away from the others; it even ends a run of failures."""
    fail(warehouse, weather, mistake, 3 * OPENS_AFTER)
    fail(warehouse, weather, WarehouseUnavailable(), OPENS_AFTER - 1)
    fail(warehouse, weather, mistake, 1)
    fail(warehouse, weather, WarehouseUnavailable(), OPENS_AFTER - 1)
    weather.fails = None
    assert warehouse.dry_run("SELECT 1") == "SELECT 1"


def test_one_query_without_an_answer_does_not_close_the_door_for_all(
    warehouse: Any, weather: Weather
) -> None:
    """However often it is asked: a warehouse that answers what costs nothing is well."""
    weather.silent = "SELECT heavy"
    for _ in range(4 * OPENS_AFTER):
        with pytest.raises(WarehouseUnavailable):
            warehouse.dry_run("SELECT heavy")
        assert warehouse.dry_run("SELECT light") == "SELECT light"
    for _ in range(4 * OPENS_AFTER):
        with pytest.raises(WarehouseUnavailable):
            warehouse.dry_run("SELECT heavy")
    assert warehouse.dry_run("SELECT light") == "SELECT light"


def test_an_open_door_is_not_kept_shut_by_one_query(
    warehouse: Any, weather: Weather, later: Callable[[float], None]
) -> None:
    """Whoever comes first after the pause asks something harmless; its own query may fail again, for itself."""
    fail(warehouse, weather, WarehouseUnavailable(), OPENS_AFTER)
    later(PAUSE_SECONDS + 1)
    weather.fails, weather.silent = None, "SELECT heavy"
    with pytest.raises(WarehouseUnavailable):
        warehouse.dry_run("SELECT heavy")
    assert warehouse.dry_run("SELECT light") == "SELECT light"


def test_a_callers_own_deadline_says_nothing_of_the_warehouse(warehouse: Any, weather: Weather) -> None:
    """Requests whose time is over fail as if it were away; nobody counts that."""
    weather.fails = WarehouseUnavailable()
    for _ in range(3 * OPENS_AFTER):
        with deadline.over(deadline.LEAST_SECONDS), pytest.raises(WarehouseUnavailable):
            warehouse.dry_run("SELECT 1")
    weather.fails = None
    assert warehouse.dry_run("SELECT 1") == "SELECT 1"


def test_one_connections_trouble_is_not_anothers(warehouse: Any, weather: Weather) -> None:
    """Two connections may lead to different places."""
    fail(warehouse, weather, WarehouseUnavailable(), OPENS_AFTER)
    weather.fails = None
    assert Shielded(weather, new_id()).dry_run("SELECT 2") == "SELECT 2"  # type: ignore[arg-type,comparison-overlap]


def test_after_the_pause_one_of_sixteen_dials_and_its_success_lets_all_in(
    warehouse: Any, weather: Weather, later: Callable[[float], None]
) -> None:
    """The others hear that it is paused until the one has come back."""
    fail(warehouse, weather, WarehouseUnavailable(), OPENS_AFTER)
    later(PAUSE_SECONDS + 1)
    weather.fails, weather.reached = None, 0
    barrier, inside = threading.Barrier(16), threading.Event()
    real = weather.dry_run

    def slow(sql: str, parameters: Any = ()) -> str:
        inside.wait()
        return real(sql)

    weather.dry_run = slow  # type: ignore[method-assign]

    def ask(_number: int) -> str:
        barrier.wait()
        try:
            return str(warehouse.dry_run("SELECT 1"))
        except WarehousePaused:
            return "paused"

    with ThreadPoolExecutor(16) as instances:
        asked = [instances.submit(ask, number) for number in range(16)]
        until(lambda: sum(one.done() for one in asked) == 15, "all but one are refused")
        inside.set()
        outcomes = sorted(one.result() for one in asked)
    assert outcomes == ["SELECT 1"] + ["paused"] * 15
    assert weather.reached == 2, "once to see whether it answers, once with what was asked"
    assert warehouse.dry_run("SELECT 3") == "SELECT 3"


def test_a_circuit_that_was_found_closed_costs_no_question_for_a_while(
    warehouse: Any, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine of ten queries of a busy instance ask Firestore nothing."""
    from shared.platform.cloud import documents

    asked: list[str] = []
    real = documents.glance

    def count(collection: str, key: str, **options: Any) -> Any:
        asked.append(key)
        return real(collection, key, **options)

    monkeypatch.setattr(documents, "glance", count)
    for _ in range(20):
        warehouse.dry_run("SELECT 1")
    assert len(asked) == 1
    later(60)
    warehouse.dry_run("SELECT 1")
    assert len(asked) == 2
    assert breaker._closed_until


@pytest.fixture
def away() -> Iterator[Peer]:
    """A warehouse that hangs up on everybody, and counts how often."""
    with talking(lambda _connection: None) as peer:
        yield peer


def test_a_door_asks_nobody_while_the_warehouse_is_away(
    cloud: Any, away: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the API: five failures, then 503 with Retry-After without a question, for every instance."""
    from shared.platform import settings
    from shared.warehouses.bigquery import retrying

    person = cloud.person()
    connection = cloud.connection(cloud.team(person), person, validated=False)
    cloud.sql("UPDATE connections SET status = 'validated' WHERE id = :id", id=connection)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{away.port}")
    monkeypatch.setattr(retrying, "RETRY_SECONDS", 0.3)
    settings.settings.cache_clear()

    def scan() -> Any:
        return cloud.call("POST", "/v1/onboarding/catalog/scan", {"connection_id": connection}, as_=person)

    assert [scan().error["code"] for _ in range(OPENS_AFTER)] == ["WAREHOUSE_UNAVAILABLE"] * OPENS_AFTER
    asked = len(away.named)
    refused = scan()
    assert 0 < asked == len(away.named), "an open circuit asks nobody"
    assert (refused.status, refused.error["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert 1 <= int(refused.headers["Retry-After"]) <= PAUSE_SECONDS
    assert refused.error["message"].startswith("The warehouse of this connection")
