"""What the service promises beyond the API, and what only our server can show: durability, expiry, indexes."""

import datetime
import json
import queue
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter, Or
from google.cloud.firestore_v1.types import ListenRequest, Target, TargetChange, TransactionOptions

from local.cloud.faults import grpc_faults
from local.cloud.firestore import transactions
from local.cloud.serving.grpc_server import Refused
from local.patience import until
from tests.local.cloud.firestore.conftest import Connect
from tests.local.grpc_serving import Serving, serving

UTC = datetime.UTC


def commit(db: firestore.Client, writes: list[dict[str, Any]], transaction: bytes = b"") -> Any:
    request = {"database": db._database_string, "writes": writes, "transaction": transaction}
    return db._firestore_api.commit(request=request, metadata=db._rpc_metadata, retry=None)


def begin(db: firestore.Client) -> bytes:
    request = {"database": db._database_string}
    return bytes(db._firestore_api.begin_transaction(request=request, metadata=db._rpc_metadata).transaction)


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path, connect: Connect) -> None:
    """A server killed in the middle of a stream of writes has every acknowledged one after its restart."""
    with serving("local.cloud.firestore", tmp_path) as server:
        db = connect(server.address, project="kept")
        acknowledged: list[int] = []

        def write() -> None:
            for number in range(100_000):
                try:
                    db.document(f"c/{number}").set({"n": number}, retry=None, timeout=2)
                except exceptions.GoogleAPICallError:
                    return
                acknowledged.append(number)

        writer = threading.Thread(target=write)
        writer.start()
        until(lambda: len(acknowledged) > 100)
        server.kill()
        writer.join()
        server.start()
        again = connect(server.address, project="kept")
        found = {one.id: one for one in again.collection("c").stream()}
        assert len(acknowledged) > 100
        assert all(found[str(number)].to_dict() == {"n": number} for number in acknowledged)
        assert len(found) - len(acknowledged) in (0, 1), (
            "only the write in flight may be there unacknowledged"
        )


def test_times_go_on_after_a_restart(tmp_path: Path, connect: Connect) -> None:
    """create_time and update_time are kept, and a precondition read before the restart still holds."""
    with serving("local.cloud.firestore", tmp_path) as server:
        db = connect(server.address, project="kept")
        db.document("c/d").set({"v": 1})
        before = db.document("c/d").get()
        server.kill()
        server.start()
        db = connect(server.address, project="kept")
        after = db.document("c/d").get()
        assert (after.create_time, after.update_time) == (before.create_time, before.update_time)
        current = db.write_option(last_update_time=before.update_time)
        assert db.document("c/d").update({"v": 2}, option=current).update_time > before.update_time


def test_times_never_go_back_even_when_the_machines_clock_does(tmp_path: Path, connect: Connect) -> None:
    """Started on a clock behind the last commit, the next commit is still later than that one."""
    with serving("local.cloud.firestore", tmp_path) as server:
        connect(server.address, project="kept").document("c/d").set({"v": 1})
        assert server.stop() == 0
        ahead = time.time_ns() // 1000 + 3600 * 1_000_000
        with closing(sqlite3.connect(tmp_path / "firestore.sqlite")) as database, database:
            assert database.execute("UPDATE clock SET at = ?", (ahead,)).rowcount == 1
        server.start()
        written = connect(server.address, project="kept").document("c/d").set({"v": 2}).update_time
        assert written.timestamp() > ahead / 1e6


def test_a_transaction_from_before_a_restart_is_aborted(tmp_path: Path, connect: Connect) -> None:
    """ABORTED, which clients retry, and nothing is written."""
    with serving("local.cloud.firestore", tmp_path) as server:
        transaction = begin(connect(server.address, project="kept"))
        server.kill()
        server.start()
        db = connect(server.address, project="kept")
        write = {"update": {"name": db.document("c/d")._document_path}}
        with pytest.raises(exceptions.Aborted, match="restart"):
            commit(db, [write], transaction)
        assert not db.document("c/d").get().exists


def test_the_server_stops_cleanly_while_someone_listens(tmp_path: Path, connect: Connect) -> None:
    """SIGTERM ends an open stream too, and the exit code is 0."""
    # The stream itself: the client's own watch would go on knocking for as long as this process lives.
    with serving("local.cloud.firestore", tmp_path) as server:
        db = connect(server.address)
        target = Target(
            target_id=1, documents=Target.DocumentsTarget(documents=[db.document("c/d")._document_path])
        )
        asks: queue.SimpleQueue[ListenRequest | None] = queue.SimpleQueue()
        asks.put(ListenRequest(database=db._database_string, add_target=target))
        answers = db._firestore_api.listen(requests=iter(asks.get, None), metadata=db._rpc_metadata)
        assert next(answers).target_change.target_change_type == TargetChange.TargetChangeType.ADD
        assert server.stop() == 0
        with pytest.raises(exceptions.GoogleAPICallError):
            list(answers)
        asks.put(None)


def test_expired_documents_go_away_some_time_later(tmp_path: Path, connect: Connect) -> None:
    """A policy deletes by its field in every collection of the group; other documents stay."""
    options = ("--ttl", "turns.expires_at", "--ttl-sweep-seconds", "0.5")
    with serving("local.cloud.firestore", tmp_path, *options) as server:
        db = connect(server.address)
        past = datetime.datetime.now(UTC) - datetime.timedelta(minutes=1)
        future = past + datetime.timedelta(hours=1)
        db.document("turns/past").set({"expires_at": past})
        assert db.document("turns/past").get().exists, "reads still see it before the sweep"
        db.document("a/b/turns/past").set({"expires_at": past})
        db.document("turns/future").set({"expires_at": future})
        db.document("turns/text").set({"expires_at": "2020-01-01"})
        db.document("other/past").set({"expires_at": past})
        gone = [db.document("turns/past"), db.document("a/b/turns/past")]
        until(lambda: not any(one.exists for one in db.get_all(gone)))
        kept = [db.document(path) for path in ("turns/future", "turns/text", "other/past")]
        assert all(one.exists for one in db.get_all(kept))


def test_expiry_waits_for_a_transaction_that_reads_the_document(tmp_path: Path, connect: Connect) -> None:
    """A locked document outlives the sweeps, the server goes on, and one that was prolonged meanwhile stays."""
    options = ("--ttl", "turns.expires_at", "--ttl-sweep-seconds", "0.2", "--lock-wait-seconds", "0.2")
    with serving("local.cloud.firestore", tmp_path, *options) as server:
        db = connect(server.address)
        past = datetime.datetime.now(UTC) - datetime.timedelta(minutes=1)
        document = db.document("turns/read")
        transaction = begin(db)
        request = {"name": document._document_path, "transaction": transaction}
        document.set({"expires_at": past})
        db._firestore_api.get_document(request=request, metadata=db._rpc_metadata)
        time.sleep(1)
        assert document.get().exists
        stamp = {"timestamp_value": past + datetime.timedelta(hours=1)}
        prolonged = {"name": document._document_path, "fields": {"expires_at": stamp}}
        commit(db, [{"update": prolonged}], transaction)
        time.sleep(0.6)
        assert document.get().exists


INDEXES = {
    "indexes": [
        {
            "collectionGroup": "jobs",
            "queryScope": "COLLECTION",
            "fields": [
                {"fieldPath": "team", "order": "ASCENDING"},
                {"fieldPath": "created", "order": "DESCENDING"},
            ],
        },
        {
            "collectionGroup": "jobs",
            "queryScope": "COLLECTION",
            "fields": [
                {"fieldPath": "state", "order": "ASCENDING"},
                {"fieldPath": "created", "order": "DESCENDING"},
            ],
        },
        {
            "collectionGroup": "jobs",
            "queryScope": "COLLECTION",
            "fields": [
                {"fieldPath": "tags", "arrayConfig": "CONTAINS"},
                {"fieldPath": "created", "order": "ASCENDING"},
            ],
        },
    ],
    "fieldOverrides": [
        {
            "collectionGroup": "jobs",
            "fieldPath": "owner",
            "indexes": [
                {"queryScope": "COLLECTION", "order": "ASCENDING"},
                {"queryScope": "COLLECTION_GROUP", "order": "ASCENDING"},
            ],
        },
        {"collectionGroup": "jobs", "fieldPath": "expires_at", "ttl": True, "indexes": []},
    ],
}


@pytest.fixture(scope="module")
def indexed_server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("indexed")
    (folder / "firestore.indexes.json").write_text(json.dumps(INDEXES))
    options = ("--indexes", str(folder / "firestore.indexes.json"), "--ttl-sweep-seconds", "0.5")
    with serving("local.cloud.firestore", folder, *options) as server:
        yield server


@pytest.fixture
def indexed(indexed_server: Serving, connect: Connect) -> firestore.Client:
    return connect(indexed_server.address)


def where(source: Any, *filters: tuple[str, str, Any]) -> Any:
    for one in filters:
        source = source.where(filter=FieldFilter(*one))
    return source


TEAM, STATE, SINCE = ("team", "==", 1), ("state", "==", "x"), ("created", ">", 1)
DOWN = "DESCENDING"

SERVED = {
    "no filter": lambda c: c,
    "one equality": lambda c: where(c, TEAM),
    "one range": lambda c: where(c, SINCE),
    "a range in its own order": lambda c: where(c, SINCE).order_by("created", direction=DOWN),
    "two equalities merge": lambda c: where(c, TEAM, STATE),
    "two equalities without any index of theirs": lambda c: where(c, ("a", "==", 1), ("b", "==", 2)),
    "in": lambda c: where(c, ("team", "in", [1, 2]), STATE),
    "an index": lambda c: where(c, TEAM).order_by("created", direction=DOWN),
    "an index backwards": lambda c: where(c, TEAM).order_by("created"),
    "a range of an index": lambda c: where(c, TEAM, SINCE),
    "two indexes merged": lambda c: where(c, TEAM, STATE).order_by("created", direction=DOWN),
    "contains with order": lambda c: where(c, ("tags", "array_contains", 1)).order_by("created"),
    "order by an equal field": lambda c: where(c, TEAM).order_by("team"),
    "names": lambda c: c.order_by("__name__"),
    "either of two equalities": lambda c: c.where(filter=Or([FieldFilter(*TEAM), FieldFilter(*STATE)])),
}
REFUSED = {
    "equality and another order": lambda c: where(c, ("owner", "==", 1)).order_by("created"),
    "equality and another range": lambda c: where(c, ("owner", "==", 1), SINCE),
    "two orders": lambda c: c.order_by("team").order_by("created"),
    "mixed directions": lambda c: where(c, TEAM).order_by("created").order_by("__name__", direction=DOWN),
    "one field more than the indexes": lambda c: where(c, TEAM, STATE, ("z", "==", 1)).order_by("created"),
    "two ranges": lambda c: where(c, SINCE, ("team", ">", 1)),
    "an exempt field": lambda c: c.order_by("expires_at"),
    "an exempt direction": lambda c: c.order_by("owner", direction=DOWN),
    "one arm of or": lambda c: c.where(filter=Or([FieldFilter(*TEAM), FieldFilter("z", "==", 1)])).order_by(
        "created"
    ),
    "names backwards": lambda c: c.order_by("__name__", direction=DOWN),
}


@pytest.mark.parametrize("shape", SERVED.values(), ids=SERVED.keys())
def test_queries_that_the_indexes_serve_run(indexed: firestore.Client, shape: Any) -> None:
    """Automatic single-field indexes, merging, and composite indexes in both directions."""
    assert shape(indexed.collection("jobs")).get() == []


@pytest.mark.parametrize("shape", REFUSED.values(), ids=REFUSED.keys())
def test_queries_without_an_index_are_refused(indexed: firestore.Client, shape: Any) -> None:
    """FAILED_PRECONDITION with the service's words, so that a missing index is found on the laptop."""
    with pytest.raises(exceptions.FailedPrecondition, match=r"requires an index\. You can create it here"):
        shape(indexed.collection("jobs")).get(retry=None)


def test_a_collection_group_needs_its_own_index(indexed: firestore.Client) -> None:
    """Single fields are indexed per collection; across the group only where an override says so."""
    group = indexed.collection_group("jobs")
    assert where(group, ("owner", "==", 1)).get() == []
    assert group.get() == []
    with pytest.raises(exceptions.FailedPrecondition, match="COLLECTION_GROUP_ASC index for collection jobs"):
        where(group, TEAM).get()


def test_the_refusal_says_which_index_to_add(indexed: firestore.Client) -> None:
    """Adding the named entry to the file is the whole cure."""
    with pytest.raises(exceptions.FailedPrecondition) as refused:
        indexed.collection("new").order_by("a").order_by("b", direction=DOWN).get()
    entry = json.loads(str(refused.value).partition("firestore.indexes.json: ")[2].rstrip(")"))
    assert entry == {
        "collectionGroup": "new",
        "queryScope": "COLLECTION",
        "fields": [{"fieldPath": "a", "order": "ASCENDING"}, {"fieldPath": "b", "order": "DESCENDING"}],
    }


def test_sums_need_their_field_in_the_index(indexed: firestore.Client) -> None:
    """A filtered sum needs a composite index with the summed field; a filtered count does not."""
    query = where(indexed.collection("jobs"), TEAM)
    assert query.count().get()[0][0].value == 0
    query.sum("created").get()
    with pytest.raises(exceptions.FailedPrecondition):
        query.sum("bytes").get()


def test_listening_needs_the_index_too(indexed_server: Serving, indexed: firestore.Client) -> None:
    """The target ends with the same refusal; no snapshot comes."""
    request = {"parent": indexed._database_string + "/documents"}
    query = REFUSED["two orders"](indexed.collection("jobs"))
    request["structured_query"] = query._to_protobuf()
    done = threading.Event()

    def asks() -> Any:
        yield {"database": indexed._database_string, "add_target": {"query": request, "target_id": 3}}
        done.wait()

    answers = indexed._firestore_api.listen(requests=asks(), metadata=indexed._rpc_metadata)
    next(answers)
    assert "requires an index" in next(answers).target_change.cause.message
    done.set()


def test_the_index_file_carries_ttl_policies(indexed: firestore.Client) -> None:
    """`"ttl": true` in a field override is a policy."""
    document = indexed.document("jobs/old")
    document.set({"expires_at": datetime.datetime(2020, 1, 1, tzinfo=UTC)})
    until(lambda: not document.get().exists)


def test_an_idle_transaction_expires_and_frees_its_locks(tmp_path: Path, connect: Connect) -> None:
    """After the idle time its commit is refused, and the writer that waited for it goes on."""
    with serving("local.cloud.firestore", tmp_path, "--idle-seconds", "0.6") as server:
        db = connect(server.address)
        db.document("c/d").set({"v": 0})
        transaction = begin(db)
        name = db.document("c/d")._document_path
        db._firestore_api.get_document(
            request={"name": name, "transaction": transaction}, metadata=db._rpc_metadata
        )
        db.document("c/d").set({"v": 1})
        with pytest.raises(exceptions.InvalidArgument, match="invalid or closed"):
            commit(db, [{"delete": name}], transaction)
        assert db.document("c/d").get().to_dict() == {"v": 1}


def test_a_used_transaction_expires_at_its_longest(tmp_path: Path, connect: Connect) -> None:
    """Use does not keep a transaction beyond its longest life."""
    options = ("--idle-seconds", "3600", "--longest-seconds", "1")
    with serving("local.cloud.firestore", tmp_path, *options) as server:
        db = connect(server.address)
        db.document("c/d").set({"v": 0})
        transaction = begin(db)
        request = {"name": db.document("c/d")._document_path, "transaction": transaction}

        def closed() -> bool:
            try:
                db._firestore_api.get_document(request=request, metadata=db._rpc_metadata)
            except exceptions.InvalidArgument as error:
                return "invalid or closed" in str(error)
            return False

        until(closed, "it is closed although it is used all the time", pause=0.1)


def test_use_keeps_a_transaction_from_idling_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each use begins the idle time anew, up to the longest life; over a clock that the test moves."""
    now = [1000.0]
    monkeypatch.setattr(transactions, "time", SimpleNamespace(monotonic=lambda: now[0]))
    kept = transactions.Transactions(idle=60.0, longest=270.0)
    options = TransactionOptions.pb(TransactionOptions())
    used, idle = kept.begin("d", options, 0), kept.begin("d", options, 0)
    for _ in range(5):
        now[0] += 50
        assert kept.get(used.id, "d") is used
    for closed in (idle, used):
        now[0] += 50
        with pytest.raises(Refused, match="invalid or closed"):
            kept.get(closed.id, "d")


def test_a_writer_gives_up_on_a_lock_in_the_end(tmp_path: Path, connect: Connect) -> None:
    """ABORTED with the service's words after the lock wait, and the reader's commit still works."""
    with serving("local.cloud.firestore", tmp_path, "--lock-wait-seconds", "0.3") as server:
        db = connect(server.address)
        db.document("c/d").set({"v": 0})
        transaction = begin(db)
        name = db.document("c/d")._document_path
        request = {"name": name, "transaction": transaction}
        db._firestore_api.get_document(request=request, metadata=db._rpc_metadata)
        with pytest.raises(exceptions.Aborted, match="Too much contention on these documents"):
            commit(db, [{"delete": name}])
        commit(db, [{"delete": name}], transaction)
        assert not db.document("c/d").get().exists


def test_500_transforms_and_ten_mebibytes_are_the_limits(ours: firestore.Client) -> None:
    """Both refusals are INVALID_ARGUMENT with the figures, and nothing is written."""
    document = ours.document("c/d")
    transforms = [{"field_path": f"f{n}", "increment": {"integer_value": 1}} for n in range(501)]
    write: dict[str, Any] = {"update": {"name": document._document_path}, "update_mask": {"field_paths": []}}
    with pytest.raises(exceptions.InvalidArgument, match="500"):
        commit(ours, [{**write, "update_transforms": transforms}])
    assert not document.get().exists
    commit(ours, [{**write, "update_transforms": transforms[:500]}])
    large = {"fields": {"x": {"string_value": "a" * 1_000_000}}}
    writes = [{"update": {"name": ours.document(f"c/b{n}")._document_path, **large}} for n in range(11)]
    with pytest.raises(exceptions.InvalidArgument, match="10,485,760"):
        commit(ours, writes)
    assert not ours.document("c/b0").get().exists


def test_fields_nested_too_deep_are_refused(ours: firestore.Client) -> None:
    """Twenty levels of maps pass, one more does not."""

    def nested(levels: int) -> dict[str, Any]:
        value: Any = 1
        for _ in range(levels):
            value = {"a": value}
        return value

    ours.document("c/d").set(nested(20))
    with pytest.raises(exceptions.InvalidArgument, match="deeper"):
        ours.document("c/d").set(nested(22))


def test_a_write_to_another_database_than_the_requests_is_refused(ours: firestore.Client) -> None:
    """INVALID_ARGUMENT names both."""
    name = ours.document("c/d")._document_path.replace("(default)", "other")
    with pytest.raises(exceptions.InvalidArgument, match="not in the database"):
        commit(ours, [{"delete": name}])


def test_a_read_time_outside_the_history_is_refused(ours: firestore.Client) -> None:
    """The future is INVALID_ARGUMENT, the forgotten past FAILED_PRECONDITION: never a wrong answer."""
    document = ours.document("c/d")
    document.set({"v": 1})
    now = datetime.datetime.now(UTC)
    with pytest.raises(exceptions.InvalidArgument, match="future"):
        document.get(read_time=now + datetime.timedelta(hours=1), retry=None)
    with pytest.raises(exceptions.FailedPrecondition, match="too old"):
        document.get(read_time=now - datetime.timedelta(hours=2), retry=None)


def test_partitions_split_a_collection_group(ours: firestore.Client) -> None:
    """Every document falls in exactly one partition."""
    for number in range(20):
        ours.document(f"parents/{number % 3}/leaf/{number:02}").set({})
    partitions = list(ours.collection_group("leaf").get_partitions(3))
    assert 2 <= len(partitions) <= 4
    found = [one.id for part in partitions for one in part.query().stream()]
    assert sorted(found) == [f"{number:02}" for number in range(20)]


def test_chaos_refuses_delays_and_lies_as_told(our_server: Serving, ours: firestore.Client) -> None:
    """UNAVAILABLE without effect, latency, and a timeout that was applied all the same; then fair weather."""
    document = ours.document("c/d")
    refuse = {"method": "Commit$", "code": "UNAVAILABLE", "skip": 1}
    grpc_faults.set_rules(our_server.address, [refuse])
    document.set({"v": 0}, retry=None)
    with pytest.raises(exceptions.ServiceUnavailable, match="chaos"):
        document.set({"v": 1}, retry=None)
    assert document.get().to_dict() == {"v": 0}
    grpc_faults.set_rules(our_server.address, [{"method": "Commit$", "action": "applied"}])
    with pytest.raises(exceptions.DeadlineExceeded):
        document.set({"v": 2}, retry=None)
    assert document.get().to_dict() == {"v": 2}
    slow = {"method": "BatchGetDocuments$", "action": "latency", "seconds": 5}
    grpc_faults.set_rules(our_server.address, [slow])
    with pytest.raises(exceptions.DeadlineExceeded):
        document.get(retry=None, timeout=0.3)


def test_a_bad_chaos_rule_is_refused_by_name(our_server: Serving) -> None:
    """The answer names the rule and the reason, and the weather stays."""
    import grpc

    with pytest.raises(grpc.RpcError, match="chaos rule 0: code 'NOPE'"):
        grpc_faults.set_rules(our_server.address, [{"method": ".", "code": "NOPE"}])
