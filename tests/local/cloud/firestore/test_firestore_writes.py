"""Writes, preconditions and limits, through the real client, on ours and on Google's emulator."""

import datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1 import GeoPoint
from google.cloud.firestore_v1.vector import Vector


def raw_commit(db: firestore.Client, writes: list[dict[str, Any]], **more: Any) -> Any:
    """A commit below the client's own checks."""
    return db._firestore_api.commit(
        request={"database": db._database_string, "writes": writes, **more},
        metadata=db._rpc_metadata,
        retry=None,
    )


def test_every_type_comes_back_as_it_was_set(db: firestore.Client) -> None:
    """One document with each value type, read by get, by get_all and with its collection."""
    document = db.collection("c").document("all")
    value = {
        "null": None,
        "bool": True,
        "int": -(2**63),
        "double": 1.5,
        "time": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC),
        "text": "é😀\n",
        "bytes": b"\x00\xff",
        "reference": db.collection("c").document("other"),
        "place": GeoPoint(1.5, -2.5),
        "list": [1, "a", {"b": [2]}],
        "map": {"a": {"b c": 1}, "`": 2},
        "vector": Vector([1.0, 2.0]),
        "empty list": [],
        "empty map": {},
    }
    document.set(value)
    assert document.get().to_dict() == value
    assert [one.to_dict() for one in db.get_all([document])] == [value]
    assert [one.to_dict() for one in db.collection("c").stream()] == [value]


def test_a_missing_document_is_reported_as_missing(db: firestore.Client) -> None:
    """get gives a snapshot that does not exist; get_all mixes found and missing."""
    here = db.collection("c").document("here")
    gone = db.collection("c").document("gone")
    here.set({})
    assert not gone.get().exists
    assert {one.id: one.exists for one in db.get_all([here, gone])} == {"here": True, "gone": False}


def test_create_refuses_an_existing_document(db: firestore.Client) -> None:
    """ALREADY_EXISTS, and the first content stays."""
    document = db.collection("c").document("d")
    document.create({"v": 1})
    with pytest.raises(exceptions.AlreadyExists):
        document.create({"v": 2})
    assert document.get().to_dict() == {"v": 1}


def test_update_refuses_a_missing_document(db: firestore.Client) -> None:
    """NOT_FOUND, and nothing is created."""
    document = db.collection("c").document("d")
    with pytest.raises(exceptions.NotFound):
        document.update({"v": 1})
    assert not document.get().exists


def test_update_changes_only_the_named_fields(db: firestore.Client) -> None:
    """Dotted and quoted paths reach into maps; DELETE_FIELD removes; siblings stay."""
    document = db.collection("c").document("d")
    document.set({"a": {"b": 1, "c": 2}, "x": {"y.z": 1, "k": 2}, "gone": 1, "stays": 1})
    document.update({"a.b": 9, "x.`y.z`": 8, "gone": firestore.DELETE_FIELD, "new.deep": 7})
    expected = {"a": {"b": 9, "c": 2}, "x": {"y.z": 8, "k": 2}, "stays": 1, "new": {"deep": 7}}
    assert document.get().to_dict() == expected


def test_merge_keeps_what_it_does_not_name(db: firestore.Client) -> None:
    """set(merge=True) merges maps deeply, set(merge=[…]) exactly the listed paths; both may create."""
    document = db.collection("c").document("d")
    document.set({"a": {"b": 1}}, merge=True)
    document.set({"a": {"c": 2}, "list": [1]}, merge=True)
    assert document.get().to_dict() == {"a": {"b": 1, "c": 2}, "list": [1]}
    document.set({"a": {"b": 5}, "list": [9]}, merge=["a.b", "list"])
    assert document.get().to_dict() == {"a": {"b": 5, "c": 2}, "list": [9]}
    document.set({"only": 1})
    assert document.get().to_dict() == {"only": 1}


def test_a_write_that_was_overtaken_is_refused(db: firestore.Client) -> None:
    """A last_update_time precondition fails once someone else has written; update, delete and missing alike."""
    document = db.collection("c").document("d")
    read = document.set({"v": 1}).update_time
    document.set({"v": 2})
    stale = db.write_option(last_update_time=read)
    with pytest.raises(exceptions.FailedPrecondition, match="does not match the required base version"):
        document.update({"v": 3}, option=stale)
    with pytest.raises(exceptions.FailedPrecondition):
        document.delete(option=stale)
    with pytest.raises(exceptions.FailedPrecondition):
        db.collection("c").document("gone").delete(option=stale)
    assert document.get().to_dict() == {"v": 2}
    current = db.write_option(last_update_time=document.get().update_time)
    document.update({"v": 3}, option=current)
    assert document.get().to_dict() == {"v": 3}


def test_delete_can_require_existence(db: firestore.Client) -> None:
    """A plain delete of nothing succeeds; with exists=True it is NOT_FOUND."""
    document = db.collection("c").document("d")
    document.delete()
    with pytest.raises(exceptions.NotFound):
        document.delete(option=db.write_option(exists=True))
    document.set({})
    document.delete(option=db.write_option(exists=True))
    assert not document.get().exists


def test_a_batch_happens_wholly_or_not_at_all(db: firestore.Client) -> None:
    """One refused write undoes the ones before it."""
    first = db.collection("c").document("first")
    batch = db.batch()
    batch.set(first, {"v": 1})
    batch.update(db.collection("c").document("missing"), {"v": 1})
    with pytest.raises(exceptions.NotFound):
        batch.commit()
    assert not first.get().exists


def test_writes_of_one_commit_see_each_other_and_share_one_time(db: firestore.Client) -> None:
    """Set and update the same document in one batch; all results carry the commit's time."""
    one, two = db.collection("c").document("one"), db.collection("c").document("two")
    batch = db.batch()
    batch.set(one, {"n": 1})
    batch.update(one, {"more": 5})
    batch.set(two, {"n": 1})
    results = batch.commit()
    assert one.get().to_dict() == {"n": 1, "more": 5}
    assert one.get().update_time == two.get().update_time == results[-1].update_time


def test_times_of_a_document(db: firestore.Client) -> None:
    """create_time stays, update_time grows with each change and stays when nothing changes."""
    document = db.collection("c").document("d")
    document.set({"v": 1})
    first = document.get()
    document.set({"v": 1})
    assert document.get().update_time == first.update_time
    document.set({"v": 2})
    second = document.get()
    assert second.create_time == first.create_time
    assert second.update_time > first.update_time
    document.delete()
    document.set({"v": 2})
    assert document.get().create_time > first.create_time


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("__reserved__", 1, "reserved"),
        ("x" * 1501, 1, "1500 bytes"),
        ("nested", [[1]], "array"),
    ],
)
def test_fields_that_the_service_refuses(db: firestore.Client, field: str, value: Any, reason: str) -> None:
    """INVALID_ARGUMENT with the reason, and nothing is stored."""
    document = db.collection("c").document("d")
    with pytest.raises(exceptions.InvalidArgument, match=reason):
        document.set({field: value})
    assert not document.get().exists


@pytest.mark.parametrize("name", ["__reserved__", ".", "..", "x" * 1501])
def test_document_ids_that_the_service_refuses(db: firestore.Client, name: str) -> None:
    """INVALID_ARGUMENT; numeric ids in the service's own form pass."""
    with pytest.raises(exceptions.InvalidArgument):
        db.collection("c").document(name).set({})
    db.collection("c").document("__id7__").set({})


def test_a_document_of_one_mebibyte_is_refused(db: firestore.Client) -> None:
    """1,048,576 bytes with the name is the limit: just below passes, the text alone at that size does not."""
    document = db.collection("c").document("d")
    document.set({"x": "a" * (1_048_576 - 200)})
    with pytest.raises(exceptions.InvalidArgument):
        document.set({"x": "a" * 1_048_576})


def test_malformed_requests_are_invalid(db: firestore.Client) -> None:
    """A write without an operation, a bad name and a bad mask are INVALID_ARGUMENT, not internal errors."""
    name = db.collection("c").document("d")._document_path
    for write in (
        {},
        {"update": {"name": name + "/odd"}},
        {"delete": "nonsense"},
        {"update": {"name": name}, "update_mask": {"field_paths": ["a..b"]}},
    ):
        with pytest.raises(exceptions.InvalidArgument):
            raw_commit(db, [write])


def test_named_databases_are_apart(address: str, connect: Any) -> None:
    """The same path in another database of the project is another document."""
    default = connect(address, project="shared-name")
    other = connect(address, project="shared-name", database="other")
    default.document("c/apart").set({"v": 1})
    assert not other.document("c/apart").get().exists
    other.document("c/apart").set({"v": 2})
    assert default.document("c/apart").get().to_dict() == {"v": 1}


def test_a_collection_is_read_whole_in_the_order_of_names(db: firestore.Client) -> None:
    """Documents of collections below and beside it are none of its own."""
    for path in ("c/b", "c/a", "c/b/sub/x", "cc/other", "c!/other"):
        db.document(path).set({"path": path})
    assert [one.to_dict()["path"] for one in db.collection("c").stream()] == ["c/a", "c/b"]
    assert list(db.collection("none").stream()) == []


def test_collections_are_listed_by_what_they_hold(db: firestore.Client) -> None:
    """Below the root and below a document, also one that is missing; an emptied one is gone."""
    for path in ("c/a", "c/missing/sub/leaf", "d/a", "d!/a"):
        db.document(path).set({})
    db.document("d/a").delete()
    assert sorted(one.id for one in db.collections()) == ["c", "d!"]
    assert [one.id for one in db.document("c/missing").collections()] == ["sub"]
    assert list(db.document("c/a").collections()) == []
