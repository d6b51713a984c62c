"""A commit that was kept and whose answer was lost: nothing is billed, journaled, counted or begun twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared.agents.conversation import sessions
from shared.agents.turns import service as turns
from shared.agents.turns.service import Ask
from shared.platform import settings as module
from shared.platform.edge import Event
from shared.platform.errors import NotFound
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from tests.shared.agents.playing import Echo, Save, Scripted, agent, calls, says
from tests.shared.losing import Wire, wire

MODEL = "claude-sonnet-4-5"


@pytest.fixture
def line(ground: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The way to Postgres, which can lose answers."""
    with wire(ground["DATABASE_URL"]) as (made, url):
        monkeypatch.setenv("DATABASE_URL", url)
        for cache in (module.settings, pool._pool):
            cache.cache_clear()
        yield made
        monkeypatch.undo()
        for cache in (module.settings, pool._pool):
            cache.cache_clear()


def played() -> tuple[Scripted, Save, Any]:
    """Three paid calls with a tool round between each of them."""
    provider = Scripted(
        calls(("c1", "echo", {"word": "look"}), text="I look. "),
        calls(("c2", "save", {"word": "keep"}), text="I save. "),
        says("Done.", fresh=1_000, output=100),
        name="anthropic",
        remote=True,
    )
    save = Save()
    return provider, save, agent(provider, Echo(), save, model=MODEL)


def answer(me: Any, session_id: str, played: Any) -> list[Event]:
    started = turns.start(team=me.team, user=me.user, session_id=session_id, turn_id=new_id(), ask=Ask("go"))
    assert started.hold is not None, "the call that began the turn works on it"
    return [event for event in turns.stream(started, lambda _turn: played) if event is not None]


def rows(me: Any, statement: str) -> list[dict[str, Any]]:
    with pool.transaction(me.team) as tx:
        return tx.all(statement, team=me.team)


def state_of(me: Any, session_id: str) -> dict[str, Any]:
    """All that is counted of a turn."""
    counters = rows(me, "SELECT name, used, reserved FROM spend_counters WHERE team_id = :team")
    found = sessions.get([me.team], me.user, session_id)
    return {
        "calls": len(rows(me, "SELECT id FROM model_calls WHERE team_id = :team")),
        "turns": [row["state"] for row in rows(me, "SELECT state FROM turns WHERE team_id = :team")],
        "counters": {row["name"]: (row["used"], row["reserved"]) for row in counters},
        "tokens": found.total_tokens,
        "cost": found.total_cost_usd,
        "messages": rows(
            me,
            "SELECT user_messages, assistant_messages, tool_messages FROM sessions WHERE team_id = :team",
        ),
        "journal": rows(me, "SELECT number FROM turn_journal WHERE team_id = :team"),
        "watches": len(
            rows(me, "SELECT id FROM outbox WHERE step = 'chat-resume-turn' AND payload->>'team' = :team")
        ),
    }


def of(events: list[Event], kind: str) -> list[Any]:
    return [event.data for event in events if event.event == kind]


def test_whichever_commit_loses_its_answer_the_turn_is_the_same(line: Wire, somebody: Any) -> None:
    """Begin, promise, bill, journal, end: each in its turn is kept without its client hearing of it."""
    quiet = somebody()
    conversation = sessions.create(quiet.team, quiet.user, id=new_id(), provider="anthropic", model=MODEL)
    line.lose()
    answer(quiet, conversation.session_id, played()[2])
    most, right = line.commits, state_of(quiet, conversation.session_id)
    assert right["calls"] == 3
    assert right["turns"] == ["completed"]
    lost = 0
    for number in range(1, most + 1):
        me = somebody()
        conversation = sessions.create(me.team, me.user, id=new_id(), provider="anthropic", model=MODEL)
        provider, save, agent_ = played()
        line.lose(number)
        events = answer(me, conversation.session_id, agent_)
        lost += line.lost
        line.lose()
        assert of(events, "error") == [], f"commit {number} of {most}"
        assert state_of(me, conversation.session_id) == right, f"commit {number} of {most}"
        assert [data["state"] for data in of(events, "complete")] == ["completed"], number
        assert (len(provider.requests), save.runs) == (3, ["keep"]), number
    assert lost >= most / 2


def test_a_session_whose_commit_lost_its_answer_is_there_once(line: Wire, me: Any) -> None:
    """Its id is made before: the repetition meets it."""
    line.lose(1)
    made = sessions.create(me.team, me.user, id=new_id(), provider="builtin", model="analyst-1")
    assert line.lost == 1
    assert [row["id"] for row in rows(me, "SELECT id FROM sessions WHERE team_id = :team")] == [
        made.session_id
    ]


def test_a_conversation_that_is_deleted_under_its_turn_is_paid_for(me: Any, session_id: str) -> None:
    """Who deletes a conversation while a model answers in it does not get the answer for nothing."""
    gone = threading.Event()

    def delete() -> None:
        sessions.delete([me.team], me.user, session_id)
        gone.set()

    provider = Scripted([delete, *says("fine", fresh=200_000, output=1_000)], name="anthropic", remote=True)
    with pytest.raises(NotFound):
        answer(me, session_id, agent(provider, model=MODEL))
    assert gone.is_set()
    paid = rows(me, "SELECT cost_usd, session_id FROM model_calls WHERE team_id = :team")
    assert [(float(row["cost_usd"]), row["session_id"]) for row in paid] == [(0.615, None)]
    used = rows(me, "SELECT used, reserved FROM spend_counters WHERE team_id = :team AND name = 'model_cost'")
    assert [(row["used"], row["reserved"]) for row in used] == [(615_000, 0)]
