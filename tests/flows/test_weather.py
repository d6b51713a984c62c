"""Every chain, in every weather, ends in the same state as in calm weather."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.flows.chains import CHAINS, Chain, Outcome, document, new_slug, pretty, team_of
from tests.flows.conftest import Doomed
from tests.flows.post import Delivery, Post
from tests.sample import sampled

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
    team_of(world, post)  # Made in calm weather.
    prepared = chain.prepare(world, post)
    with post.held():
        begun = chain.begin(world, post, prepared)
        rounds = 0
        while waiting := post.new():
            weather(post, doomed, waiting)
            rounds += 1
            assert rounds < 20, f"the chain does not end: {waiting}"
    return chain.outcome(world, post, prepared, begun)


@pytest.mark.parametrize(
    "weather", sampled(WEATHERS, "twice", "stalled", "crashing", name=lambda weather: weather.__name__)
)
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


def test_a_turn_is_one_turn_however_often_it_is_asked_for_and_looked_after(world: Any, post: Post) -> None:
    """One key from three clients at once, its watch delivered in crowds meanwhile: one turn, one dashboard."""
    team = team_of(world, post)
    body = {
        "connection_id": team.connection_id,
        "user_prompt": "Compare JFK, LGA and EWR by delay and distance",
    }
    key = {"Idempotency-Key": uuid.uuid4().hex}

    def ask(_number: int) -> Any:
        return world.post("/v1/dashboards/generate", body, as_=team.person, headers=key)

    before = _count(post, team.id)
    watches: list[Delivery] = []
    with post.held(), ThreadPoolExecutor(3) as clients:
        asked = [clients.submit(ask, number) for number in range(3)]
        while not all(answer.done() for answer in asked):
            watches = [item for item in post.new() if item.function == "chat-resume-turn"] or watches
            if watches:
                assert all(status < 300 or status == 503 for status in post.together(watches[:1] * 4))
            time.sleep(0.2)
        for item in watches:
            post.settle(item)
    answers = [answer.result() for answer in asked]
    assert [answer.status for answer in answers] == [200] * 3
    ends = {answer.content.rpartition(b"event: complete")[2].strip() for answer in answers}
    assert len(ends) == 1
    assert b'"state":"completed"' in ends.pop()
    assert _count(post, team.id) == before + 1
    (turn,) = post.sql(
        "SELECT s.user_messages, t.epoch FROM sessions s JOIN turns t ON t.session_id = s.id"
        " WHERE s.team_id = :team ORDER BY s.created_at DESC LIMIT 1",
        team=team.id,
    )
    assert turn == {"user_messages": 1, "epoch": 1}


def test_a_due_warming_is_queued_once_however_often_the_clock_strikes(world: Any, post: Post) -> None:
    """Four ticks at once promise one warming, and it sets the next time."""
    team = team_of(world, post)
    slug = new_slug()
    saved = world.post(
        "/v1/dashboards",
        {"team_id": team.id, "yaml_content": document(slug, team.connection_id)},
        as_=team.person,
    )
    assert saved.status == 201
    post.wait_quiet()
    id = saved.json["id"]
    post.sql(
        "UPDATE dashboards SET next_warm_at = now() - interval '1 minute' WHERE slug = :slug AND team_id = :team",
        slug=slug,
        team=team.id,
    )
    post.strike("dashboards-warm-due", 4)
    post.wait_quiet()
    due = post.sql(
        "SELECT sent_at FROM outbox WHERE payload->>'slug' = :slug AND payload->>'occasion' LIKE 'due%'",
        slug=slug,
    )
    assert len(due) == 1, id
    (row,) = post.sql(
        "SELECT next_warm_at > now() AS later FROM dashboards WHERE slug = :slug AND team_id = :team",
        slug=slug,
        team=team.id,
    )
    assert row["later"]


def _count(post: Post, team: str) -> int:
    return int(post.sql("SELECT count(*) AS n FROM dashboards WHERE team_id = :team", team=team)[0]["n"])
