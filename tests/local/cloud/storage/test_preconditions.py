"""The precondition on every call that takes it, and its exactness when many race."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core.exceptions import GoogleAPICallError, NotFound, PreconditionFailed
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


G = "generation"
WRITES = [
    ({"if_generation_match": 0}, PreconditionFailed),
    ({"if_generation_match": 1}, PreconditionFailed),
    ({"if_generation_match": G}, None),
]


CALLS = ["upload", "resumable", "delete", "compose"]


@pytest.mark.parametrize(
    ("call", "conditions", "expected"), [(call, *write) for call in CALLS for write in WRITES], ids=str
)
def test_a_write_happens_only_if_its_conditions_hold(
    bucket: storage.Bucket,
    blob: storage.Blob,
    call: str,
    conditions: dict[str, int | str],
    expected: type[GoogleAPICallError] | None,
) -> None:
    """On every kind of write: 412 and nothing changed, or done."""
    given = {k: {G: blob.generation}.get(v, v) for k, v in conditions.items()}
    target = bucket.blob("x")
    source = bucket.blob("source")
    source.upload_from_string("second")
    attempts: dict[str, Callable[..., object]] = {
        "upload": lambda **c: target.upload_from_string("second", **c),
        "resumable": lambda **c: bucket.blob("x", chunk_size=256 * 1024).upload_from_string("second", **c),
        "delete": target.delete,
        "compose": lambda **c: target.compose([source], **c),
    }
    check(expected, attempts[call], **given)
    if expected is not None:
        unchanged = bucket.get_blob("x")
        assert unchanged.generation == blob.generation
        assert unchanged.download_as_bytes() == b"first"


def test_conditions_on_a_missing_object(bucket: storage.Bucket) -> None:
    """An expected generation of what isn't there fails; generation 0 holds; a delete is 404."""
    blob = bucket.blob("x")
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string("x", if_generation_match=7)
    with pytest.raises(NotFound):
        bucket.blob("x").delete(if_generation_match=7)
    blob.upload_from_string("x", if_generation_match=0)
