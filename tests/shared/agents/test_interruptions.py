"""A turn outlives its stores: `error` stands only before `failed`, and a turn that goes on says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local import ports
from local.patience import until
from shared.agents.flow import ResumeTurn
from shared.agents.turn import lease as turn_lease
from shared.agents.turns import patience
from shared.agents.turns import service as turns
from shared.agents.turns.service import Ask, Started
from shared.platform import settings
from shared.platform.edge import Event
from shared.platform.errors import Unavailable
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from tests.shared.agents.playing import Echo, Scripted, agent, calls, says

pytestmark = pytest.mark.slow


class Directory:
    """Where the product finds Postgres: there, or where nobody answers."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def away(self) -> None:
        self._patch.setenv("DATABASE_URL", f"postgresql://bridge_app:x@127.0.0.1:{ports.free()}/bridge")
        self._forget()

    def back(self) -> None:
        self._patch.undo()
        self._forget()

    def _forget(self) -> None:
        settings.settings.cache_clear()
        pool._pool.cache_clear()


@pytest.fixture
def directory(me: Any) -> Iterator[Directory]:
    with pytest.MonkeyPatch.context() as patch:
        made = Directory(patch)
        yield made
        made.back()


class Listener:
    """A client of a turn, in a thread of its own."""

    def __init__(self, events: Iterator[Event | None]) -> None:
        self.heard: list[Event] = []
        self.failed: BaseException | None = None
        self._thread = threading.Thread(target=self._listen, args=(events,), daemon=True)
        self._thread.start()

    def _listen(self, events: Iterator[Event | None]) -> None:
        try:
            for event in events:
                if event is not None:
                    self.heard.append(event)
        except Exception as error:
            self.failed = error

    @property
    def kinds(self) -> list[str]:
        return [event.event for event in self.heard]

    def end(self) -> None:
        self._thread.join()


def begin(me: Any, session_id: str) -> Started:
    return turns.start(team=me.team, user=me.user, session_id=session_id, turn_id=new_id(), ask=Ask("Do it"))


def pass_until(pass_time: Any, condition: Callable[[], Any], what: str) -> None:
    """Let second after second pass until something is so."""

    def so() -> Any:
        pass_time(1)
        return condition()

    until(so, what)


def script(during: Callable[..., Any] | None = None) -> Any:
    """An agent that calls a tool, meanwhile something happens, and answers."""
    scenes = [calls(("call-1", "echo", {"word": "first"}), text="Looking."), says("It is done")]
    return agent(Scripted(*scenes), Echo(during))


def test_a_turn_whose_directory_was_away_for_long_says_so_and_is_completed_by_another_process(
    me: Any, session_id: str, directory: Directory, pass_time: Any
) -> None:
    """Its client hears `interrupted`, then the rest from who took the turn over, and never `error`."""
    started = begin(me, session_id)
    client = Listener(turns.stream(started, lambda _turn: script(lambda *_: directory.away())))
    pass_until(pass_time, lambda: "interrupted" in client.kinds, "the turn is left to its journal")
    interrupted = client.heard[-1].data
    assert (interrupted["code"], interrupted["retryable"]) == ("TURN_INTERRUPTED", True)
    directory.back()
    pass_time(turn_lease.TERMS.seconds)
    # The call is journaled: the tool of who takes over runs it again, and the model answers.
    turns.resume(
        ResumeTurn(team=me.team, turn=started.turn.id),
        lambda _turn: agent(Scripted(says("It is done")), Echo()),
    )
    client.end()
    assert client.failed is None
    assert "error" not in client.kinds
    warning = next(event.data for event in client.heard if event.event == "warning")
    assert warning["code"] == "TURN_RESUMED"
    assert client.heard[-1].data["state"] == "completed"


def test_a_short_outage_of_the_directory_is_not_noticed(
    me: Any, session_id: str, directory: Directory, pass_time: Any
) -> None:
    """A restart: the turn waits for it, and nobody hears anything."""
    started = begin(me, session_id)
    away = threading.Event()

    def lose(*_: Any) -> None:
        directory.away()
        away.set()

    client = Listener(turns.stream(started, lambda _turn: script(lose)))
    away.wait()
    pass_time(patience.PATIENCE_SECONDS / 4)
    directory.back()
    pass_until(pass_time, lambda: "complete" in client.kinds, "the turn ends")
    client.end()
    assert not {"error", "interrupted", "warning"} & set(client.kinds)
    assert client.heard[-1].data["state"] == "completed"


def test_a_follower_waits_for_a_directory_that_restarts_and_comes_back_for_a_longer_outage(
    me: Any, session_id: str, directory: Directory, pass_time: Any
) -> None:
    """It is told to come back, not that the turn has failed; with the last id that it heard it misses nothing."""
    started = begin(me, session_id)
    waits, goes_on = threading.Event(), threading.Event()

    def wait(*_: Any) -> None:
        waits.set()
        goes_on.wait()

    runner = Listener(turns.stream(started, lambda _turn: script(wait)))
    waits.wait()
    follow = (me.teams, me.user, session_id, started.turn.id)
    patient, short = Listener(turns.follow(*follow)), Listener(turns.follow(*follow))
    until(lambda: "tool_call" in short.kinds and "tool_call" in patient.kinds, "both have caught up")
    directory.away()
    pass_time(turns.AWAY_SECONDS / 4)
    directory.back()
    pass_time(5)
    assert patient.failed is None
    directory.away()
    pass_until(pass_time, lambda: short.failed is not None, "it gives up for now")
    assert isinstance(short.failed, Unavailable)
    assert short.failed.retryable
    directory.back()
    goes_on.set()
    again = Listener(turns.follow(*follow, after=int(str(short.heard[-1].id))))
    pass_until(pass_time, lambda: "complete" in runner.kinds + again.kinds, "the turn ends")
    runner.end()
    again.end()
    assert "error" not in runner.kinds
    heard = [event.id for event in (*short.heard, *again.heard)]
    assert len(heard) == len(set(heard))
    assert again.heard[-1].event == "complete"


def test_a_turn_that_fails_says_error_and_then_failed(me: Any, session_id: str) -> None:
    """An error that belongs to the turn is its end."""
    started = begin(me, session_id)
    played = agent(Scripted([RuntimeError("odd")]))
    events = [event for event in turns.stream(started, lambda _turn: played) if event is not None]
    assert [event.event for event in events[-2:]] == ["error", "complete"]
    assert events[-1].data["state"] == "failed"
