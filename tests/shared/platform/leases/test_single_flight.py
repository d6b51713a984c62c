"""Callers that want the same result: one computes it, each waits for as long as it has time itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import pytest

from shared.platform import clock, deadline
from shared.platform.errors import BadInput, DeadlineExceeded, Unavailable
from shared.platform.leases import single_flight
from shared.platform.leases.single_flight import Done, Flight, Later, NotInTime

N = 8


class Crash(BaseException):
    """The process of the leader died here."""


@pytest.fixture
def workers() -> Any:
    with ThreadPoolExecutor(N) as made:
        yield made


class Timer(Protocol):
    """A clock of a test."""

    @property
    def seconds(self) -> float: ...


def lasting(timer: Timer, seconds: float) -> Callable[[], float]:
    """What a caller has left that came just now with so much time."""
    end = timer.seconds + seconds
    return lambda: end - timer.seconds


class Work:
    """An attempt that can be held up, and that counts."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes, self.attempts = list(outcomes), 0
        self.begun, self.goes_on = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self) -> Any:
        self.attempts += 1
        self.begun.release()
        self.goes_on.acquire()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def join(
    workers: ThreadPoolExecutor, flight: Flight[Any], moved: Any, work: Any, times: list[float]
) -> list[Future[Any]]:
    """Callers that come one after the other while the first one is at work, each with its own time."""
    callers = []
    for number, seconds in enumerate(times):
        callers.append(workers.submit(flight.run, "key", work, remaining=lasting(moved, seconds)))
        if number == 0:
            work.begun.acquire()
        else:
            while moved.asleep < number:
                pass
    return callers


def test_one_computes_and_the_others_get_the_same(workers: Any, moved: Any) -> None:
    """Who computed it knows that it did."""
    flight, work = Flight[Any](), Work(Done("result"))
    callers = join(workers, flight, moved, work, [60.0] * N)
    work.goes_on.release()
    outcomes = [caller.result() for caller in callers]
    assert [outcome.value for outcome in outcomes] == ["result"] * N
    assert [outcome.led for outcome in outcomes] == [True] + [False] * (N - 1)
    assert work.attempts == 1


def test_what_has_ended_is_not_remembered(workers: Any, moved: Any) -> None:
    """A flight is no cache: the next caller makes an attempt of its own, under its key and under others."""
    flight = Flight[Any]()
    seen = [flight.run(key, lambda: Done(key), remaining=lasting(moved, 9)).value for key in ("a", "b", "a")]  # noqa: B023
    assert seen == ["a", "b", "a"]
    assert flight._going == {}


def test_an_error_of_the_work_is_everybodys(workers: Any, moved: Any) -> None:
    """It would meet each of them: it is raised for all of them, after one attempt."""
    flight, work = Flight[Any](), Work(BadInput("no"))
    callers = join(workers, flight, moved, work, [60.0] * 4)
    work.goes_on.release()
    assert [type(caller.exception()) for caller in callers] == [BadInput] * 4
    assert work.attempts == 1


def test_where_errors_are_the_callers_own_the_next_one_tries(workers: Any, moved: Any) -> None:
    """One after the other, never two at once."""
    flight = Flight[Any](shares=lambda _error: False)
    work = Work(BadInput("mine"), Unavailable("mine too"), Done("result"))
    callers = join(workers, flight, moved, work, [60.0] * 3)
    for _ in range(3):
        work.goes_on.release()
    told = [caller.exception() or caller.result().value for caller in callers]
    assert sorted(type(one).__name__ for one in told) == ["BadInput", "Unavailable", "str"]
    assert work.attempts == 3


@pytest.mark.parametrize("error", [DeadlineExceeded(), deadline.TimeIsOver(), NotInTime()], ids=repr)
def test_an_error_of_the_leaders_deadline_is_nobody_elses(workers: Any, moved: Any, error: Any) -> None:
    """The next caller has more time, and leads."""
    flight, work = Flight[Any](), Work(error, Done("in time"))
    callers = join(workers, flight, moved, work, [5.0, 60.0, 60.0])
    work.goes_on.release(2)
    assert callers[0].exception() is error
    assert [caller.result().value for caller in callers[1:]] == ["in time"] * 2
    assert work.attempts == 2


def test_a_store_that_is_cut_off_by_the_leaders_time_fails_the_leader_alone(workers: Any, moved: Any) -> None:
    """The client of a store gets no more time than its caller has: such an error says nothing about the store."""
    flight, work = Flight[Any](), Work(Unavailable("cut off"), Done("in time"))
    callers = join(workers, flight, moved, work, [5.0, 60.0])
    moved.forward(5)
    work.goes_on.release(2)
    assert isinstance(callers[0].exception(), Unavailable)
    assert callers[1].result().value == "in time"


def test_a_result_of_one_caller_alone_is_not_given_to_others(workers: Any, moved: Any) -> None:
    """Such as an answer that lacks what its caller's time did not suffice for."""
    flight, work = Flight[Any](), Work(Done("half", shared=False), Done("whole"))
    callers = join(workers, flight, moved, work, [5.0, 60.0, 60.0])
    work.goes_on.release(2)
    assert [caller.result().value for caller in callers] == ["half", "whole", "whole"]


def test_a_leader_that_dies_is_followed_by_the_next(workers: Any, moved: Any) -> None:
    """Whatever ends it: nobody waits for a leader that is gone."""
    flight, work = Flight[Any](), Work(Crash(), Done("after all"))
    callers = join(workers, flight, moved, work, [60.0, 60.0])
    work.goes_on.release(2)
    assert isinstance(callers[0].exception(), Crash)
    assert callers[1].result().value == "after all"


def test_each_waits_for_as_long_as_it_has_time_itself(workers: Any, moved: Any) -> None:
    """A follower with less time than its leader leaves earlier; the leader goes on."""
    flight, work = Flight[Any](), Work(Done("late"))
    callers = join(workers, flight, moved, work, [600.0, 10.0, 600.0])
    moved.forward(10)
    assert isinstance(callers[1].exception(), NotInTime)
    assert not callers[0].done()
    work.goes_on.release()
    assert [callers[0].result().value, callers[2].result().value] == ["late", "late"]
    assert flight._going == {}


def test_nothing_is_left_of_a_caller_that_goes_just_as_its_leader_does(moved: Any) -> None:
    """The leader leaves it an attempt that it has no time to make: the next caller begins anew."""
    flight = Flight[Any]()
    going, leads = flight._join("key")
    waited_for, also_leads = flight._join("key")
    assert (waited_for, leads, also_leads) == (going, True, False)
    with pytest.raises(NotInTime):
        flight._lead("key", going, lambda: Later(60), lambda: 0.0)
    assert flight._going["key"] is going.next
    flight._leave("key", waited_for)
    assert flight._going == {}
    assert flight.run("key", lambda: Done("anew"), remaining=lambda: 60.0).led


class Held:
    """Somebody else holds the lease for a while."""

    def __init__(self, timer: Timer, seconds: float) -> None:
        self._left = lasting(timer, seconds)
        self.looks = 0

    def __call__(self) -> Done[str] | Later:
        self.looks += 1
        left = self._left()
        return Later(left) if left > 0 else Done("taken over")


class Paced:
    """A clock that only sleeping moves, and that keeps for how long it was slept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        monkeypatch.setattr(single_flight.clock, "sleep", self.slept.append)
        monkeypatch.setattr(clock, "monotonic", lambda: self.seconds)

    @property
    def seconds(self) -> float:
        return 1000.0 + sum(self.slept)


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> Paced:
    return Paced(monkeypatch)


def test_a_long_wait_costs_few_looks_and_ends_with_the_lease(paced: Paced) -> None:
    """Pauses grow to half a second; the last one is no longer than the lease lasts."""
    held = Held(paced, 60.0)
    assert Flight[str]().run("key", held, remaining=lasting(paced, 600.0)).value == "taken over"
    assert 60.0 <= sum(paced.slept) <= 60.0 + 0.5
    assert held.looks <= 60 / (single_flight.LONGEST_PAUSE_SECONDS / 2) + 20
    assert paced.slept[0] <= single_flight.FIRST_PAUSE_SECONDS
    assert max(paced.slept) <= single_flight.LONGEST_PAUSE_SECONDS


def test_who_waits_in_vain_leaves_with_its_own_time(paced: Paced) -> None:
    """And not when the lease ends."""
    with pytest.raises(NotInTime):
        Flight[str]().run("key", Held(paced, 600.0), remaining=lasting(paced, 7.0))
    assert 6.99 <= sum(paced.slept) <= 7.5


def test_instances_that_begin_to_wait_together_do_not_look_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their pauses are scattered."""
    sums = set()
    for _ in range(8):
        paced = Paced(monkeypatch)
        Flight[str]().run("key", Held(paced, 5.0), remaining=lasting(paced, 600.0))
        sums.add(tuple(round(pause, 6) for pause in paced.slept[:4]))
    assert len(sums) == 8
