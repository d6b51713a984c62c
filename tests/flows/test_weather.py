"""Every chain, in every weather, ends in the same state as in calm weather."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.flows.chains import CHAINS, Chain, Outcome, pretty
from tests.flows.conftest import Doomed
from tests.flows.post import Delivery, Post

pytestmark = pytest.mark.stack

MOST_EFFECTS = 40
Weather = Callable[[Post, Doomed, list[Delivery]], None]


def calm(post: Post, _doomed: Doomed, waiting: list[Delivery]) -> None:
    """Each once, in order."""
    for item in waiting:
        post.settle(item)


def twice(post: Post, _doomed: Doomed, waiting: list[Delivery]) -> None:
    """Each twice in a row."""
    for item in waiting:
        post.settle(item)
        assert post.deliver(item) < 300


def in_parallel(post: Post, _doomed: Doomed, waiting: list[Delivery]) -> None:
    """All at the same moment and each of them by two workers; who loses comes again."""
    post.together([*waiting, *waiting])
    for item in waiting:
        post.settle(item)


def backwards(post: Post, _doomed: Doomed, waiting: list[Delivery]) -> None:
    """The last one first, and all of them again from the front."""
    for item in [*reversed(waiting), *waiting]:
        post.settle(item)


def both_last(post: Post, _doomed: Doomed, waiting: list[Delivery]) -> None:
    """The two that come last come at the same moment."""
    for item in waiting[:-2]:
        post.settle(item)
    post.together(waiting[-2:])
    for item in waiting[-2:]:
        post.settle(item)


def stalled(post: Post, doomed: Doomed, waiting: list[Delivery]) -> None:
    """A worker falls asleep with the step in hand, another one does the step, the sleeper finishes last."""
    for item in waiting:
        sleeper = doomed.sleep(item, after=1)
        post.end_leases()
        post.settle(item)
        if sleeper is not None:
            doomed.wake(sleeper)


def crashing(post: Post, doomed: Doomed, waiting: list[Delivery]) -> None:
    """The worker dies after its first effect, the next one after its second, and so on to the end."""
    for item in waiting:
        # Each of the first effects, then every third: what is far into a step repeats itself.
        for effects in (*range(1, 7), *range(9, MOST_EFFECTS, 3)):
            post.end_leases()
            status = doomed.die(item, after=effects)
            if status is not None and status < 300:
                break
        else:
            raise AssertionError(f"{item} has more than {MOST_EFFECTS} effects")


WEATHERS: list[Weather] = [calm, twice, in_parallel, backwards, both_last, stalled, crashing]
_calm_outcomes: dict[str, Outcome] = {}


def run(chain: Chain, weather: Weather, world: Any, post: Post, doomed: Doomed) -> Outcome:
    """The chain from its door to its end, every delivery by hand and then once more by the dispatcher."""
    prepared = chain.prepare(world, post)
    with post.held():
        begun = chain.begin(world, post, prepared)
        rounds = 0
        while waiting := post.new():
            weather(post, doomed, waiting)
            rounds += 1
            assert rounds < 20, f"the chain does not end: {waiting}"
    return chain.outcome(world, post, prepared, begun)


@pytest.mark.parametrize("weather", WEATHERS, ids=lambda weather: weather.__name__)
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_a_chain_ends_the_same_in_every_weather(
    chain: Chain, weather: Weather, world: Any, post: Post, doomed: Doomed
) -> None:
    """Rows, objects, cached results, job and attempts are those of calm weather, and nothing is dead."""
    dead = post.dead_letters()
    if chain.name not in _calm_outcomes:
        _calm_outcomes[chain.name] = run(chain, calm, world, post, doomed)
    expected = _calm_outcomes[chain.name]
    assert all(state == "done" for _, state in expected["steps"]), pretty(expected)
    found = run(chain, weather, world, post, doomed)
    assert found == expected, f"{pretty(found)}\n\nin calm weather:\n{pretty(expected)}"
    assert post.dead_letters() == dead
