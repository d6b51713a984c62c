"""Each durable write of a runner that has lost its turn is refused, one by one."""

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from shared.agents import store
from shared.agents.flow import ResumeTurn
from shared.agents.loop.model_call import Answer
from shared.agents.protocol.model import Text, Usage
from shared.agents.store import LostTurn
from shared.agents.turn import lease as holds
from shared.agents.turn.journal import Entry
from shared.agents.turn.lease import Hold
from shared.agents.turns import service as turns
from shared.agents.turns.publisher import Publisher
from shared.agents.turns.runner import Work
from shared.agents.turns.service import Ask, Started
from shared.platform.errors import Unavailable
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from tests.shared.agents.playing import Scripted, agent, says

ENTRY = Entry("assistant", (Text("late"),))


@pytest.fixture
def lost(me: Any, session_id: str) -> Started:
    """A turn that its first owner has lost to another that is still at it."""
    started = turns.start(
        team=me.team, user=me.user, session_id=session_id, turn_id=new_id(), ask=Ask("mine?")
    )
    with pool.transaction(me.team) as tx:
        tx.run("UPDATE turns SET lease_until = bridge_lease_now() WHERE id = :id", id=started.turn.id)
        assert store.take_turn_over(tx, me.team, started.turn.id, new_id(), 60) == 2
    return started


@pytest.fixture
def work() -> Iterator[Callable[[Started], Work]]:
    """The desk of a runner; its publisher ends with the test, while the stores are there."""
    publishers: list[Publisher] = []

    def make(started: Started) -> Work:
        hold = started.hold
        assert hold is not None
        publishers.append(Publisher(started.turn.id, 1, live=None, superseded=lambda: None))
        return Work(started.turn, hold, publishers[-1])

    yield make
    for publisher in publishers:
        publisher.close()


def journal(started: Started) -> list[Any]:
    with pool.transaction(started.turn.team) as tx:
        return store.read_journal(tx, started.turn.team, started.turn.id)


def test_a_lost_turn_takes_no_journal_entry(lost: Started, work: Callable[[Started], Work]) -> None:
    """Neither an answer nor the results of tools."""
    with pytest.raises(LostTurn):
        work(lost).keep(ENTRY)
    with pytest.raises(LostTurn):
        work(lost).answered(Answer("scripted", "m", usage=Usage(output=3), stop="end_turn"), ENTRY)
    assert journal(lost) == []


def test_what_a_lost_turn_has_spent_is_on_the_bill(lost: Started, work: Callable[[Started], Work]) -> None:
    """Its answer is refused, its cost is not."""
    desk = work(lost)
    desk.free = frozenset({"scripted"})
    with pytest.raises(LostTurn):
        desk.answered(Answer("scripted", "m", usage=Usage(output=3), stop="end_turn"), ENTRY)
    with pool.transaction(lost.turn.team) as tx:
        row = tx.one(
            "SELECT output_tokens, cost_usd FROM model_calls WHERE turn_id = :turn", turn=lost.turn.id
        )
        total = tx.one("SELECT total_tokens FROM sessions WHERE id = :id", id=lost.turn.session_id)
    assert (row["output_tokens"], row["cost_usd"], total["total_tokens"]) == (3, Decimal(0), 3)


def test_a_lost_turn_can_neither_be_kept_nor_ended(lost: Started) -> None:
    """Beat, end and hand-back name the owner."""
    turn, hold = lost.turn, lost.hold
    assert hold is not None
    with pytest.raises(LostTurn):
        hold.mine()
    with pytest.raises(LostTurn), pool.transaction(turn.team) as tx:
        store.finish_turn(tx, turn.team, turn.id, hold.owner, "completed", new_id(), {})
    hold.release()
    with pool.transaction(turn.team) as tx:
        row = store.find_turn(tx, turn.id)
    assert row is not None
    assert (row["state"], row["epoch"]) == ("running", 2)
    assert row["lease_left"] > 50


def test_the_keeper_of_a_lost_lease_tells_its_runner(lost: Started) -> None:
    """At its next heartbeat."""
    hold = lost.hold
    assert hold is not None
    hold.keep()
    assert hold.lost.wait(60)
    with pytest.raises(LostTurn):
        hold.check()


def test_a_runner_that_has_lost_its_turn_hears_the_rest_from_the_other(me: Any, lost: Started) -> None:
    """Its client gets the events of the process that has the turn, up to the end."""
    with pool.transaction(me.team) as tx:
        tx.run("UPDATE turns SET lease_until = now() - interval '1 second' WHERE id = :id", id=lost.turn.id)
    turns.resume(
        ResumeTurn(team=me.team, turn=lost.turn.id), lambda _turn: agent(Scripted(says("from the other")))
    )
    events = [event for event in turns.stream(lost, lambda _turn: agent(Scripted(says("never")))) if event]
    text = "".join(
        event.data["text"] for event in events if event.event == "token" and int(str(event.id)) > 1_000_000
    )
    assert text == "from the other "
    assert events[-1].event == "complete"


def test_the_directory_out_of_reach_ends_the_hold_with_the_lease(
    me: Any, session_id: str, pass_time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner that can't keep its lease for as long as it lasts must assume that it has lost it.

    Once the directory is back and nobody has taken the turn, it has it again.
    """
    started = turns.start(
        team=me.team, user=me.user, session_id=session_id, turn_id=new_id(), ask=Ask("where is it?")
    )
    hold, real, asked = started.hold, Hold._renew, threading.Semaphore(0)
    back = threading.Event()
    assert hold is not None

    def away(self: Hold) -> bool:
        asked.release()
        if not back.is_set():
            raise Unavailable
        return real(self)

    monkeypatch.setattr(Hold, "_renew", away)
    hold.keep()
    for _ in range(3):
        pass_time(holds.TERMS.seconds / 4)
        asked.acquire()
    hold.check()
    pass_time(holds.TERMS.seconds / 2)
    with pytest.raises(LostTurn):
        hold.check()
    back.set()
    hold.check()
    hold.stop()


def test_a_process_that_hangs_past_its_deadline_lets_go_of_the_turn(
    me: Any, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is not kept for ever by a thread that knows nothing of the one that works."""
    monkeypatch.setattr(holds, "OVERDUE_SECONDS", 0.2)
    started = turns.start(
        team=me.team, user=me.user, session_id=session_id, turn_id=new_id(), ask=Ask("hang")
    )
    hold = started.hold
    assert hold is not None
    hold.deadline = 0.0
    hold.keep()
    assert hold.lost.wait(60)
