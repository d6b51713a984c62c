"""Queries through the real client, on ours and on Google's emulator: the expected ids are stated, not compared."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import And, FieldFilter, Or

T0 = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

MIXED: dict[str, dict[str, Any]] = {
    "absent": {"k": 1},
    "null": {"v": None, "k": 1},
    "nan": {"v": float("nan"), "k": 1},
    "no": {"v": False, "k": 1},
    "minus": {"v": -1, "k": 1},
    "one": {"v": 1, "k": 1},
    "one.0": {"v": 1.0, "k": 2},
    "two": {"v": 2, "k": 2},
    "time": {"v": T0, "k": 2},
    "text": {"v": "b", "k": 2},
    "text-long": {"v": "ba", "k": 2},
    "bytes": {"v": b"b", "k": 2},
    "list": {"v": [1, "x", None], "k": 3},
    "map": {"v": {"a": 1, "in": {"deep": 5}}, "k": 3},
}
# The service's order over all types; equal values follow the name.
IN_ORDER = [
    "null", "no", "nan", "minus", "one", "one.0", "two", "time", "text", "text-long", "bytes", "list", "map",
]  # fmt: skip


@pytest.fixture
def mixed(db: firestore.Client) -> firestore.CollectionReference:
    """One document of each type."""
    batch = db.batch()
    for name, value in MIXED.items():
        batch.set(db.collection("mixed").document(name), value)
    batch.commit()
    return db.collection("mixed")


def ids(query: Any) -> list[str]:
    return [one.id for one in query.get(retry=None)]


def where(field: str, op: str, value: Any) -> Callable[[Any], Any]:
    return lambda source: source.where(filter=FieldFilter(field, op, value))


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("==", 1, ["one", "one.0"]),
        ("==", 1.0, ["one", "one.0"]),
        ("==", "b", ["text"]),
        ("==", None, ["null"]),
        ("==", float("nan"), ["nan"]),
        ("==", [1, "x", None], ["list"]),
        ("==", {"a": 1, "in": {"deep": 5}}, ["map"]),
        ("==", T0, ["time"]),
        ("<", 1, ["minus"]),
        ("<=", 1, ["minus", "one", "one.0"]),
        (">", 1, ["two"]),
        (">=", "b", ["text", "text-long"]),
        (">", "b", ["text-long"]),
        ("!=", 1, [name for name in IN_ORDER if name not in ("null", "one", "one.0")]),
        ("!=", None, [name for name in IN_ORDER if name != "null"]),
        ("in", [2, "b"], ["text", "two"]),
        ("in", [None, float("nan"), 2], ["two"]),
        ("not-in", [1, "b"], [n for n in IN_ORDER if n not in ("null", "one", "one.0", "text")]),
        ("not-in", [None, 1], []),
        ("array_contains", 1, ["list"]),
        ("array_contains", "y", []),
        ("array_contains_any", ["y", "x"], ["list"]),
        ("array_contains_any", [None, "y"], []),
    ],
)
def test_a_filter_finds_exactly_these(
    mixed: firestore.CollectionReference, op: str, value: Any, expected: list[str]
) -> None:
    """Each operator over every type: ranges stay in one type, null and missing fields match no inequality."""
    assert ids(where("v", op, value)(mixed)) == expected


def test_order_covers_all_types_and_skips_documents_without_the_field(
    mixed: firestore.CollectionReference,
) -> None:
    """null < booleans < numbers < times < text < bytes < lists < maps, ties by name; descending is the reverse."""
    assert ids(mixed.order_by("v")) == IN_ORDER
    assert ids(mixed.order_by("v", direction="DESCENDING")) == IN_ORDER[::-1]


def test_without_an_order_documents_come_by_name(db: firestore.Client) -> None:
    """Names sort by bytes, numeric ids first and by number."""
    names = ["__id2__", "__id10__", "1", "10", "2", "B", "a", "aa", "b", "é", "\uffff", "😀"]
    for name in reversed(names):
        db.collection("names").document(name).set({})
    assert ids(db.collection("names")) == names


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (And([FieldFilter("k", "==", 2), FieldFilter("v", ">", 1)]), ["two"]),
        (Or([FieldFilter("v", "==", 2), FieldFilter("k", "==", 3)]), ["list", "map", "two"]),
        (
            And([FieldFilter("k", "==", 1), Or([FieldFilter("v", "==", False), FieldFilter("v", "==", 1)])]),
            ["no", "one"],
        ),
        (FieldFilter("v.in.deep", "==", 5), ["map"]),
        (And([FieldFilter("v", ">=", -1), FieldFilter("v", "<", 2)]), ["minus", "one", "one.0"]),
    ],
)
def test_composite_filters(mixed: firestore.CollectionReference, filters: Any, expected: list[str]) -> None:
    """and, or, nested, on fields of maps, and two bounds on one field."""
    assert ids(mixed.where(filter=filters)) == expected


@pytest.fixture
def numbers(db: firestore.Client) -> firestore.CollectionReference:
    """d0…d9 with n = 0…9 and g = n // 3."""
    for number in range(10):
        db.collection("numbers").document(f"d{number}").set({"n": number, "g": number // 3})
    return db.collection("numbers")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (lambda q: q.order_by("n").start_at({"n": 7}), "789"),
        (lambda q: q.order_by("n").start_after({"n": 7}), "89"),
        (lambda q: q.order_by("n").end_at({"n": 2}), "012"),
        (lambda q: q.order_by("n").end_before({"n": 2}), "01"),
        (lambda q: q.order_by("n").start_after({"n": 2}).end_before({"n": 6}), "345"),
        (lambda q: q.order_by("n", direction="DESCENDING").start_after({"n": 7}).limit(2), "65"),
        (lambda q: q.order_by("n").limit_to_last(3), "789"),
        (lambda q: q.order_by("n").offset(8), "89"),
        (lambda q: q.order_by("n").offset(3).limit(2), "34"),
        (lambda q: q.order_by("g").order_by("n", direction="DESCENDING").limit(4), "2105"),
        (lambda q: q.order_by("g").order_by("n").start_after({"g": 1, "n": 4}).limit(2), "56"),
        (lambda q: q.order_by("g").start_at({"g": 3}), "9"),
        (lambda q: where("g", "==", 1)(q).order_by("n", direction="DESCENDING"), "543"),
        (lambda q: where("g", ">", 1)(where("n", "<", 8)(q)), "67"),
    ],
)
def test_order_cursors_limit_and_offset(
    numbers: firestore.CollectionReference, shape: Callable[[Any], Any], expected: str
) -> None:
    """Every way to cut a page out of an order."""
    assert ids(shape(numbers)) == [f"d{digit}" for digit in expected]


def test_a_snapshot_is_a_cursor(numbers: firestore.CollectionReference) -> None:
    """Paging by the last snapshot visits everything once, also where the order ties."""
    seen: list[str] = []
    query = numbers.order_by("g").limit(4)
    page = query.get()
    while page:
        seen += [one.id for one in page]
        page = query.start_after(page[-1]).get()
    assert seen == [f"d{number}" for number in range(10)]


def test_document_ids_can_be_ranged_and_listed(numbers: firestore.CollectionReference) -> None:
    """__name__ takes ==, ranges and in, with references."""
    key = "__name__"
    assert ids(where(key, ">=", numbers.document("d8"))(numbers)) == ["d8", "d9"]
    between = where(key, "<", numbers.document("d3"))(where(key, ">", numbers.document("d0"))(numbers))
    assert ids(between) == ["d1", "d2"]
    wanted = [numbers.document("d7"), numbers.document("d1")]
    assert ids(where(key, "in", wanted)(numbers)) == ["d1", "d7"]


def test_select_gives_only_the_named_fields(numbers: firestore.CollectionReference) -> None:
    """A projection keeps documents whole in number, and may be empty."""
    query = numbers.order_by("n").limit(1)
    assert [one.to_dict() for one in query.select(["g"]).get()] == [{"g": 0}]
    assert [one.to_dict() for one in query.select([]).get()] == [{}]


def test_a_collection_group_reaches_every_depth_and_only_its_name(db: firestore.Client) -> None:
    """Same id at the root, under documents, under missing documents; a longer name is another group."""
    for path in ("leaf/1", "a/x/leaf/2", "a/y/b/z/leaf/3", "a/x/leaves/4"):
        db.document(path).set({"v": int(path[-1])})
    assert sorted(ids(db.collection_group("leaf"))) == ["1", "2", "3"]
    assert ids(where("v", ">", 1)(db.collection_group("leaf"))) == ["2", "3"]


def test_a_collection_is_not_its_sub_collections(db: firestore.Client) -> None:
    """A query of `a` sees direct documents only."""
    db.document("a/x").set({})
    db.document("a/x/a/y").set({})
    assert ids(db.collection("a")) == ["x"]


def test_count_sum_and_average(numbers: firestore.CollectionReference) -> None:
    """Several aggregations at once, over filters and limits; the average of nothing is null, its sum 0."""

    def answer(query: Any) -> dict[str, Any]:
        found = query.count(alias="count").sum("n", alias="sum").avg("n", alias="avg").get()[0]
        return {one.alias: one.value for one in found}

    assert answer(numbers) == {"count": 10, "sum": 45, "avg": 4.5}
    assert answer(where("g", "==", 2)(numbers)) == {"count": 3, "sum": 21, "avg": 7.0}
    assert answer(numbers.order_by("n").limit(2)) == {"count": 2, "sum": 1, "avg": 0.5}
    assert answer(where("g", "==", 99)(numbers))["count"] == 0


def test_an_aggregation_counts_only_documents_that_have_the_field(db: firestore.Client) -> None:
    """Text is in the count but not in the sum; a missing field leaves the document out."""
    rows = db.collection("rows")
    for name, value in {"a": {"v": 1}, "b": {"v": 2.5}, "c": {"v": "text"}, "d": {}}.items():
        rows.document(name).set(value)
    found = {one.alias: one.value for one in rows.count(alias="n").sum("v", alias="s").get()[0]}
    assert found == {"n": 3, "s": 3.5}
    assert rows.count().get()[0][0].value == 4


def test_a_limited_sum_takes_the_smallest_values_of_those_that_have_one(db: firestore.Client) -> None:
    """Without an order of its own, the index of the summed field decides what the limit keeps."""
    rows = db.collection("rows")
    for name, value in {"a": {}, "b": {"v": 30}, "c": {"v": 10}, "d": {"v": 20}}.items():
        rows.document(name).set(value)
    assert rows.limit(2).sum("v", alias="s").get()[0][0].value == 30


@pytest.mark.parametrize(
    "shape",
    [
        lambda q: where("v", "in", [])(q),
        lambda q: where("v", "in", list(range(31)))(q),
        lambda q: where("v", "not-in", list(range(11)))(q),
        lambda q: where("v", "!=", 1)(where("w", "!=", 1)(q)),
        lambda q: where("v", "not-in", [1])(where("w", "in", [1])(q)),
        lambda q: where("v", "array_contains", 1)(where("w", "array_contains", 1)(q)),
        lambda q: where("v", ">", 1)(q).order_by("__name__"),
        lambda q: where("a", "in", list(range(8)))(where("b", "in", list(range(4)))(q)),
    ],
    ids=[
        "in-nothing",
        "in-31",
        "not-in-11",
        "two-!=",
        "not-in+in",
        "two-contains",
        "range-after-name",
        "32-terms",
    ],
)
def test_shapes_that_the_service_refuses(db: firestore.Client, shape: Callable[[Any], Any]) -> None:
    """INVALID_ARGUMENT here as there, so that they are found on the laptop."""
    with pytest.raises(exceptions.InvalidArgument):
        ids(shape(db.collection("c")))


def test_a_query_can_look_into_the_past(db: firestore.Client) -> None:
    """read_time sees the documents as they were, also those deleted since."""
    kept, gone = db.document("c/kept"), db.document("c/gone")
    kept.set({"v": 1})
    at = gone.set({"v": 1}).update_time
    kept.set({"v": 2})
    gone.delete()
    past = [(one.id, one.to_dict()) for one in db.collection("c").stream(read_time=at)]
    assert past == [("gone", {"v": 1}), ("kept", {"v": 1})]
    assert gone.get(read_time=at).to_dict() == {"v": 1}
    assert ids(db.collection("c")) == ["kept"]
