"""What the service promises beyond the API, and what only our server can show: durability, expiry, bounds."""

import datetime
import json
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
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.types import TransactionOptions

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


def read(db: firestore.Client, path: str, transaction: bytes) -> None:
    names = [db.document(path)._document_path]
    request = {"database": db._database_string, "documents": names, "transaction": transaction}
    list(db._firestore_api.batch_get_documents(request=request, metadata=db._rpc_metadata))


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
        document.set({"expires_at": past})
        read(db, "turns/read", transaction)
        time.sleep(1)
        assert document.get().exists
        stamp = {"timestamp_value": past + datetime.timedelta(hours=1)}
        prolonged = {"name": document._document_path, "fields": {"expires_at": stamp}}
        commit(db, [{"update": prolonged}], transaction)
        time.sleep(0.6)
        assert document.get().exists


def test_an_idle_transaction_expires_and_frees_its_locks(tmp_path: Path, connect: Connect) -> None:
    """After the idle time its commit is refused, and the writer that waited for it goes on."""
    with serving("local.cloud.firestore", tmp_path, "--idle-seconds", "0.6") as server:
        db = connect(server.address)
        db.document("c/d").set({"v": 0})
        transaction = begin(db)
        name = db.document("c/d")._document_path
        read(db, "c/d", transaction)
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

        def closed() -> bool:
            try:
                read(db, "c/d", transaction)
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
    used, idle = kept.begin("d", options), kept.begin("d", options)
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
        read(db, "c/d", transaction)
        with pytest.raises(exceptions.Aborted, match="Too much contention on these documents"):
            commit(db, [{"delete": name}])
        commit(db, [{"delete": name}], transaction)
        assert not db.document("c/d").get().exists


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


def test_chaos_refuses_delays_and_lies_as_told(our_server: Serving, ours: firestore.Client) -> None:
    """UNAVAILABLE without effect, latency, and a timeout that was applied all the same; then calls are served again."""
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
    """The answer names the rule and the reason, and the rules stay."""
    import grpc

    with pytest.raises(grpc.RpcError, match="chaos rule 0: code 'NOPE'"):
        grpc_faults.set_rules(our_server.address, [{"method": ".", "code": "NOPE"}])


def test_ten_mebibytes_are_the_limit_of_a_commit(ours: firestore.Client) -> None:
    """INVALID_ARGUMENT with the figure, and nothing is written."""
    large = {"fields": {"x": {"string_value": "a" * 1_000_000}}}
    writes = [{"update": {"name": ours.document(f"c/b{n}")._document_path, **large}} for n in range(11)]
    with pytest.raises(exceptions.InvalidArgument, match="10,485,760"):
        commit(ours, writes)
    assert not ours.document("c/b0").get().exists


def test_the_index_file_carries_ttl_policies(tmp_path: Path, connect: Connect) -> None:
    """`"ttl": true` in a field override is a policy; other overrides and indexes are none."""
    overrides = [
        {"collectionGroup": "jobs", "fieldPath": "expires_at", "ttl": True, "indexes": []},
        {"collectionGroup": "other", "fieldPath": "expires_at", "indexes": []},
    ]
    file = tmp_path / "firestore.indexes.json"
    file.write_text(json.dumps({"indexes": [], "fieldOverrides": overrides}))
    options = ("--indexes", str(file), "--ttl-sweep-seconds", "0.3")
    with serving("local.cloud.firestore", tmp_path / "data", *options) as server:
        db = connect(server.address)
        for group in ("other", "jobs"):
            db.document(f"{group}/old").set({"expires_at": datetime.datetime(2020, 1, 1, tzinfo=UTC)})
        until(lambda: not db.document("jobs/old").get().exists)
        assert db.document("other/old").get().exists


UNSUPPORTED: dict[str, Any] = {
    "a filter": lambda db: db.collection("c").where(filter=FieldFilter("v", "==", 1)).get(),
    "an order": lambda db: db.collection("c").order_by("v").get(),
    "a limit": lambda db: db.collection("c").limit(1).get(),
    "a collection group": lambda db: db.collection_group("c").get(),
    "a count": lambda db: db.collection("c").count().get(),
    "a list of documents": lambda db: list(db.collection("c").list_documents()),
    "a projection": lambda db: db.document("c/d").get(["v"]),
    "a past time": lambda db: db.document("c/d").get(read_time=datetime.datetime.now(UTC)),
    "a read-only transaction": lambda db: db.transaction(read_only=True)._begin(),
    "an increment": lambda db: db.document("c/d").set({"v": firestore.Increment(1)}, merge=True),
    "the server's time": lambda db: db.document("c/d").set({"at": firestore.SERVER_TIMESTAMP}),
    "a bulk write": lambda db: db._firestore_api.batch_write(
        request={"database": db._database_string}, metadata=db._rpc_metadata
    ),
}


@pytest.mark.parametrize("call", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_what_nobody_calls_is_refused_by_name(ours: firestore.Client, call: Any) -> None:
    """UNIMPLEMENTED says what is not supported, instead of an answer that is not quite the service's."""
    with pytest.raises(exceptions.MethodNotImplemented, match="not supported by the local"):
        call(ours)
    assert not ours.document("c/d").get().exists
