"""The time of the product, and the clock that tests move."""

import threading
from datetime import UTC, datetime, timedelta

from shared.platform import clock
from tests.moved_clock import MovedClock, moved_clock

HOUR = 3600.0


def _asleep(moved: MovedClock, many: int) -> None:
    while moved.asleep < many:
        pass


def test_time_that_passes_is_seen_by_dates_and_durations(moved: MovedClock) -> None:
    """And by what servers tell: the lease of a dead worker has ended everywhere."""
    before, counted = clock.now(), clock.monotonic()
    told = datetime(2024, 5, 1, tzinfo=UTC)
    moved.forward(HOUR)
    assert clock.now() - before >= timedelta(seconds=HOUR)
    assert clock.monotonic() - counted >= HOUR
    assert clock.of_server(told) == told + timedelta(seconds=HOUR)


def test_a_clock_that_is_set_back_changes_dates_alone(moved: MovedClock) -> None:
    """Durations go on growing, and servers have clocks of their own."""
    before, counted = clock.epoch(), clock.monotonic()
    told = datetime(2024, 5, 1, tzinfo=UTC)
    moved.step(-HOUR)
    assert clock.epoch() < before
    assert clock.monotonic() >= counted
    assert clock.of_server(told) == told


def test_who_sleeps_wakes_up_when_its_time_has_been_moved_on(moved: MovedClock) -> None:
    """A day's sleep ends with the day, whoever makes it pass; half of it is not enough."""
    slept, waited = threading.Event(), list[bool]()

    def sleep() -> None:
        clock.sleep(24 * HOUR)
        slept.set()

    sleeper = threading.Thread(target=sleep)
    waiter = threading.Thread(target=lambda: waited.append(clock.wait(threading.Event(), 24 * HOUR)))
    for thread in (sleeper, waiter):
        thread.start()
    _asleep(moved, 2)
    moved.forward(12 * HOUR)
    _asleep(moved, 2)
    assert not slept.is_set()
    moved.forward(12 * HOUR)
    for thread in (sleeper, waiter):
        thread.join()
    assert (slept.is_set(), waited) == (True, [False])


def test_who_waits_for_an_event_hears_it_at_once(moved: MovedClock) -> None:
    """The answer says that it is set, and no time had to pass."""
    event, waited = threading.Event(), list[bool]()
    waiter = threading.Thread(target=lambda: waited.append(clock.wait(event)))
    waiter.start()
    _asleep(moved, 1)
    event.set()
    waiter.join()
    assert waited == [True]


def test_what_the_directory_holds_is_aged_with_the_clock(moved: MovedClock) -> None:
    """Who knows tables with leases is told of each leap; of a clock that was merely set it is not."""
    heard: list[float] = []
    moved.agers.append(heard.append)
    moved.forward(15)
    moved.step(99)
    assert heard == [15]


def test_the_machines_clock_is_back_afterwards() -> None:
    """Also for threads that go on."""
    with moved_clock() as made:
        made.forward(HOUR)
        ahead = clock.epoch()
    assert clock.epoch() < ahead
    event = threading.Event()
    assert clock.wait(event, 0) is False
    event.set()
    assert clock.wait(event) is True
    assert clock.of_server(clock.now()) <= clock.now()
