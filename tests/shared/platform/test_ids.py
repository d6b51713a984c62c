"""Identifiers: unique, well formed, and in the order of their making."""

import threading
import time
from typing import Any, Literal
from uuid import UUID

import pytest

from shared.platform.edge import Call
from shared.platform.edge.auth import Principal
from shared.platform.ids import TeamId, UserId, derived_id, is_id, new_id


def test_ids_are_version_7_and_tell_when_they_were_made() -> None:
    """RFC 9562: version 7, variant 10, the first 48 bits are milliseconds since 1970."""
    before = time.time_ns() // 1_000_000
    made = UUID(new_id())
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    # The clock may step back between the two readings; an id may then be ahead of it, but not behind.
    assert before - 1000 <= made.int >> 80 <= max(before, after) + 1000
    assert is_id(str(made))


def test_ids_sort_in_the_order_in_which_they_were_made() -> None:
    """Also those of one millisecond: rows of one transaction are listed by them."""
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_go_on_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set back by an hour does not put the new before the old."""
    first = new_id()
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600_000_000_000)
    made = [first, *(new_id() for _ in range(100))]
    assert made == sorted(made)


def test_threads_never_get_the_same_id() -> None:
    """Eight threads at once: every id once, and each thread's own in order."""
    found: list[list[str]] = [[] for _ in range(8)]

    def make(own: list[str]) -> None:
        own.extend(new_id() for _ in range(2_000))

    threads = [threading.Thread(target=make, args=(own,)) for own in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id for own in found for id in own}) == 16_000
    assert all(own == sorted(own) for own in found)


def test_a_derived_id_is_the_same_each_time_and_tells_its_parts_apart() -> None:
    """What a repeated request creates meets what the first one created."""
    assert derived_id("a", "b", at_ms=5) == derived_id("a", "b", at_ms=5)
    assert derived_id("a", "b") != derived_id("ab")
    assert UUID(derived_id("a", at_ms=1_700_000_000_000)).int >> 80 == 1_700_000_000_000
    assert UUID(derived_id("a")).version == 7


def test_ids_of_a_repeated_request_belong_to_the_reach_of_its_credential() -> None:
    """The same person, function and key: a token that may less never meets what one that may more has made."""

    def first(kind: Literal["session", "token"], scopes: tuple[str, ...], only: str | None) -> str:
        confined = None if only is None else TeamId(only)
        who = Principal(UserId("u"), "a@example.com", "A", scopes, {}, "c", kind, only_team=confined)
        call = Call("POST", {}, {}, "c", 0.0, principal=who, idempotency_key="k", key_created_ms=5, route="r")
        return call.new_id()

    reaches: list[Any] = [
        ("session", ("full",), None),
        ("token", ("full",), None),
        ("token", ("write",), None),
        ("token", ("full",), "t1"),
        ("token", ("full",), "t2"),
    ]
    assert len({first(*reach) for reach in reaches}) == len(reaches)
    assert first("token", ("read", "write"), None) == first("token", ("write",), None)
