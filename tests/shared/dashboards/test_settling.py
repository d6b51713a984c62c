"""One execution of each query; results come first, and nobody is failed by another's deadline."""

from __future__ import annotations

import gzip
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from local import ports
from local.patience import until
from shared.platform import clock
from shared.warehouses.declared import QueryInvalid, QueryTimedOut, WarehouseUnavailable
from tests.apart import Apart

pytestmark = pytest.mark.slow


@pytest.fixture
def forget() -> Any:
    """Makes this process a new instance."""
    import sys

    return next(
        module.forget_memory
        for name, module in sys.modules.items()
        if name.endswith("conftest") and hasattr(module, "forget_memory")
    )


@pytest.fixture
def instances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every thread of this process is an instance of its own."""
    from shared.dashboards import serving
    from shared.dashboards.results import settling

    for module in (serving, settling):
        monkeypatch.setattr(module, "_flight", Apart())


class Gate:
    """Holds queries up while they run."""

    def __init__(self, board: Any) -> None:
        self.entered, self._open = threading.Semaphore(0), threading.Event()
        board.warehouse.during = self._pass

    def _pass(self) -> None:
        self.entered.release()
        self._open.wait()

    def open(self) -> None:
        self._open.set()


def keys_of(board: Any, query: str = "") -> dict[str, str]:
    """The key of each query's result."""
    plan = board.call("GET", f"/v1/dashboards/flights/plan?{query}").json
    version = plan["version"]
    return {
        found["id"]: f"dash:{board.team}:flights:q:{found['query_hash']}:v:{version}.0"
        for found in plan["queries"]
    }


@contextmanager
def asking(board: Any, count: int) -> Iterator[list[Future[Any]]]:
    with ThreadPoolExecutor(count) as workers:
        yield [workers.submit(board.data) for _ in range(count)]


# One execution ------------------------------------------------------------------------------------


def test_a_slow_query_keeps_its_lease(board: Any, instances: None, pass_time: Any) -> None:
    """A heartbeat carries it through a query that lasts longer: another instance waits and computes nothing."""
    from shared.dashboards.results import settling
    from shared.platform.leases.firestore import DocumentSlot

    board.save()
    gate, slot = Gate(board), DocumentSlot(keys_of(board)["monthly"])
    with asking(board, 2) as answers:
        gate.entered.acquire()
        # Longer than the lease would have lasted by itself, and shorter than the requests may wait.
        for _ in range(4):
            pass_time(settling.TERMS.seconds / 2)
            until(lambda: slot.left() > 0.8 * settling.TERMS.seconds, "it is renewed")
        gate.open()
        told = [answer.result() for answer in answers]
    assert len(board.warehouse.executions) == 3
    assert all(answer["queries"]["total"]["rows"] == [[3650]] for answer in told)


def test_what_a_dead_instance_was_computing_is_computed_by_the_next(
    board: Any, instances: None, pass_time: Any
) -> None:
    """As soon as the lease of the dead one has ended."""
    from shared.dashboards.results import settling
    from shared.platform.leases.firestore import DocumentSlot

    board.save()
    dead = DocumentSlot(keys_of(board)["monthly"])
    assert dead.take(settling.TERMS.seconds) is not None
    with asking(board, 1) as answers:
        until(lambda: pass_time.asleep > 0, "it waits")
        assert board.warehouse.executions == []
        pass_time(settling.TERMS.seconds)
        assert answers[0].result()["queries"]["total"]["rows"] == [[3650]]


def test_a_holder_that_stalled_past_its_lease_can_not_overwrite_its_successor(
    board: Any, pass_time: Any
) -> None:
    """The fencing token of an entry only grows."""
    from shared.dashboards.results import entries
    from shared.dashboards.results.entries import Entry
    from shared.platform.leases.firestore import DocumentSlot

    def entry(rows: bytes) -> Entry:
        return Entry(gzip.compress(rows), {"row_count": 1}, clock.epoch() + 60, clock.epoch() + 60)

    key = f"dash:{board.team}:fence"
    slot = DocumentSlot(key)
    slow = slot.take(60)
    assert slow is not None
    pass_time(60)
    quick = slot.take(60)
    assert quick is not None
    assert entries.write(key, quick, board.team, entry(b"new")) is True
    assert entries.write(key, slow, board.team, entry(b"old")) is False
    found, lease = entries.look(key)
    assert found is not None
    assert gzip.decompress(found.shown) == b"new"
    assert lease.left > 0


class Counted:
    """Which threads ask Firestore in which way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from shared.platform.cloud import documents

        self.transactions: list[str] = []
        self.looks: list[str] = []
        for name, seen in (("change_seen", self.transactions), ("see", self.looks)):
            monkeypatch.setattr(documents, name, self._counting(getattr(documents, name), seen))

    def _counting(self, real: Callable[..., Any], seen: list[str]) -> Callable[..., Any]:
        def counted(*asked: Any, **options: Any) -> Any:
            name = threading.current_thread().name
            if name != "heartbeat":
                seen.append(name)
            return real(*asked, **options)

        return counted


def test_waiting_for_another_instance_costs_plain_reads_alone(
    board: Any, instances: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred that wait make no transaction on the document that the holder must renew and give back."""
    board.save()
    gate = Gate(board)
    with ThreadPoolExecutor(13) as workers:
        holder = workers.submit(board.data)
        gate.entered.acquire()
        counted = Counted(monkeypatch)
        waiting = [workers.submit(board.data) for _ in range(12)]
        until(lambda: len(counted.looks) > 100, "all have looked, again and again")
        assert counted.transactions == []
        gate.open()
        answers = [one.result() for one in (holder, *waiting)]
    assert len(board.warehouse.executions) == 3
    assert all(answer["queries"]["total"]["rows"] == [[3650]] for answer in answers)


def test_of_the_callers_of_one_instance_one_looks(board: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for it: two hundred waiters on ten instances are ten that read."""
    from shared.dashboards import serving
    from shared.platform.leases.firestore import DocumentSlot

    board.save()
    # Each composes an answer of its own; what they share is the one who waits for a query's entry.
    monkeypatch.setattr(serving, "_flight", Apart())
    elsewhere = DocumentSlot(keys_of(board)["monthly"])
    lease = elsewhere.take(600)
    assert lease is not None
    counted = Counted(monkeypatch)
    with asking(board, 12) as answers:
        until(lambda: len(counted.looks) > 20, "somebody looks, again and again")
        assert len(set(counted.looks)) == 1
        assert counted.transactions == []
        elsewhere.release(lease)
        told = [answer.result() for answer in answers]
    assert len(board.warehouse.executions) == 3
    assert all(answer["queries"]["total"]["rows"] == [[3650]] for answer in told)


# Results come first -------------------------------------------------------------------------------


def test_a_result_is_shown_though_firestore_fails_after_the_query(
    board: Any, forget: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was paid for. Nothing is kept of it, which is said in the log, and the next reader computes it again."""
    from shared.platform.cloud import documents

    board.save()
    address = f"127.0.0.1:{ports.free()}"

    def lose_firestore() -> None:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        documents.client.cache_clear()

    board.warehouse.during = lose_firestore
    queries = board.data()["queries"]
    assert queries["monthly"]["error"] is None
    assert queries["monthly"]["rows"]
    # What comes after it can't be looked for, and says so in its own place.
    assert (queries["total"]["error"]["code"], queries["total"]["rows"]) == ("SERVICE_UNAVAILABLE", [])
    assert "a result could not be written: the next reader computes it again" in capsys.readouterr().out


def test_a_ready_load_is_answered_though_its_view_can_not_be_counted(
    board: Any, forget: Any, pass_time: Any
) -> None:
    """And the view is not lost: it is counted with a later one."""
    from shared.dashboards import serving

    board.save()
    board.cloud.sql("REVOKE UPDATE ON dashboards FROM bridge_app")
    try:
        assert board.data()["queries"]["total"]["rows"] == [[3650]]
        assert board.data()["cached"] is True
    finally:
        board.cloud.sql("GRANT UPDATE ON dashboards TO bridge_app")
    assert board.row()["access_count"] == 0
    pass_time(serving.COUNT_SECONDS)
    board.data()
    assert board.row()["access_count"] == 3


def test_views_are_counted_without_a_write_at_each(board: Any, pass_time: Any) -> None:
    """The directory learns of views; the text in the bucket never changes by being read."""
    from shared.dashboards import serving

    board.save()
    board.data()
    assert board.row()["access_count"] == 1
    assert board.row()["last_viewed_at"] is not None
    for _ in range(5):
        board.data()
    assert board.row()["access_count"] == 1
    pass_time(serving.COUNT_SECONDS)
    board.data()
    assert board.row()["access_count"] == 7


def test_a_stale_result_is_shown_though_its_refresh_can_not_be_promised(board: Any, forget: Any) -> None:
    """The next reader promises it: the turn to do so was given back."""
    board.save()
    board.data()
    age(board, fresh=-10, serve=+600)
    forget()
    already = len(board.sent("dashboards-warm-dashboard"))
    board.cloud.sql("REVOKE INSERT ON outbox FROM bridge_app")
    try:
        stale = board.data()
    finally:
        board.cloud.sql("GRANT INSERT ON outbox TO bridge_app")
    assert (stale["stale"], stale["queries"]["total"]["rows"]) == (True, [[3650]])
    assert len(board.sent("dashboards-warm-dashboard")) == already
    forget()
    board.data()
    assert len(board.sent("dashboards-warm-dashboard")) == already + 1


# Errors that are told as what they are ------------------------------------------------------------


def test_a_large_result_is_kept_in_its_bucket_behind_a_pointer(board: Any) -> None:
    """What Firestore can't hold inline comes back whole."""
    from shared.dashboards.results import entries
    from shared.dashboards.results.entries import Entry
    from shared.platform.leases.firestore import DocumentSlot

    key = f"dash:{board.team}:large"
    whole = random.Random(1).randbytes(entries.INLINE_BYTES + 1)
    lease = DocumentSlot(key).take(30)
    assert lease is not None
    until_ = clock.epoch() + 60
    entries.write(key, lease, board.team, Entry(gzip.compress(b"{}"), {}, until_, until_, whole=whole))
    found, _ = entries.look(key)
    assert found is not None
    assert found.pointer is not None
    assert entries.rows_of(found) == whole


def test_an_expired_object_does_not_hide_the_warehouses_error(board: Any, forget: Any) -> None:
    """A refresh that fails remembers why, whether or not the rows of the older result can still be read."""
    from shared.platform.cloud import documents

    board.save()
    board.data()
    age(board, fresh=-10, serve=+600)
    forget()
    board.data()
    promised = board.sent("dashboards-warm-dashboard")[-1]
    for key in keys_of(board).values():
        documents.reference("results", key).update({"pointer": f"{board.team}/gone.json.gz", "whole": None})
    board.warehouse.broken = QueryInvalid("no such column")
    assert board.step("dashboards-warm-dashboard", promised) == 204
    forget()
    data = board.data()
    assert (data["stale"], data["queries"]["total"]["rows"]) == (True, [[3650]])
    warmed = board.call("POST", "/v1/dashboards/flights/precompute").json
    assert {error["code"] for error in warmed["errors"]} == {"QUERY_INVALID"}


def test_rows_that_are_gone_from_their_bucket_are_computed_anew(board: Any) -> None:
    """A page of them is not `404`: the dashboard is there."""
    from shared.platform.cloud import documents

    board.save()
    path = "/v1/dashboards/flights/query/monthly/data"
    rows = board.call("GET", path).json["rows"]
    executed = len(board.warehouse.executions)
    key = keys_of(board)["monthly"]
    documents.reference("results", key).update({"pointer": f"{board.team}/gone.json.gz", "whole": None})
    again = board.call("GET", path)
    assert (again.status, again.json["rows"]) == (200, rows)
    assert len(board.warehouse.executions) == executed + 1


def test_one_callers_deadline_fails_no_other(board: Any, pass_time: Any) -> None:
    """Two wait for a result that another instance holds up; the first runs out of time, the second gets its rows."""
    from shared.platform.leases.firestore import DocumentSlot

    board.save()
    assert DocumentSlot(keys_of(board)["monthly"]).take(170) is not None
    with ThreadPoolExecutor(2) as workers:
        first = workers.submit(board.data)
        until(lambda: pass_time.asleep > 0, "the first waits")
        pass_time(60)
        waiting = pass_time.asleep
        second = workers.submit(board.data)
        until(lambda: pass_time.asleep > waiting, "the second waits for the first")
        pass_time(62)
        late = first.result()["queries"]["monthly"]["error"]
        assert (late["code"], late["retryable"]) == ("DEADLINE_EXCEEDED", True)
        assert not second.done()
        pass_time(50)
        told = second.result()
    assert told["queries"]["total"]["rows"] == [[3650]]
    assert {query["error"] is None for query in told["queries"].values()} == {True}


def test_a_query_that_the_callers_deadline_cut_off_is_remembered_as_no_failure(
    board: Any, pass_time: Any
) -> None:
    """The next reader, who has time, runs it; a query that is too slow by itself is remembered."""
    board.save()
    board.warehouse.during = lambda: pass_time(121)
    board.warehouse.broken = None
    real = board.warehouse.query

    def cut_off(*asked: Any) -> Any:
        real(*asked)
        raise QueryTimedOut

    board.warehouse.query = cut_off
    late = board.data()["queries"]["monthly"]["error"]
    assert late["code"] == "DEADLINE_EXCEEDED"
    board.warehouse.query, board.warehouse.during = real, lambda: None
    assert board.data()["queries"]["monthly"]["error"] is None


# What was begun is paid for -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "paid"),
    [(QueryTimedOut(), True), (WarehouseUnavailable(), True), (QueryInvalid(), False)],
    ids=["cancelled", "its answer was lost", "refused"],
)
def test_what_the_warehouse_may_bill_is_counted(board: Any, error: Exception, paid: bool) -> None:
    """A query that ran until it was cancelled is on the bill; one that could not run is not."""

    def fail() -> None:
        raise error

    board.save()
    board.warehouse.during = fail
    board.data()
    rows = board.cloud.sql(
        "SELECT used, reserved FROM spend_counters WHERE team_id = :team AND name = 'warehouse_bytes'",
        team=board.team,
    )
    begun = len(board.warehouse.executions)
    assert [(row["used"], row["reserved"]) for row in rows] == [(begun * 1_000 if paid else 0, 0)]


def age(board: Any, *, fresh: float, serve: float) -> None:
    """Let time pass for every entry of the team."""
    from shared.platform.cloud import documents

    now = clock.epoch()
    for found in documents.client().collection("results").stream():
        if f":{board.team}:" in found.id:
            found.reference.update({"fresh_until": now + fresh, "serve_until": now + serve})
