"""The message log over a real store: appends that can't be lost, doubled or made slow by length."""

import threading
from typing import Any

import pytest

from shared.agents.conversation import log
from shared.platform.cloud import objects
from shared.platform.ids import new_id

pytestmark = pytest.mark.usefixtures("ground")


def line(role: str, text: str, turn_id: str) -> dict[str, Any]:
    return {
        "id": new_id(), "turn_id": turn_id, "role": role, "created_at": "2026-01-01T00:00:00.000Z",
        "text": text, "content": [{"type": "text", "text": text}],
    }  # fmt: skip


def add(session: str, text: str, *, chunk: int = 1, turn: str | None = None) -> int:
    turn = turn or new_id()
    return log.append(session, turn, [line("user", text, turn), line("assistant", text, turn)], chunk=chunk)


def texts(session: str, chunk: int = 1, **options: Any) -> list[str]:
    options.setdefault("limit", 1000)
    return [found["text"] for found in log.newest(session, chunk, **options).lines]


def test_a_repeated_append_adds_nothing() -> None:
    """The same turn id, three times: its lines stand once."""
    session, turn = new_id(), new_id()
    for _ in range(3):
        add(session, "once", turn=turn)
    assert texts(session) == ["once", "once"]


def test_writers_at_the_same_time_lose_nothing() -> None:
    """Eight threads append eight turns each to one chunk; all 128 lines are there, each turn together."""
    session, barrier = new_id(), threading.Barrier(8)

    def write(name: int) -> None:
        barrier.wait()
        for number in range(8):
            add(session, f"{name}-{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = texts(session)
    assert sorted(found) == sorted([f"{name}-{number}" for name in range(8) for number in range(8)] * 2)
    assert all(found[at] == found[at + 1] for at in range(0, len(found), 2))


def test_a_full_chunk_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of messages a new chunk begins, and an old pointer still finds it."""
    monkeypatch.setattr(log, "MOST_MESSAGES", 4)
    session = new_id()
    chunks = [add(session, str(number)) for number in range(5)]
    assert chunks == [1, 1, 2, 2, 3]
    assert texts(session, 3) == [str(number) for number in (4, 4, 3, 3, 2, 2, 1, 1, 0, 0)]


def test_a_chunk_is_full_at_ten_thousand_tokens() -> None:
    """One long turn closes its chunk for the next."""
    session = new_id()
    assert [add(session, "x" * 25_000), add(session, "y")] == [1, 2]


def test_a_repeat_is_found_behind_a_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The repetition starts at the pointer that the turn knew, and meets itself in a later chunk."""
    monkeypatch.setattr(log, "MOST_MESSAGES", 2)
    session, turn = new_id(), new_id()
    add(session, "a")
    assert add(session, "b", turn=turn) == 2
    assert add(session, "b", turn=turn) == 2
    assert texts(session, 2) == ["b", "b", "a", "a"]


def test_pages_run_from_the_newest_back_over_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit and offset count lines across chunks, with and without a role."""
    monkeypatch.setattr(log, "MOST_MESSAGES", 4)
    session = new_id()
    for number in range(5):
        add(session, str(number))
    every = [str(number) for number in (4, 4, 3, 3, 2, 2, 1, 1, 0, 0)]
    for offset in range(11):
        assert texts(session, 3, limit=3, offset=offset) == every[offset : offset + 3]
    assert texts(session, 3, limit=2, offset=2, role="user") == ["2", "1"]


def test_a_missing_chunk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is answered, and the answer says what is missing."""
    monkeypatch.setattr(log, "MOST_MESSAGES", 2)
    session = new_id()
    for text in "abc":
        add(session, text)
    objects.delete("sessions", log.chunk_name(session, 2))
    page = log.newest(session, 3, limit=100)
    assert [found["text"] for found in page.lines] == ["c", "c", "a", "a"]
    assert [warning["code"] for warning in page.warnings] == ["MESSAGES_MISSING"]
    assert "messages-0002.jsonl" in page.warnings[0]["message"]


def test_a_damaged_line_is_a_warning() -> None:
    """One unreadable line does not take the others along."""
    session = new_id()
    add(session, "good")
    data, stored = objects.get("sessions", log.chunk_name(session, 1))
    objects.put("sessions", stored.name, data + b'{"half\n', if_generation=stored.generation)
    page = log.newest(session, 1, limit=10)
    assert [found["text"] for found in page.lines] == ["good", "good"]
    assert page.warnings[0]["code"] == "MESSAGE_UNREADABLE"


def test_a_writer_that_lost_its_turn_appends_nothing() -> None:
    """`still_mine` is asked before the chunk is touched."""

    def lost() -> None:
        raise RuntimeError("lost")

    session = new_id()
    with pytest.raises(RuntimeError):
        log.append(session, new_id(), [line("user", "late", "t")], chunk=1, still_mine=lost)
    assert texts(session) == []
