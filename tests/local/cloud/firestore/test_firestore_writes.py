"""Writes, preconditions, transforms and limits, through the real client, on ours and on Google's emulator."""

import datetime
import math
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
    """One document with each value type, read by get, get_all and a query."""
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
    """Set, update and transform the same document in one batch; all results carry the commit's time."""
    one, two = db.collection("c").document("one"), db.collection("c").document("two")
    batch = db.batch()
    batch.set(one, {"n": 1})
    batch.update(one, {"n": firestore.Increment(5)})
    batch.set(two, {"n": 1})
    results = batch.commit()
    assert one.get().to_dict() == {"n": 6}
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


def _named(value: Any) -> str:
    """A case's name without an address, which would be another one in each worker of a run."""
    if not type(value).__module__.startswith("google."):
        return str(value)
    return f"{type(value).__name__}({getattr(value, 'values', None) or value.value})"


@pytest.mark.parametrize(
    ("before", "transform", "after"),
    [
        (5, firestore.Increment(3), 8),
        (5, firestore.Increment(0.5), 5.5),
        (None, firestore.Increment(3), 3),
        ("text", firestore.Increment(3), 3),
        (2**63 - 1, firestore.Increment(5), 2**63 - 1),
        (-(2**63), firestore.Increment(-5), -(2**63)),
        (5, firestore.Maximum(9), 9),
        (5, firestore.Maximum(2), 5),
        (3, firestore.Maximum(3.0), 3),
        (5, firestore.Minimum(2.5), 2.5),
        ("text", firestore.Minimum(2), 2),
        ([1, 2], firestore.ArrayUnion([2.0, 3, 3]), [1, 2, 3]),
        ("text", firestore.ArrayUnion([1]), [1]),
        ([1, 2, 1.0, "a"], firestore.ArrayRemove([1]), [2, "a"]),
        ("text", firestore.ArrayRemove([1]), []),
    ],
    ids=_named,
)
def test_transforms(db: firestore.Client, before: Any, transform: Any, after: Any) -> None:
    """Each transform on a fitting, a missing and an unfitting value; types are kept, integers saturate."""
    document = db.collection("c").document("d")
    document.set({"v": before, "other": 1})
    document.update({"v": transform})
    found = document.get().to_dict()
    assert found == {"v": after, "other": 1}
    assert type(found["v"]) is type(after)


def test_a_transform_creates_the_field_and_the_document(db: firestore.Client) -> None:
    """Increment with merge counts up from nothing."""
    document = db.collection("c").document("d")
    for _ in range(3):
        document.set({"n": {"deep": firestore.Increment(1)}}, merge=True)
    assert document.get().to_dict() == {"n": {"deep": 3}}


def test_nan_wins_every_maximum(db: firestore.Client) -> None:
    """A comparison with NaN stores NaN."""
    document = db.collection("c").document("d")
    document.set({"v": math.nan})
    document.update({"v": firestore.Maximum(3)})
    assert math.isnan(document.get().to_dict()["v"])


def test_server_timestamps_of_one_commit_are_equal_and_in_milliseconds(db: firestore.Client) -> None:
    """Two documents of a batch get the same time, close to the server's clock."""
    one, two = db.collection("c").document("one"), db.collection("c").document("two")
    batch = db.batch()
    batch.set(one, {"at": firestore.SERVER_TIMESTAMP})
    batch.set(two, {"deep": {"at": firestore.SERVER_TIMESTAMP}})
    batch.commit()
    at = one.get().to_dict()["at"]
    assert at == two.get().to_dict()["deep"]["at"]
    assert at.microsecond % 1000 == 0
    assert abs((one.get().update_time - at).total_seconds()) < 5


def test_batch_write_treats_each_write_alone(db: firestore.Client) -> None:
    """BulkWriter's method: one refusal is one status; the others are kept."""
    good, bad = db.collection("c").document("good"), db.collection("c").document("bad")
    response = db._firestore_api.batch_write(
        request={
            "database": db._database_string,
            "writes": [
                {"update": {"name": bad._document_path}, "current_document": {"exists": True}},
                {"update": {"name": good._document_path}},
            ],
        },
        metadata=db._rpc_metadata,
    )
    assert [status.code for status in response.status] == [5, 0]
    assert good.get().exists
    assert not bad.get().exists


def test_batch_write_refuses_a_document_named_twice(db: firestore.Client) -> None:
    """INVALID_ARGUMENT for the whole request."""
    write = {"update": {"name": db.collection("c").document("d")._document_path}}
    with pytest.raises(exceptions.InvalidArgument, match="more than once"):
        db._firestore_api.batch_write(
            request={"database": db._database_string, "writes": [write, write]}, metadata=db._rpc_metadata
        )


def test_the_bulk_writer_and_recursive_delete_work(db: firestore.Client) -> None:
    """Many writes through the client's own helpers arrive, and a tree is deleted whole."""
    writer = db.bulk_writer()
    root = db.collection("tree").document("root")
    for number in range(50):
        writer.create(root.collection("leaves").document(f"{number:02}"), {"n": number})
    writer.create(root, {})
    writer.close()
    assert root.collection("leaves").count().get()[0][0].value == 50
    assert db.recursive_delete(root) == 51
    assert list(root.collection("leaves").stream()) == []


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


def test_documents_and_collections_are_listed_in_pages(db: firestore.Client) -> None:
    """Sub-collections of missing documents are found; a missing parent is listed; pages cover all once."""
    for name in "abcde":
        db.collection("c").document(name).set({"v": 1})
    db.document("c/missing/sub/leaf").set({})
    listed = [one.id for one in db.collection("c").list_documents(page_size=2)]
    assert listed == ["a", "b", "c", "d", "e", "missing"]
    assert [one.id for one in db.collections()] == ["c"]
    assert [one.id for one in db.document("c/missing").collections()] == ["sub"]
    assert list(db.document("c/a").collections()) == []


def test_named_databases_are_apart(address: str, connect: Any) -> None:
    """The same path in another database of the project is another document."""
    default = connect(address, project="shared-name")
    other = connect(address, project="shared-name", database="other")
    default.document("c/apart").set({"v": 1})
    assert not other.document("c/apart").get().exists
    other.document("c/apart").set({"v": 2})
    assert default.document("c/apart").get().to_dict() == {"v": 1}
