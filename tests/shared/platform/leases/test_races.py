"""One suite of races for every place where a lease is kept: Firestore, and each table of the directory with some."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from shared.platform.ids import new_id
from shared.platform.leases.contract import Lease, Slot, Terms
from shared.platform.leases.heartbeat import Heartbeat
from shared.platform.leases.holding import holding
from tests.shared.platform.leases.backends import BACKENDS, Backend

pytestmark = [pytest.mark.slow]

SECONDS = 600.0
"""How long leases last here: longer than any machine stalls, so that only a moved clock ends them."""
N = 16


@pytest.fixture(params=BACKENDS, ids=lambda make: make.__name__.removeprefix("of_"))
def backend(request: pytest.FixtureRequest, cloud: Any) -> Backend:
    return request.param(cloud)  # type: ignore[no-any-return]


@pytest.fixture
def slot(backend: Backend) -> Slot:
    return backend.slot


def taken(slot: Slot, seconds: float = SECONDS) -> Lease:
    lease = slot.take(seconds)
    assert lease is not None
    return lease


def at_once(work: Callable[[], Any]) -> list[Any]:
    """What sixteen workers get that begin at one moment."""
    barrier = threading.Barrier(N)

    def begin(_number: int) -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(N) as workers:
        return list(workers.map(begin, range(N)))


def test_of_many_takers_one_holds(slot: Slot) -> None:
    """The others hear that somebody has it, and for how long yet."""
    assert slot.left() == 0
    leases = [lease for lease in at_once(lambda: slot.take(SECONDS)) if lease is not None]
    assert len(leases) == 1
    assert 0 < slot.left() <= SECONDS
    assert slot.take(SECONDS) is None


def test_what_a_dead_holder_had_is_free_after_its_lease_and_not_before(slot: Slot, pass_time: Any) -> None:
    """Of those that wait for its end exactly one takes over."""
    dead = taken(slot)
    pass_time(SECONDS - 60)
    assert slot.take(SECONDS) is None
    pass_time(60)
    assert slot.left() == 0
    heirs = [lease for lease in at_once(lambda: slot.take(SECONDS)) if lease is not None]
    assert len(heirs) == 1
    assert heirs[0].fence > dead.fence


def test_a_stalled_holder_that_wakes_up_late_changes_nothing(slot: Slot, pass_time: Any) -> None:
    """Another has taken over meanwhile: it can neither renew nor give back what is not its own any more."""
    stalled = taken(slot)
    pass_time(SECONDS)
    heir = taken(slot)
    assert heir.owner != stalled.owner
    assert heir.fence > stalled.fence
    pass_time(SECONDS / 2)
    assert slot.renew(stalled, SECONDS) is False
    assert slot.left() <= SECONDS / 2
    assert slot.release(stalled) is False
    assert slot.take(SECONDS) is None
    assert slot.renew(heir, SECONDS) is True
    assert slot.left() > SECONDS / 2


def test_only_the_holder_can_give_it_back(slot: Slot) -> None:
    """A token that somebody made up is nobody's."""
    lease = taken(slot)
    stranger = replace(lease, owner=new_id())
    assert slot.release(stranger) is False
    assert slot.renew(stranger, SECONDS) is False
    assert slot.take(SECONDS) is None
    assert slot.release(lease) is True
    assert slot.left() == 0
    assert slot.take(SECONDS) is not None


def test_a_renewal_that_comes_after_the_release_gives_nothing_back(slot: Slot) -> None:
    """A heartbeat may be on its way while the worker gives the lease back: the slot stays free."""
    lease = taken(slot)
    assert slot.release(lease) is True
    assert slot.renew(lease, SECONDS) is False
    assert slot.release(lease) is False
    assert slot.take(SECONDS) is not None


def test_a_lease_that_has_ended_can_be_renewed_while_nobody_has_taken_it(slot: Slot, pass_time: Any) -> None:
    """A store that was away for longer than the lease takes nothing from its holder when it is back."""
    lease = taken(slot)
    pass_time(SECONDS * 2)
    assert slot.renew(lease, SECONDS) is True
    assert slot.take(SECONDS) is None


def test_the_fencing_token_grows_whatever_becomes_of_a_lease(backend: Backend, pass_time: Any) -> None:
    """Released, ended, deleted with all that was known of it: a later holder's is greater than all before."""
    slot = backend.slot
    fences: list[int] = []
    for round in range(9):
        lease = taken(slot)
        fences.append(lease.fence)
        match round % 3:
            case 0:
                slot.release(lease)
            case 1:
                pass_time(SECONDS)
            case 2:
                backend.vanish()
    assert fences == sorted(set(fences))


@pytest.mark.parametrize("step", [3600, -3600], ids=["forward", "back"])
def test_a_clock_that_is_set_moves_no_lease(slot: Slot, pass_time: Any, step: float) -> None:
    """Of two instances whose clocks are an hour apart neither takes what the other holds, nor holds it too long."""
    held = taken(slot)
    pass_time.step(step)
    assert slot.take(SECONDS) is None
    assert SECONDS - 60 < slot.left() <= SECONDS
    assert slot.renew(held, SECONDS) is True
    pass_time.step(-2 * step)
    assert slot.take(SECONDS) is None
    pass_time(SECONDS)
    heir = taken(slot)
    assert heir.fence > held.fence
    pass_time.step(step)
    assert SECONDS - 60 < slot.left() <= SECONDS


def test_a_heartbeat_keeps_a_lease_for_as_long_as_its_holder_works(slot: Slot, pass_time: Any) -> None:
    """Ten times its length; of a holder that stops it is free after one length."""
    terms = Terms(seconds=SECONDS, heartbeat=SECONDS / 6, at_most=SECONDS * 100)
    lease = taken(slot)
    with Heartbeat(lambda: slot.renew(lease, SECONDS), terms, "a race") as heartbeat:
        for _ in range(20):
            pass_time(SECONDS / 2)
            while slot.left() <= SECONDS / 2:
                pass
        assert slot.take(SECONDS) is None
        assert heartbeat.held
    pass_time(SECONDS)
    assert slot.take(SECONDS) is not None


def test_a_holder_hears_that_its_lease_is_lost(slot: Slot, pass_time: Any) -> None:
    """By an event, at the next beat; what it does then is its own affair, and the slot is the other's."""
    terms = Terms(seconds=SECONDS, heartbeat=SECONDS / 6, at_most=SECONDS * 100)
    lease = taken(slot)
    slot.release(lease)
    heir = taken(slot)
    with Heartbeat(lambda: slot.renew(lease, SECONDS), terms, "a race") as heartbeat:
        while not heartbeat.lost.is_set():
            pass_time(terms.heartbeat)
    assert not heartbeat.held
    assert slot.release(heir) is True


def test_what_is_held_for_a_block_is_free_after_it(slot: Slot) -> None:
    """Also when the block fails; who comes meanwhile gets nothing."""
    terms = Terms(seconds=SECONDS, heartbeat=SECONDS / 6, at_most=SECONDS)
    with pytest.raises(ZeroDivisionError), holding(slot, terms, "a race") as lease:
        assert lease is not None
        with holding(slot, terms, "a race") as second:
            assert second is None
        raise ZeroDivisionError
    with holding(slot, terms, "a race") as again:
        assert again is not None
        assert again.fence > lease.fence


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_one_holds_and_tokens_grow(backend: Backend, pass_time: Any, seed: int) -> None:
    """Three workers take, renew, release, stall and die at random: the last taker alone can renew."""
    slot, dice = backend.slot, random.Random(seed)
    last: Lease | None = None
    hands: dict[int, Lease] = {}
    for _ in range(40):
        worker = dice.randrange(3)
        mine = hands.get(worker)
        match dice.choice(["take", "take", "renew", "release", "die", "pass"]):
            case "take":
                free = slot.left() == 0
                lease = slot.take(SECONDS)
                assert (lease is not None) == free
                if lease is not None:
                    assert last is None or lease.fence > last.fence
                    last = hands[worker] = lease
            case "renew" if mine is not None:
                assert slot.renew(mine, SECONDS) == (mine is last)
            case "release" if mine is not None:
                assert slot.release(mine) == (mine is last)
                if mine is last:
                    # A released lease is nobody's, also not that of who had it.
                    hands.pop(worker)
                    last = replace(mine, owner=new_id())
            case "die":
                hands.pop(worker, None)
            case "pass":
                pass_time(dice.choice([SECONDS / 3, SECONDS]))
