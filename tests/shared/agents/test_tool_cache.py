"""Cached tool results over their real stores."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.patience import until
from shared.agents import store
from shared.agents.loop import tool_cache
from shared.agents.loop.toolbox import Toolbox
from shared.agents.protocol.model import ToolContext, ToolUse
from shared.agents.turn import lease as turn_lease
from shared.platform.cloud import objects
from shared.platform.postgres import pool as pg
from tests.apart import Apart
from tests.shared.agents.playing import Cached, failing

ROOT = Path(__file__).resolve().parents[3]


def scope(me: Any, *, connection: str | None = None, version: int = 1, rights: int = 0) -> tool_cache.Scope:
    return tool_cache.Scope(me.team, connection, version, rights)


def get(
    where: tool_cache.Scope,
    make: Callable[[], Any],
    ttl: int = 60,
    remaining: Callable[[], float] = lambda: 30.0,
) -> tool_cache.Found:
    return tool_cache.through(where, "t", {"a": 1}, ttl, make, remaining)


def test_a_second_call_is_a_hit(me: Any) -> None:
    """The result comes back equal, marked as cached, without another run; the hit is counted."""
    runs: list[int] = []

    def make() -> Any:
        runs.append(1)
        return {"rows": [1, None, "é"]}

    first, second = get(scope(me), make), get(scope(me), make)
    assert (first.cached, second.cached, len(runs)) == (False, True, 1)
    assert first.value == second.value
    assert first.key.startswith("tool:t:")
    with pg.transaction(me.team) as tx:
        row = tx.one(
            "SELECT hit_count, miss_count, payload_uri FROM tool_cache WHERE cache_key = :key", key=first.key
        )
    assert (row["hit_count"], row["miss_count"]) == (1, 1)
    sha = first.key.rsplit(":", 1)[1]
    bucket = f"{os.environ['BRIDGE_BUCKET_PREFIX']}-cache"
    assert re.fullmatch(rf"gs://{bucket}/{me.team}/t/{sha}-\d+\.json\.gz", row["payload_uri"])


def test_callers_that_miss_together_run_the_tool_once(me: Any) -> None:
    """Sixteen threads with the same arguments: one run, one answer for all."""
    runs, found, barrier = list[int](), list[Any](), threading.Barrier(16)

    def make() -> Any:
        runs.append(1)
        time.sleep(0.3)
        return len(runs)

    def call() -> None:
        barrier.wait()
        found.append(get(scope(me), make).value)

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(runs), found) == (1, [1] * 16)


def test_team_connection_catalog_and_rights_part_the_entries(me: Any, somebody: Callable[[], Any]) -> None:
    """The same arguments elsewhere, after a rescan, or with other credentials, are other entries."""
    scopes = [
        scope(me),
        scope(me, version=2),
        scope(me, rights=2),
        scope(me, connection="c1"),
        scope(me, connection="c2"),
        scope(somebody()),
    ]
    assert len({tool_cache.key_of("t", {"a": 1}, where) for where in scopes}) == len(scopes)
    answers = [get(where, lambda number=number: number).value for number, where in enumerate(scopes)]  # type: ignore[misc]
    assert answers == [0, 1, 2, 3, 4, 5]


def test_an_expired_entry_is_made_again(me: Any) -> None:
    """After its time the tool runs anew and the new result replaces the old."""
    assert get(scope(me), lambda: "old", ttl=1).value == "old"
    with pg.transaction(me.team) as tx:
        assert (
            tx.run(
                "UPDATE tool_cache SET expires_at = expires_at - interval '1 second' WHERE expires_at > now()"
            )
            == 1
        )
    again = get(scope(me), lambda: "new")
    assert (again.value, again.cached) == ("new", False)
    assert get(scope(me), lambda: "never").value == "new"


def test_a_maker_that_was_replaced_keeps_nothing(me: Any, pass_time: Any) -> None:
    """It stalled past its lease: the result that counts is its successor's, also where it writes its object last."""
    replaced, begun = threading.Event(), threading.Event()

    def stall() -> Any:
        begun.set()
        replaced.wait()
        return "stalled"

    where = scope(me)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(tool_cache, "_flight", Apart())
        patch.setattr(tool_cache.TERMS.__class__, "lasting", lambda terms, _: replace(terms, at_most=0.0))
        stalled = pool.submit(get, where, stall)
        begun.wait()
        pass_time(tool_cache.TERMS.seconds)
        assert get(where, lambda: "successor").value == "successor"
        replaced.set()
        # Who asked the stalled one gets what it made: it is right, only nobody else's.
        assert stalled.result().value == "stalled"
    tool_cache._remembered.clear()
    again = get(where, lambda: "never")
    assert (again.value, again.cached) == ("successor", True)


def test_a_failure_is_not_kept_and_blocks_nobody(me: Any) -> None:
    """The next caller makes the result at once."""
    with pytest.raises(RuntimeError):
        get(scope(me), lambda: (_ for _ in ()).throw(RuntimeError("no")))

    asked: list[float] = []

    def remaining() -> float:
        asked.append(30.0)
        return asked[-1]

    assert get(scope(me), lambda: "fine", remaining=remaining).value == "fine"
    assert len(asked) == 1, "it waited for somebody who is gone, before it asked for how long it may work"


def test_a_maker_that_died_is_replaced(me: Any, pass_time: Any) -> None:
    """When the time of whoever claimed the result is over, the next one makes it."""
    key = tool_cache.key_of("t", {"a": 1}, scope(me))
    with pg.transaction(me.team) as tx:
        store.claim_tool_result(tx, me.team, key, tool="t", ttl=60, lease_seconds=600)
    looks = threading.Semaphore(0)

    def remaining() -> float:
        looks.release()
        return 3000.0

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, scope(me), lambda: "made", remaining=remaining)
        for _ in range(3):
            looks.acquire()
        assert not waiting.done()
        pass_time(600)
        assert waiting.result().value == "made"


MAKER = """
import sys, time
from shared.agents.loop import tool_cache
from shared.platform.leases.contract import Terms
if sys.argv[2:]:
    tool_cache.TERMS = Terms(*map(float, sys.argv[2:]), at_most=600)
def make():
    print("at work", flush=True)
    time.sleep(60)
scope = tool_cache.Scope(sys.argv[1], None, 1)
tool_cache.through(scope, "t", {"a": 1}, 60, make, lambda: 60.0)
"""


def lease_left(me: Any) -> float:
    """Seconds until the lease of the result that is being made ends."""
    with pg.transaction(me.team) as tx:
        return float(tx.one("SELECT bridge_lease_left(max(making_until)) AS left FROM tool_cache")["left"])


@contextmanager
def _maker(me: Any, *seconds: str) -> Iterator[subprocess.Popen[str]]:
    """A process that makes the result and does not end."""
    command = [sys.executable, "-c", MAKER, str(me.team), *seconds]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "at work\n"
            yield child
        finally:
            child.kill()


def test_a_killed_maker_holds_up_a_turn_no_longer_than_its_own_lease_does(me: Any) -> None:
    """The turn that takes over from a dead worker asks for the same results, and finds them free."""
    with _maker(me):
        pass
    assert lease_left(me) <= turn_lease.TERMS.seconds


def test_a_maker_is_waited_for_while_it_lives_and_no_longer(me: Any, pass_time: Any) -> None:
    """A process that works for longer than its lease keeps it by a heartbeat; once it is killed the next one makes it."""
    with _maker(me, "600", "0.1") as maker, ThreadPoolExecutor(1) as pool:
        next_one = pool.submit(get, scope(me), lambda: "made after its death", remaining=lambda: 9000.0)
        for _ in range(3):
            pass_time(300)
            until(lambda: lease_left(me) > 500, "a heartbeat begins the lease anew")
        assert not next_one.done()
        maker.kill()
        maker.wait()
        assert not next_one.done()
        pass_time(601)
        assert next_one.result().value == "made after its death"


def test_a_lost_payload_is_made_again(me: Any) -> None:
    """An object that vanished from its bucket is a miss, not an error."""
    get(scope(me), lambda: "one")
    with pg.transaction(me.team) as tx:
        uri = tx.one("SELECT payload_uri FROM tool_cache")["payload_uri"]
    objects.delete("cache", uri.removeprefix(objects.uri("cache", "")))
    again = get(scope(me), lambda: "two")
    assert (again.value, again.cached) == ("two", False)


def context(me: Any, call: ToolUse) -> ToolContext:
    return ToolContext(me.team, me.user, "s", "t", call.id, None, lambda: 30.0)


def test_a_tool_error_is_not_cached(me: Any) -> None:
    """A tool that fails goes back to the model as an error and runs again next time."""
    tool = Cached(failing("not today"))
    box, call = Toolbox([tool], catalog_version=7), ToolUse("c", "cached_echo", {"word": me.team})
    for _ in range(2):
        outcome = box.call(call, context(me, call))
        assert outcome.content == {"error": {"code": "NO", "message": "not today"}}
        assert (outcome.is_error, outcome.cached) == (True, False)
    assert len(tool.runs) == 2


def test_a_cached_tool_runs_once_however_often_it_is_asked(me: Any) -> None:
    """Twenty hits: the same content each time, and the tool stays where it was."""
    tool = Cached()
    box, call = Toolbox([tool]), ToolUse("c", "cached_echo", {"word": me.team})
    first = box.call(call, context(me, call))
    assert not first.cached
    for _ in range(20):
        again = box.call(call, context(me, call))
        assert (again.cached, again.content) == (True, first.content)
    assert tool.runs == [me.team]


def test_what_was_read_with_other_credentials_is_read_again(me: Any) -> None:
    """A rotation may take rights away: rows that the old ones could see are not told any more."""
    tool = Cached()
    call = ToolUse("c", "cached_echo", {"word": f"rotated {me.team}"})
    for generation in (1, 2, 2):
        Toolbox([tool], credentials_generation=generation).offer(["cached_echo"]).call(
            call, context(me, call)
        )
    assert len(tool.runs) == 2
