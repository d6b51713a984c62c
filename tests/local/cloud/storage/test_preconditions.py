"""Preconditions on every call that takes them, and their exactness when many race."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core.exceptions import GoogleAPICallError, NotFound, NotModified, PreconditionFailed
from google.cloud import storage

RACERS = 8


def race(attempt: Callable[[int], object]) -> list[int]:
    """Run `attempt` by all racers at once; answers who was not refused by a precondition."""
    barrier = threading.Barrier(RACERS)

    def run(number: int) -> int | None:
        barrier.wait()
        try:
            attempt(number)
        except PreconditionFailed:
            return None
        return number

    with ThreadPoolExecutor(RACERS) as pool:
        return [winner for winner in pool.map(run, range(RACERS)) if winner is not None]


@pytest.fixture
def blob(bucket: storage.Bucket) -> storage.Blob:
    made = bucket.blob("x")
    made.upload_from_string("first")
    return made


@pytest.mark.parametrize("attempt", range(5))
def test_of_racing_creates_one_wins(bucket: storage.Bucket, attempt: int) -> None:
    """Eight create-if-absent uploads at once: one object, seven refusals, the winner's bytes."""
    winners = race(lambda n: bucket.blob("x").upload_from_string(f"racer {n}", if_generation_match=0))
    assert len(winners) == 1
    assert bucket.blob("x").download_as_bytes() == f"racer {winners[0]}".encode()


def test_of_racing_sessions_one_wins(bucket: storage.Bucket) -> None:
    """The same for resumable uploads, which check at their end."""
    winners = race(
        lambda n: bucket.blob("x", chunk_size=256 * 1024).upload_from_string(
            f"racer {n}" * 50_000, if_generation_match=0
        )
    )
    assert len(winners) == 1


def test_of_racing_patches_one_wins(bucket: storage.Bucket, blob: storage.Blob) -> None:
    """Eight patches that expect the same metageneration: one is applied."""

    def patch(number: int) -> None:
        mine = bucket.blob("x")
        mine.metadata = {"by": str(number)}
        mine.patch(if_metageneration_match=1)

    winners = race(patch)
    found = bucket.get_blob("x")
    assert ([found.metadata["by"]], found.metageneration) == ([str(n) for n in winners], 2)


def test_compare_and_swap_loses_no_increment(bucket: storage.Bucket) -> None:
    """Writers that read, add one and write if unchanged, again on refusal, count exactly."""
    bucket.blob("counter").upload_from_string("0")

    def add() -> None:
        while True:
            found = bucket.get_blob("counter")
            try:
                value = int(found.download_as_bytes())
                bucket.blob("counter").upload_from_string(
                    str(value + 1), if_generation_match=found.generation
                )
            except (PreconditionFailed, NotFound):
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(add) for _ in range(20)]:
            done.result()
    assert bucket.blob("counter").download_as_bytes() == b"20"


def test_generations_rise_and_are_microseconds(bucket: storage.Bucket) -> None:
    """Every write gets a larger number than all before: the clock in microseconds."""
    generations, before = [], time.time()
    for number in range(20):
        blob = bucket.blob(f"x{number % 3}")
        blob.upload_from_string("x")
        generations.append(blob.generation)
    assert generations == sorted(set(generations))
    assert before <= generations[0] / 1e6
    assert generations[-1] / 1e6 <= time.time()


def check(
    expected: type[GoogleAPICallError] | None, attempt: Callable[..., object], **conditions: int
) -> None:
    if expected is None:
        attempt(**conditions)
    else:
        with pytest.raises(expected):
            attempt(**conditions)


G, M = "generation", "metageneration"
WRITES = [
    ({"if_generation_match": 0}, PreconditionFailed),
    ({"if_generation_match": 1}, PreconditionFailed),
    ({"if_generation_match": G}, None),
    ({"if_generation_not_match": G}, PreconditionFailed),
    ({"if_generation_not_match": 1}, None),
    ({"if_metageneration_match": M}, None),
    ({"if_metageneration_match": 2}, PreconditionFailed),
    ({"if_metageneration_not_match": M}, PreconditionFailed),
    ({"if_metageneration_not_match": 2}, None),
    ({"if_generation_match": G, "if_metageneration_match": 2}, PreconditionFailed),
]


CALLS = ["upload", "resumable", "patch", "update", "delete", "compose", "rewrite"]


# The client's compose takes only the two match conditions.
@pytest.mark.parametrize(
    ("call", "conditions", "expected"),
    [(call, *write) for call in CALLS for write in WRITES if call != "compose" or "not" not in str(write[0])],
    ids=str,
)
def test_a_write_happens_only_if_its_conditions_hold(
    bucket: storage.Bucket,
    blob: storage.Blob,
    call: str,
    conditions: dict[str, int | str],
    expected: type[GoogleAPICallError] | None,
) -> None:
    """All four conditions, on every kind of write: 412 and nothing changed, or done."""
    given = {k: {G: blob.generation, M: 1}.get(v, v) for k, v in conditions.items()}
    target = bucket.blob("x")
    source = bucket.blob("source")
    source.upload_from_string("second")
    attempts: dict[str, Callable[..., object]] = {
        "upload": lambda **c: target.upload_from_string("second", **c),
        "resumable": lambda **c: bucket.blob("x", chunk_size=256 * 1024).upload_from_string("second", **c),
        "patch": target.patch,
        "update": target.update,
        "delete": target.delete,
        "compose": lambda **c: target.compose([source], **c),
        "rewrite": lambda **c: target.rewrite(source, **c),
    }
    check(expected, attempts[call], **given)
    if expected is not None:
        unchanged = bucket.get_blob("x")
        assert (unchanged.generation, unchanged.metageneration) == (blob.generation, 1)
        assert unchanged.download_as_bytes() == b"first"


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"if_generation_match": 1}, PreconditionFailed),
        ({"if_generation_match": G}, None),
        ({"if_generation_not_match": G}, NotModified),
        ({"if_generation_not_match": 1}, None),
        ({"if_metageneration_match": 2}, PreconditionFailed),
        ({"if_metageneration_not_match": M}, NotModified),
    ],
    ids=str,
)
@pytest.mark.parametrize("call", ["reload", "download_as_bytes"])
def test_a_read_answers_only_if_its_conditions_hold(
    bucket: storage.Bucket,
    blob: storage.Blob,
    call: str,
    conditions: dict[str, int | str],
    expected: type[GoogleAPICallError] | None,
) -> None:
    """A failed match is 412, a failed not-match is 304."""
    given = {k: {G: blob.generation, M: 1}.get(v, v) for k, v in conditions.items()}
    check(expected, getattr(bucket.blob("x"), call), **given)


def test_conditions_on_a_missing_object(bucket: storage.Bucket) -> None:
    """An expected generation of what isn't there fails; generation 0 holds; reads and deletes are 404."""
    blob = bucket.blob("x")
    for conditions in (
        {"if_generation_match": 7},
        {"if_metageneration_match": 1},
        {"if_generation_not_match": 0},
    ):
        with pytest.raises(PreconditionFailed):
            blob.upload_from_string("x", **conditions)
    with pytest.raises(NotFound):
        bucket.blob("x").delete(if_generation_match=7)
    with pytest.raises(NotFound):
        bucket.blob("x").download_as_bytes(if_generation_match=7)
    blob.upload_from_string("x", if_generation_match=0)


def test_etags_are_conditions_too(bucket: storage.Bucket, blob: storage.Blob) -> None:
    """If-Match and If-None-Match compare the etag, which changes with the metageneration."""
    old = blob.etag
    bucket.blob("x").reload(if_etag_match=old)
    with pytest.raises(NotModified):
        bucket.blob("x").reload(if_etag_not_match=old)
    blob.metadata = {"a": "b"}
    blob.patch()
    with pytest.raises(PreconditionFailed):
        bucket.blob("x").reload(if_etag_match=old)
    bucket.blob("x").download_as_bytes(if_etag_not_match=old)
