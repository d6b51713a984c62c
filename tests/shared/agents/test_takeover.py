"""A process that dies, or seems dead, in the middle of a turn: the turn ends once, and nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.patience import until
from shared.agents import store
from shared.agents.conversation import sessions
from shared.agents.conversation.sessions import MessagePage
from shared.agents.flow import ResumeTurn
from shared.agents.turns import service as turns
from shared.agents.turns.publisher import EPOCH
from shared.platform.cloud import event_stream
from shared.platform.errors import BridgeError
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from tests.shared.agents.child_turn import assembled

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow


class Child:
    """A turn in a process of its own."""

    def __init__(self, me: Any, session_id: str, tmp_path: Path, **told: Any) -> None:
        self.me, self.session_id, self.turn_id = me, session_id, new_id()
        self.runs = tmp_path / "runs"
        ask = {
            "team": me.team,
            "user": me.user,
            "session": session_id,
            "turn": self.turn_id,
            "runs": str(self.runs),
        }
        slow = told.pop("slow", "")
        self.process = subprocess.Popen(
            [sys.executable, "tests/shared/agents/child_turn.py", json.dumps(ask | told)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SLOW_TOKENS": slow},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.heard: list[dict[str, Any]] = []

    def hear_until(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if "event" in event:
                self.heard.append(event)
                if wanted(event):
                    return

    def wait_for_tool(self) -> None:
        until(Path(f"{self.runs}.entered").exists, "the tool is entered")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def step(self, check: int = 0) -> ResumeTurn:
        return ResumeTurn(team=self.me.team, turn=self.turn_id, check=check)

    def let_the_lease_end(self) -> None:
        """The time passes that the lease of a process lasts which does not keep it any more."""
        with pool.transaction(self.me.team) as tx:
            tx.run(
                "UPDATE turns SET lease_until = now() WHERE id = :turn AND lease_until > now()",
                turn=self.turn_id,
            )
            row = store.find_turn(tx, self.turn_id)
        assert row is not None
        assert row["lease_left"] == 0

    def resume(self) -> None:
        turns.resume(self.step(), assembled(self.runs))

    def ran(self) -> list[str]:
        return self.runs.read_text().splitlines()

    def events(self, after: int = 0) -> list[Any]:
        found = turns.follow(self.me.teams, self.me.user, self.session_id, self.turn_id, after=after)
        return [event for event in found if event is not None]

    def log(self) -> list[Any]:
        page = sessions.messages(self.me.teams, self.me.user, self.session_id, MessagePage())
        assert page.total_count == len(page.messages)
        return list(reversed(page.messages))


ROLES = ["user", "assistant", "tool", "assistant", "tool", "assistant"]


def test_a_turn_killed_in_a_tool_goes_on_without_repeating_the_finished_one(
    me: Any, session_id: str, tmp_path: Path
) -> None:
    """The first tool ran once; the one that was cut runs again under the same call id; the answer is whole."""
    child = Child(me, session_id, tmp_path, stall="second")
    child.wait_for_tool()
    child.kill()
    child.let_the_lease_end()
    child.resume()
    assert child.ran() == ["first call-1", "second call-2", "second call-2"]
    log = child.log()
    assert [line.role for line in log] == ROLES
    assert log[-1].text == "It is all done now "
    assert child.events()[-1].data["state"] == "completed"


def test_a_turn_killed_between_tokens_says_where_to_go_on_reading(
    me: Any, session_id: str, tmp_path: Path
) -> None:
    """Who comes back with the last id it heard misses nothing, and is told which tokens are said again."""
    child = Child(me, session_id, tmp_path, slow="0.1")
    child.hear_until(lambda event: event["event"] == "token" and event["data"] == {"text": "all "})
    child.kill()
    seen = child.heard[-1]["id"]
    child.let_the_lease_end()
    child.resume()
    rest = child.events(after=seen)
    # What it published between the last word that was heard and its death is there, too.
    late = [event for event in rest if int(str(event.id)) <= EPOCH]
    again = rest[len(late) :]
    assert [event.event for event in again][:2] == ["warning", "token"]
    assert all(int(str(event.id)) > EPOCH for event in again)
    assert again[0].data["code"] == "TURN_RESUMED"
    said = [(int(str(event["id"])), event["event"], event["data"]) for event in child.heard]
    said += [(int(str(event.id)), event.event, event.data) for event in late]
    kept = [data for id, kind, data in said if kind == "token" and id <= int(again[0].data["discard_after"])]
    text = "".join(data["text"] for data in kept)
    text += "".join(event.data["text"] for event in again if event.event == "token")
    assert text == "Looking.Saving.It is all done now "
    assert child.ran() == ["first call-1", "second call-2"]


@pytest.mark.parametrize(
    "die",
    [
        ("before store.add_to_journal", 1),
        ("after store.add_to_journal", 1),
        ("before store.add_to_journal", 2),
        ("after store.add_to_journal", 4),
        ("before log.append", 1),
        ("after log.append", 1),
        ("before store.finish_turn", 1),
        ("after store.finish_turn", 1),
    ],
    ids=lambda die: f"{die[0]} {die[1]}",
)
def test_wherever_it_dies_the_log_has_each_message_once(
    me: Any, session_id: str, tmp_path: Path, die: tuple[str, int]
) -> None:
    """Killed before and after each durable step: the same six messages, the same end, one count."""
    child = Child(me, session_id, tmp_path, die=die)
    assert child.process.wait() == -signal.SIGKILL
    child.let_the_lease_end()
    child.resume()
    log = child.log()
    assert [line.role for line in log] == ROLES
    assert len({line.id for line in log}) == 6
    assert child.events()[-1].event == "complete"
    assert child.ran().count("first call-1") <= 2
    if die != ("before store.add_to_journal", 2):
        assert child.ran().count("first call-1") == 1


def test_a_process_that_wakes_up_after_the_takeover_writes_nothing(
    me: Any, session_id: str, tmp_path: Path
) -> None:
    """Stopped by SIGSTOP, replaced, woken by SIGCONT: log, journal, totals and events stay as they were."""
    child = Child(me, session_id, tmp_path, slow="0.15")
    child.hear_until(lambda event: event["event"] == "token" and event["data"] == {"text": "is "})
    child.process.send_signal(signal.SIGSTOP)
    child.let_the_lease_end()
    child.resume()
    log, events = child.log(), child.events()
    before = sessions.get(me.teams, me.user, session_id)
    batches = len(list(event_stream.read(child.turn_id, 0)))
    child.process.send_signal(signal.SIGCONT)
    child.hear_until(lambda event: event["event"] == "complete")
    assert child.process.wait() == 0
    assert child.log() == log
    assert [event.id for event in child.events()] == [event.id for event in events]
    assert len(list(event_stream.read(child.turn_id, 0))) == batches
    after = sessions.get(me.teams, me.user, session_id)
    # What the woken process had spent on its model is on the bill; nothing else is.
    assert after.total_tokens >= before.total_tokens
    # Its own client heard the rest from the process that has the turn.
    assert child.heard[-1]["event"] == "complete"
    assert child.heard[-1]["id"] == int(str(events[-1].id))


def test_a_living_turn_is_looked_at_again_and_left_alone(
    me: Any, session_id: str, tmp_path: Path, ground: dict[str, str]
) -> None:
    """While the lease is alive the step only promises the next look; when the turn is over, nothing."""
    child = Child(me, session_id, tmp_path, slow="0.1")
    child.hear_until(lambda event: event["event"] == "token")
    child.resume()
    with pool.transaction(me.team) as tx:
        row = store.find_turn(tx, child.turn_id)
    assert row is not None
    assert row["epoch"] == 1
    assert _promised(child.turn_id) == [0, 1]
    child.hear_until(lambda event: event["event"] == "complete")
    child.process.wait()
    turns.resume(child.step(1), assembled(child.runs))
    assert _promised(child.turn_id) == [0, 1]
    assert [line.role for line in child.log()] == ROLES


def test_a_turn_that_is_given_up_ends_as_failed_with_what_it_has(
    me: Any, session_id: str, tmp_path: Path
) -> None:
    """No further attempt: the message and the finished rounds are in the log, and the session is free."""
    child = Child(me, session_id, tmp_path, stall="second")
    child.wait_for_tool()
    child.kill()
    child.let_the_lease_end()
    turns.gave_up(child.step(), BridgeError("No more attempts."))
    assert [line.role for line in child.log()] == ["user", "assistant", "tool", "assistant"]
    events = child.events()
    assert [event.event for event in events[-2:]] == ["error", "complete"]
    assert events[-1].data["state"] == "failed"
    turns.start(
        team=me.team, user=me.user, session_id=session_id, turn_id=new_id(), ask=turns.Ask("Then again")
    )


def test_a_cancelled_turn_whose_process_died_ends_as_cancelled(
    me: Any, session_id: str, tmp_path: Path
) -> None:
    """The wish to stop outlives the process that should have heard it."""
    child = Child(me, session_id, tmp_path, stall="second")
    child.wait_for_tool()
    child.kill()
    assert turns.cancel(me.teams, me.user, session_id) == child.turn_id
    child.let_the_lease_end()
    child.resume()
    assert child.events()[-1].data["state"] == "cancelled"
    assert child.ran() == ["first call-1", "second call-2"]


def _promised(turn_id: str) -> list[int]:
    with pool.transaction() as tx:
        rows = tx.all(
            "SELECT payload FROM outbox WHERE payload ->> 'turn' = :turn ORDER BY created_at", turn=turn_id
        )
    return [row["payload"]["check"] for row in rows]
