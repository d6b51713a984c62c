"""A heartbeat renews, tells its holder what it must know, and lets go in time."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from local.patience import until
from shared.platform.errors import Unavailable
from shared.platform.leases import heartbeat
from shared.platform.leases.contract import Terms
from shared.platform.leases.heartbeat import Heartbeat

TERMS = Terms(seconds=30.0, heartbeat=10.0, at_most=100.0)


class Renewals:
    """What the store answers, one after the other; it counts."""

    def __init__(self, *answers: Any) -> None:
        self._answers, self.count = list(answers), 0

    def __call__(self) -> bool:
        self.count += 1
        answer = self._answers.pop(0) if self._answers else True
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)


def beat(moved: Any, renewals: Renewals) -> None:
    """Let the time of one heartbeat pass, and wait for what it does."""
    before = renewals.count
    until(lambda: moved.asleep > 0, "the heartbeat waits")
    moved.forward(TERMS.heartbeat)
    until(lambda: renewals.count > before, "it renews")


def test_it_renews_while_the_block_lasts_and_not_after(moved: Any) -> None:
    """One renewal for each of its times."""
    renewals = Renewals()
    with Heartbeat(renewals, TERMS, "a test") as made:
        for _ in range(4):
            beat(moved, renewals)
        assert made.held
    until(lambda: moved.asleep == 0, "the thread ends")
    moved.forward(50)
    assert renewals.count == 4
    assert not made.lost.is_set()


def test_a_failure_is_logged_and_the_next_one_may_get_through(
    moved: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the store nobody else can take over either; only when the lease is over is it not sure any more."""
    renewals = Renewals(Unavailable("away"), RuntimeError("odd"), Unavailable("away"))
    with Heartbeat(renewals, TERMS, "a test") as made:
        beat(moved, renewals)
        assert made.held
        beat(moved, renewals)
        beat(moved, renewals)
        assert not made.held
        assert not made.lost.is_set()
        beat(moved, renewals)
        until(lambda: made.held, "it is renewed")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    failures = [(line["what"], line["error_type"]) for line in lines if line["severity"] == "ERROR"]
    assert failures == [("a test", "Unavailable"), ("a test", "RuntimeError"), ("a test", "Unavailable")]


def test_it_stops_where_somebody_else_has_the_lease(moved: Any) -> None:
    """The holder hears it by the event; nothing is renewed any more."""
    renewals = Renewals(True, False)
    with Heartbeat(renewals, TERMS, "a test") as made:
        beat(moved, renewals)
        beat(moved, renewals)
        assert made.lost.wait(60)
        until(lambda: moved.asleep == 0, "the thread ends")
        moved.forward(50)
    assert renewals.count == 2
    assert not made.held


def test_nobody_holds_for_longer_than_the_terms_say(moved: Any) -> None:
    """Who hangs lets go, and hears that it has to."""
    renewals = Renewals()
    with Heartbeat(renewals, TERMS, "a test") as made:
        until(lambda: moved.asleep > 0, "the heartbeat waits")
        moved.forward(TERMS.at_most)
        assert made.lost.wait(60)
    assert renewals.count == 0


def test_the_end_may_move_while_the_work_goes_on(moved: Any) -> None:
    """A turn learns its deadline after it has begun."""
    renewals, ends = Renewals(), [moved.seconds + 1000]
    with Heartbeat(renewals, TERMS, "a test", ends=lambda: ends[0]) as made:
        for _ in range(12):
            beat(moved, renewals)
        assert made.held
        ends[0] = moved.seconds + 5
        until(lambda: moved.asleep > 0, "the heartbeat waits")
        moved.forward(TERMS.heartbeat)
        assert made.lost.wait(60)


def test_a_holder_can_make_sure_at_once(moved: Any) -> None:
    """In its own thread: renewed, lost, or the store's own error."""
    made = Heartbeat(Renewals(True, Unavailable("away"), False), TERMS, "a test")
    moved.forward(TERMS.seconds)
    assert not made.held
    assert made.assure() is True
    assert made.held
    with pytest.raises(Unavailable):
        made.assure()
    assert made.held
    assert made.assure() is False
    assert (made.held, made.lost.is_set()) == (False, True)


def test_workers_that_begin_together_do_not_renew_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time between two beats varies, and is never longer than declared."""
    waits: list[float] = []
    over = threading.Event()

    def wait(_event: threading.Event, seconds: float) -> bool:
        waits.append(seconds)
        over.set()
        return len(waits) >= 40

    monkeypatch.setattr(heartbeat.clock, "wait", wait)
    Heartbeat(lambda: True, TERMS, "a test")._beat()
    assert len(set(waits)) == 40
    assert max(waits) <= TERMS.heartbeat
    assert min(waits) >= TERMS.heartbeat * (1 - heartbeat.JITTER)


@pytest.mark.parametrize("seconds", [(30.0, 11.0), (30.0, 0.0), (0.0, 0.0)], ids=str)
def test_terms_leave_room_for_a_beat_that_fails(seconds: tuple[float, float]) -> None:
    """Three beats within a lease at the least."""
    with pytest.raises(ValueError, match="can't be kept"):
        Terms(*seconds, at_most=60.0)
