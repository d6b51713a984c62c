"""Transactions through the real client, on ours and on Google's emulator, mostly under contention."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore


class Raw:
    """One transaction driven by hand, below the client's retries."""

    def __init__(self, db: firestore.Client, **options: Any) -> None:
        self.db = db
        self.api = db._firestore_api
        request = {"database": db._database_string, "options": options}
        self.id = self.api.begin_transaction(request=request, metadata=db._rpc_metadata).transaction

    def read(self, path: str) -> dict[str, Any]:
        request = {
            "database": self.db._database_string,
            "documents": [self.db.document(path)._document_path],
            "transaction": self.id,
        }
        (answer,) = self.api.batch_get_documents(request=request, metadata=self.db._rpc_metadata, retry=None)
        return {name: value.integer_value for name, value in answer.found.fields.items()}

    def commit(self, path: str = "", value: int = 0) -> None:
        name = self.db.document(path)._document_path if path else ""
        write = {"update": {"name": name, "fields": {"v": {"integer_value": value}}}}
        self.api.commit(
            request={
                "database": self.db._database_string,
                "writes": [write] if path else [],
                "transaction": self.id,
            },
            metadata=self.db._rpc_metadata,
            retry=None,
            timeout=30,
        )

    def rollback(self) -> None:
        request = {"database": self.db._database_string, "transaction": self.id}
        self.api.rollback(request=request, metadata=self.db._rpc_metadata)


def crowd(workers: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work` in so many threads that start together."""
    gate = threading.Barrier(workers)

    def enter(number: int) -> Any:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(enter, range(workers)))


def increment(db: firestore.Client, path: str, attempts: int = 20) -> None:
    @firestore.transactional
    def once(transaction: Any) -> None:
        document = db.document(path)
        seen = document.get(transaction=transaction).to_dict()
        transaction.set(document, {"v": seen["v"] + 1})

    once(db.transaction(max_attempts=attempts))


def test_no_contended_increment_is_lost(db: firestore.Client) -> None:
    """Each increment that reports success is in the sum, and no other; conflicts may exhaust attempts."""
    db.document("c/n").set({"v": 0})

    def work(_number: int) -> int:
        try:
            increment(db, "c/n", attempts=2)
        except ValueError as refused:
            assert "Failed to commit transaction" in str(refused)
            return 0
        return 1

    done = sum(crowd(3, work))
    assert done >= 1
    assert db.document("c/n").get().to_dict() == {"v": done}


def test_twenty_five_contended_increments_all_succeed(ours: firestore.Client) -> None:
    """Retries keep their place in line, so the client's five attempts are enough for a crowd."""
    ours.document("c/n").set({"v": 0})
    crowd(25, lambda _number: increment(ours, "c/n", attempts=5))
    assert ours.document("c/n").get().to_dict() == {"v": 25}


def test_transfers_between_accounts_keep_the_sum(ours: firestore.Client) -> None:
    """Transactions over two documents in opposite orders neither deadlock nor lose money."""
    for name in "ab":
        ours.document(f"c/{name}").set({"v": 100})

    def work(number: int) -> None:
        source, target = ("c/a", "c/b") if number % 2 else ("c/b", "c/a")

        @firestore.transactional
        def move(transaction: Any) -> None:
            first = ours.document(source).get(transaction=transaction).to_dict()["v"]
            second = ours.document(target).get(transaction=transaction).to_dict()["v"]
            transaction.set(ours.document(source), {"v": first - number})
            transaction.set(ours.document(target), {"v": second + number})

        for _ in range(3):
            move(ours.transaction(max_attempts=20))

    crowd(8, work)
    total = sum(ours.document(f"c/{name}").get().to_dict()["v"] for name in "ab")
    assert total == 200


def test_a_commit_on_a_stale_read_is_aborted(db: firestore.Client) -> None:
    """Two read, one commits, the other hears ABORTED and its write is nowhere."""
    db.document("c/d").set({"v": 0})
    older, younger = Raw(db), Raw(db)
    assert older.read("c/d") == younger.read("c/d") == {"v": 0}
    older_done = threading.Thread(target=lambda: (time.sleep(0.3), older.commit("c/d", 1)))
    older_done.start()
    with pytest.raises(exceptions.Aborted):
        younger.commit("c/d", 2)
    older_done.join()
    assert db.document("c/d").get().to_dict() == {"v": 1}


def test_a_read_of_another_document_conflicts_too(db: firestore.Client) -> None:
    """Write skew is prevented: each reads what the other writes, and only one may commit."""
    db.document("c/a").set({"v": 0})
    db.document("c/b").set({"v": 0})
    one, two = Raw(db), Raw(db)
    assert one.read("c/a") == two.read("c/b") == {"v": 0}

    def finish(part: tuple[Raw, str]) -> bool:
        try:
            part[0].commit(part[1], 1)
        except exceptions.Aborted:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(finish, [(one, "c/b"), (two, "c/a")]))
    assert results.count(True) <= 1


def test_a_plain_write_waits_for_the_reader(ours: firestore.Client) -> None:
    """A write outside any transaction does not slip between a read and the commit that relies on it."""
    ours.document("c/d").set({"v": 0})
    reader = Raw(ours)
    assert reader.read("c/d") == {"v": 0}
    plain = threading.Thread(target=lambda: ours.document("c/d").set({"v": 7}))
    plain.start()
    time.sleep(0.3)
    assert ours.document("c/d").get().to_dict() == {"v": 0}
    reader.commit("c/d", 1)
    plain.join(60)
    assert ours.document("c/d").get().to_dict() == {"v": 7}


def test_a_wounded_transaction_reads_one_moment(ours: firestore.Client) -> None:
    """After losing its lock it still sees the state of its first read, and learns of the loss at commit."""
    ours.document("c/a").set({"v": 0})
    ours.document("c/b").set({"v": 0})
    older, younger = Raw(ours), Raw(ours)
    assert younger.read("c/a") == {"v": 0}
    older.commit("c/a", 1)
    ours.document("c/b").set({"v": 1})
    assert younger.read("c/b") == {"v": 0}
    with pytest.raises(exceptions.Aborted):
        younger.commit("c/b", 2)


def test_a_retried_transaction_keeps_its_place_in_line(ours: firestore.Client) -> None:
    """It wins against one that began between its two attempts, while that one still holds its lock."""
    ours.document("c/d").set({"v": 0})
    first = Raw(ours)
    first.rollback()
    between = Raw(ours)
    between.read("c/d")
    again = Raw(ours, read_write={"retry_transaction": first.id})
    again.read("c/d")
    again.commit("c/d", 1)
    with pytest.raises(exceptions.Aborted):
        between.commit("c/d", 2)
    assert ours.document("c/d").get().to_dict() == {"v": 1}


def test_a_refused_write_undoes_the_transaction(db: firestore.Client) -> None:
    """A failed precondition leaves no write behind and frees the locks."""
    db.document("c/d").set({"v": 0})

    @firestore.transactional
    def bad(transaction: Any) -> None:
        db.document("c/d").get(transaction=transaction)
        transaction.set(db.document("c/other"), {"v": 1})
        transaction.create(db.document("c/d"), {"v": 2})

    with pytest.raises(exceptions.AlreadyExists):
        bad(db.transaction())
    assert not db.document("c/other").get().exists
    db.document("c/d").set({"v": 5}, retry=None)
    assert db.document("c/d").get().to_dict() == {"v": 5}


def test_rollback_frees_the_locks_and_closes_the_transaction(db: firestore.Client) -> None:
    """A second rollback is harmless; a commit or read afterwards is INVALID_ARGUMENT."""
    db.document("c/d").set({"v": 0})
    transaction = Raw(db)
    transaction.read("c/d")
    transaction.rollback()
    transaction.rollback()
    with pytest.raises(exceptions.InvalidArgument, match="invalid or closed"):
        transaction.commit("c/d", 1)
    with pytest.raises(exceptions.InvalidArgument):
        transaction.read("c/d")
    db.document("c/d").set({"v": 2})


def test_a_transaction_commits_once(db: firestore.Client) -> None:
    """The second commit is INVALID_ARGUMENT, and an id that never was, too."""
    transaction = Raw(db)
    transaction.commit("c/d", 1)
    with pytest.raises(exceptions.InvalidArgument):
        transaction.commit("c/d", 2)
    transaction.id = b"junk"
    with pytest.raises(exceptions.InvalidArgument):
        transaction.commit("c/d", 3)
    assert db.document("c/d").get().to_dict() == {"v": 1}


def test_eight_racing_creates_have_one_winner(db: firestore.Client) -> None:
    """create is a lock: seven hear ALREADY_EXISTS."""

    def work(number: int) -> bool:
        try:
            db.document("c/lock").create({"owner": number})
        except exceptions.AlreadyExists:
            return False
        return True

    assert crowd(8, work).count(True) == 1
