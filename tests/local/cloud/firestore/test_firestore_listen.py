"""Listening through the real client's watch: first state, then each change, on ours and on Google's emulator."""

from typing import Any

from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from local.patience import until


class Seen:
    """The snapshots that a listener was given."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []
        self.changes: list[list[tuple[str, str]]] = []

    def __call__(self, snapshots: Any, changes: Any, _read_time: Any) -> None:
        self.changes.append([(change.type.name, change.document.id) for change in changes])
        self.states.append({one.id: one.to_dict() for one in snapshots if one.exists})

    def is_now(self, state: dict[str, Any]) -> bool:
        return bool(self.states) and self.states[-1] == state


def test_a_query_is_told_adds_changes_and_removals(db: firestore.Client) -> None:
    """Entering, changing inside, leaving by value and leaving by deletion each arrive."""
    rows = db.collection("rows")
    rows.document("a").set({"v": 1})
    seen = Seen()
    watch = rows.where(filter=FieldFilter("v", "<", 10)).on_snapshot(seen)
    try:
        until(lambda: seen.is_now({"a": {"v": 1}}))
        rows.document("b").set({"v": 2})
        until(lambda: seen.is_now({"a": {"v": 1}, "b": {"v": 2}}))
        rows.document("a").update({"v": 3})
        until(lambda: seen.is_now({"a": {"v": 3}, "b": {"v": 2}}))
        rows.document("a").update({"v": 30})
        until(lambda: seen.is_now({"b": {"v": 2}}))
        rows.document("b").delete()
        until(lambda: seen.is_now({}))
    finally:
        watch.unsubscribe()


def test_the_changes_are_exact(ours: firestore.Client) -> None:
    """Only what changed is reported, with its kind."""
    rows = ours.collection("rows")
    rows.document("a").set({"v": 1})
    rows.document("b").set({"v": 2})
    seen = Seen()
    watch = rows.order_by("v").limit(2).on_snapshot(seen)
    try:
        until(lambda: len(seen.changes) == 1)
        rows.document("c").set({"v": 0})
        until(lambda: len(seen.changes) == 2)
        rows.document("a").update({"w": 1})
        until(lambda: len(seen.changes) == 3)
        rows.document("c").delete()
        until(lambda: len(seen.changes) == 4)
        rows.document("outside").set({"v": 99})
        rows.document("a").update({"w": 2})
        until(lambda: len(seen.changes) >= 5)
    finally:
        watch.unsubscribe()
    assert [sorted(one) for one in seen.changes[:4]] == [
        [("ADDED", "a"), ("ADDED", "b")],
        [("ADDED", "c"), ("REMOVED", "b")],
        [("MODIFIED", "a")],
        [("ADDED", "b"), ("REMOVED", "c")],
    ]
    assert seen.states[-1] == {"a": {"v": 1, "w": 2}, "b": {"v": 2}}


def test_a_document_is_told_creation_change_and_deletion(db: firestore.Client) -> None:
    """A listener on one document that does not exist yet."""
    document = db.document("c/d")
    states: list[Any] = []
    watch = document.on_snapshot(
        lambda snapshots, _changes, _time: states.append(
            snapshots[0].to_dict() if snapshots and snapshots[0].exists else None
        )
    )
    try:
        until(lambda: states == [None])
        for value in ({"v": 1}, {"v": 2}):
            document.set(value)
            until(lambda value=value: value in states)
        document.delete()
        until(lambda: states[-1] is None)
    finally:
        watch.unsubscribe()


def test_one_commit_arrives_as_one_snapshot(ours: firestore.Client) -> None:
    """A batch of three documents is never seen half done."""
    rows = ours.collection("rows")
    seen = Seen()
    watch = rows.on_snapshot(seen)
    try:
        until(lambda: seen.is_now({}))
        batch = ours.batch()
        for name in "abc":
            batch.set(rows.document(name), {})
        batch.commit()
        until(lambda: seen.is_now({"a": {}, "b": {}, "c": {}}))
    finally:
        watch.unsubscribe()
    assert [len(state) for state in seen.states] == [0, 3]


class Stream:
    """The listen protocol by hand, for resuming."""

    def __init__(self, db: firestore.Client, query: Any, token: bytes = b"") -> None:
        import queue
        import threading

        self.db = db
        self.asks: queue.Queue[Any] = queue.Queue()
        target = {"query": {"parent": db._database_string + "/documents"}, "target_id": 2}
        target["query"]["structured_query"] = query._to_protobuf()
        if token:
            target["resume_token"] = token
        self.asks.put({"database": db._database_string, "add_target": target})
        self.call = db._firestore_api.listen(requests=iter(self.asks.get, None), metadata=db._rpc_metadata)
        self.told: list[tuple[str, str]] = []
        self.tokens: list[bytes] = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        for response in self.call:
            if response.target_change:
                change = response.target_change
                self.told.append(("target", change.target_change_type.name))
                if change.resume_token and not change.target_ids:
                    self.tokens.append(change.resume_token)
            elif response.document_change:
                self.told.append(("change", response.document_change.document.name.rpartition("/")[2]))
            elif response.document_delete:
                self.told.append(("delete", response.document_delete.document.rpartition("/")[2]))

    def close(self) -> None:
        self.asks.put(None)
        self.thread.join(60)


def test_a_resumed_listener_hears_only_what_it_missed(ours: firestore.Client) -> None:
    """With the last token: one new, one gone, and nothing about the unchanged document."""
    rows = ours.collection("rows")
    query = rows.order_by("v")
    rows.document("same").set({"v": 1})
    rows.document("gone").set({"v": 2})
    first = Stream(ours, query)
    until(lambda: len(first.tokens) == 1)
    first.close()
    rows.document("gone").delete()
    rows.document("new").set({"v": 3})
    second = Stream(ours, query, first.tokens[-1])
    until(lambda: len(second.tokens) == 1)
    second.close()
    assert [one for one in second.told if one[0] != "target"] == [("delete", "gone"), ("change", "new")]


def test_a_listener_with_a_token_from_too_long_ago_is_reset(ours: firestore.Client) -> None:
    """A token from before the history gets RESET and the whole state."""
    rows = ours.collection("rows")
    rows.document("a").set({"v": 1})
    stream = Stream(ours, rows.order_by("v"), (1).to_bytes(8, "big"))
    until(lambda: len(stream.tokens) == 1)
    stream.close()
    assert ("target", "RESET") in stream.told
    assert ("change", "a") in stream.told


def test_a_bad_target_ends_the_target_with_its_reason(db: firestore.Client) -> None:
    """The stream answers REMOVE with a cause instead of breaking."""
    stream = Stream(db, db.collection("rows").where(filter=FieldFilter("v", "in", [])))
    until(lambda: ("target", "REMOVE") in stream.told)
    stream.close()
