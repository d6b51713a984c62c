"""The fenced event stream of the platform, over a real Firestore."""

import threading
from typing import Any

import pytest

from shared.platform.cloud import event_stream
from shared.platform.cloud.event_stream import Superseded, Writer
from shared.platform.ids import new_id

pytestmark = pytest.mark.usefixtures("ground")


def everything(name: str, first: int = 0) -> list[Any]:
    return [event for batch in event_stream.read(name, first) for event in batch]


def test_what_is_appended_is_read_in_order() -> None:
    """Over more batches than one read asks for, with nested values that Firestore itself would refuse."""
    name = new_id()
    writer = Writer(name, 1)
    for number in range(50):
        writer.append([[number, [[1], []]], {"n": number}])
    assert everything(name) == [item for n in range(50) for item in ([n, [[1], []]], {"n": n})]
    assert len(everything(name, 49)) == 2
    assert everything(name, 50) == []


def test_an_older_writer_finds_out() -> None:
    """After a takeover the first writer can neither append nor come back."""
    name = new_id()
    old = Writer(name, 1)
    old.append(["a"])
    new = Writer(name, 2)
    new.append(["b"])
    with pytest.raises(Superseded):
        old.append(["zombie"])
    for fence in (1, 2):
        with pytest.raises(Superseded):
            Writer(name, fence)
    new.append(["c"])
    assert everything(name) == ["a", "b", "c"]


def test_a_stream_that_was_opened_without_its_writers_knowing_is_its_own() -> None:
    """The answer was lost: the repetition goes on with it, and nobody else of the same fence does."""
    name = new_id()
    Writer(name, 1, "first")
    again = Writer(name, 1, "first")
    again.append(["heard"])
    with pytest.raises(Superseded):
        Writer(name, 1, "second")
    again.append(["still here"])
    assert everything(name) == ["heard", "still here"]


def test_of_many_writers_with_growing_fences_the_last_one_stays() -> None:
    """Sixteen take the stream over at once; at the end only the greatest fence writes."""
    name, barrier, alive = new_id(), threading.Barrier(16), list[tuple[int, Writer]]()

    def take(fence: int) -> None:
        barrier.wait()
        try:
            alive.append((fence, Writer(name, fence)))
        except Superseded:
            return

    threads = [threading.Thread(target=take, args=(fence,)) for fence in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fence, writer in sorted(alive, key=lambda pair: pair[0]):
        if fence == 16:
            writer.append(["the last"])
        else:
            with pytest.raises(Superseded):
                writer.append([f"late {fence}"])
    assert everything(name) == ["the last"]


def test_an_answer_that_was_lost_is_not_a_lost_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit arrived but its answer did not: repeating it is recognised, and nothing stands twice."""
    name = new_id()
    writer = Writer(name, 1)
    writer.append(["a"])
    stamp, batches = writer._stamp, writer._batches
    writer.append(["b"])
    writer._stamp, writer._batches = stamp, batches
    writer.append(["b"])
    writer.append(["c"])
    assert everything(name) == ["a", "b", "c"]


def test_events_larger_than_a_document_are_spread() -> None:
    """Each document stays below the limit of one mebibyte."""
    name = new_id()
    Writer(name, 1).append([f"{n}" + "é" * 150_000 for n in range(6)])
    assert [event[0] for event in everything(name)] == list("012345")
    assert len(list(event_stream.read(name, 0))) == 3
