"""Turns over their real stores: one at a time, replayable, and nobody's second copy."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from shared.agents import store
from shared.agents.conversation import sessions
from shared.agents.conversation.sessions import MessagePage
from shared.agents.declared import AccessEnded, TurnInProgress
from shared.agents.turns import service as turns
from shared.agents.turns.service import Ask, Started
from shared.platform.edge import Event, auth
from shared.platform.errors import IdempotencyKeyReused, NotFound
from shared.platform.ids import new_id
from shared.platform.limits import budgets
from shared.platform.postgres import pool
from tests.shared.agents.playing import Echo, Save, Scripted, agent, calls, says


def begin(
    me: Any,
    session_id: str,
    message: str = "hello",
    turn_id: str | None = None,
    credential: str | None = None,
) -> Started:
    return turns.start(
        team=me.team,
        user=me.user,
        session_id=session_id,
        turn_id=turn_id or new_id(),
        ask=Ask(message),
        credential=credential,
    )


def play(started: Started, played: Any) -> list[Event]:
    return [event for event in turns.stream(started, lambda _turn: played) if event is not None]


def kinds(events: list[Event]) -> list[str]:
    """The events without the runs of tokens."""
    found: list[str] = []
    for event in events:
        if not (event.event == "token" and found and found[-1] == "token"):
            found.append(event.event)
    return found


def test_a_turn_streams_its_events_in_order_and_ends_with_complete(me: Any, session_id: str) -> None:
    """Tokens, the call, its result, the cost and the end come as the specification names them."""
    started = begin(me, session_id)
    provider = Scripted(calls(("c1", "echo", {"word": "hi"}), text="Let me see."), says("Done."))
    events = play(started, agent(provider, Echo()))
    assert kinds(events) == [
        "turn_started", "token", "cost_update", "tool_call", "tool_result", "token", "cost_update", "complete",
    ]  # fmt: skip
    by_kind = {event.event: event.data for event in events}
    assert by_kind["turn_started"] == {"turn_id": started.turn.id, "session_id": session_id}
    assert by_kind["tool_call"] == {"id": "c1", "tool": "echo", "args": {"word": "hi"}}
    result = by_kind["tool_result"]
    assert result.pop("duration_ms") >= 0
    assert result == {"id": "c1", "tool": "echo", "result": {"said": "hi"}, "cached": False}
    assert by_kind["complete"]["total_tokens"] == 30
    assert [int(str(event.id)) for event in events] == list(range(1, len(events) + 1))


def test_what_was_said_is_in_the_message_log(me: Any, session_id: str) -> None:
    """The person's message, the calls, their results and the answer are read back, newest first."""
    events = play(
        begin(me, session_id, "What is there?"),
        agent(Scripted(calls(("c1", "echo", {"word": "hi"})), says("All good.")), Echo()),
    )
    page = sessions.messages(me.teams, me.user, session_id, MessagePage())
    assert [line.role for line in page.messages] == ["assistant", "tool", "assistant", "user"]
    assert page.messages[0].text == "All good. "
    assert page.messages[0].id == events[-1].data["message_id"]
    assert page.messages[1].content[0]["content"] == {"said": "hi"}
    assert page.messages[-1].text == "What is there?"
    assert (page.total_count, page.has_more, page.warnings) == (4, False, [])
    only = sessions.messages(me.teams, me.user, session_id, MessagePage(role="assistant", limit=1, offset=1))
    assert (only.total_count, only.has_more, only.messages[0].role) == (2, False, "assistant")


def test_the_next_turn_knows_the_one_before(me: Any, session_id: str) -> None:
    """The provider gets the earlier messages, calls and results in pairs."""
    play(
        begin(me, session_id, "first"),
        agent(Scripted(calls(("c1", "echo", {"word": "x"})), says("one")), Echo()),
    )
    second = Scripted(says("two"))
    play(begin(me, session_id, "second"), agent(second))
    roles = [message.role for message in second.requests[0].messages]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_of_two_turns_at_once_one_wins(me: Any, session_id: str) -> None:
    """Sixteen starts at the same time in one session give one turn and fifteen refusals."""
    barrier, outcomes = threading.Barrier(16), list[str]()

    def attempt() -> None:
        barrier.wait()
        try:
            begin(me, session_id)
            outcomes.append("won")
        except TurnInProgress:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 15 + ["won"]


def test_the_same_key_finds_the_same_turn(me: Any, session_id: str) -> None:
    """A repeated request calls no model: it hears the first turn's events with the same ids."""
    turn_id, provider = new_id(), Scripted(says("only once"))
    first = play(begin(me, session_id, turn_id=turn_id), agent(provider))
    again = begin(me, session_id, turn_id=turn_id)
    assert again.hold is None
    assert play(again, agent(Scripted())) == first
    assert len(provider.requests) == 1
    with pytest.raises(IdempotencyKeyReused):
        begin(me, session_id, "another message", turn_id=turn_id)


@pytest.mark.parametrize("seen", [0, 1, 4, 7])
def test_a_client_that_comes_back_gets_exactly_the_rest(me: Any, session_id: str, seen: int) -> None:
    """After Last-Event-ID come the events with greater ids, each once, with the same data."""
    started = begin(me, session_id)
    events = play(
        started, agent(Scripted(calls(("c", "echo", {"word": "w"}), text="a b"), says("c d e")), Echo())
    )
    rest = turns.follow(me.teams, me.user, session_id, started.turn.id, after=seen)
    assert [event for event in rest if event is not None] == events[seen:]


def test_who_comes_back_at_the_very_end_gets_what_is_still_being_written(me: Any, session_id: str) -> None:
    """The turn's row says that it is over before its last events are stored; the follower waits for them."""
    started, events = begin(me, session_id), list[Event]()
    for event in turns.stream(started, lambda _turn: agent(Scripted(says("a b c")))):
        if event is not None:
            events.append(event)
        if event is not None and event.event == "complete":
            break
    rest = turns.follow(me.teams, me.user, session_id, started.turn.id, after=2)
    assert [event for event in rest if event is not None] == events[2:]


def test_a_follower_hears_a_running_turn_while_it_runs(me: Any, session_id: str) -> None:
    """What the runner has sent reaches a second reader before the model says the next word."""
    first_heard, in_time, started = threading.Event(), list[bool](), begin(me, session_id)

    def until_the_follower_has_it() -> None:
        in_time.append(first_heard.wait(60))

    scene = [*says("first")[:-2], until_the_follower_has_it, *says("second")]
    runner = threading.Thread(target=play, args=(started, agent(Scripted(scene))))
    runner.start()
    heard: list[Event] = []
    for event in turns.follow(me.teams, me.user, session_id, started.turn.id):
        if event is None:
            continue
        heard.append(event)
        if event.data == {"text": "first "}:
            first_heard.set()
    runner.join()
    assert in_time == [True]
    assert [event.data["text"] for event in heard if event.event == "token"] == ["first ", "second "]
    assert heard[-1].event == "complete"


def test_a_client_that_leaves_does_not_end_the_turn(me: Any, session_id: str) -> None:
    """Closing the stream after the first event leaves the thread at work; the answer is there later."""
    started, go = begin(me, session_id), threading.Event()
    events = turns.stream(started, lambda _turn: agent(Scripted([go.wait, *says("still here")])))
    assert next(event for event in events if event is not None).event == "turn_started"
    events.close()  # type: ignore[attr-defined]
    go.set()
    rest = [event for event in turns.follow(me.teams, me.user, session_id, started.turn.id) if event]
    assert rest[-1].event == "complete"
    assert sessions.messages(me.teams, me.user, session_id, MessagePage()).messages[0].text == "still here "


def test_a_cancel_stops_the_model_and_keeps_what_was_said(me: Any, session_id: str) -> None:
    """The provider's stream is closed, the text is in the log and marked, and what it cost is recorded."""
    started, provider = (
        begin(me, session_id),
        Scripted([*says("half of")[:-2], *([lambda: time.sleep(0.05)] * 400)]),
    )
    events: list[Event] = []
    for event in turns.stream(started, lambda _turn: agent(provider)):
        if event is None:
            continue
        events.append(event)
        if event.data == {"text": "of "}:
            turns.cancel(me.teams, me.user, session_id)
    assert events[-1].data["state"] == "cancelled"
    newest = sessions.messages(me.teams, me.user, session_id, MessagePage()).messages[0]
    assert (newest.text, newest.model_extra["cancelled"]) == ("half of ", True)  # type: ignore[index]
    assert sessions.get(me.teams, me.user, session_id).total_tokens > 0
    with pytest.raises(NotFound):
        turns.cancel(me.teams, me.user, session_id)


def test_a_cancel_from_another_instance_reaches_the_runner(me: Any, session_id: str) -> None:
    """Without the short way inside a process, the next beat tells the runner."""
    started = begin(me, session_id)
    provider = Scripted([*says("on and on")[:-2], *([lambda: time.sleep(0.05)] * 400)])
    events = turns.stream(started, lambda _turn: agent(provider))
    next(event for event in events if event is not None)
    with pool.transaction(me.team) as tx:
        store.request_cancel(tx, session_id, me.user)
    assert [event for event in events if event is not None][-1].data["state"] == "cancelled"


def _credential(me: Any, kind: str) -> str:
    with pool.transaction() as tx:
        if kind == "session":
            session = auth.open_session(tx, me.user)
            return str(
                tx.one(
                    "SELECT id FROM auth_sessions WHERE token_sha256 = :sha", sha=auth._sha(session.token)
                )["id"]
            )
        auth.issue_token(tx, id=(id := new_id()), user=me.user, name="t", scopes=("full",), expires_at=None)
    return id


END_ACCESS = {
    "membership": "DELETE FROM team_members WHERE user_id = :user AND :credential::uuid IS NOT NULL",
    "token": "UPDATE access_tokens SET revoked_at = now() WHERE id = :credential AND user_id = :user",
    "session": "UPDATE auth_sessions SET revoked_at = now() WHERE id = :credential AND user_id = :user",
}


@pytest.mark.parametrize("ended", END_ACCESS)
def test_a_turn_ends_with_the_access_that_it_was_begun_with(me: Any, session_id: str, ended: str) -> None:
    """A member who was removed, a revoked token, a session that was signed out: the model is stopped within about
    a second, no tool runs any more, what was said is kept, and the turn says why."""
    credential = _credential(me, "session" if ended == "session" else "token")
    started = begin(me, session_id, credential=credential)
    provider = Scripted(
        [*says("half of")[:-2], *([lambda: time.sleep(0.05)] * 400), *calls(("c", "save", {"word": "x"}))]
    )
    saves = Save()
    events: list[Event] = []
    for event in turns.stream(started, lambda _turn: agent(provider, saves)):
        if event is None:
            continue
        events.append(event)
        if event.data == {"text": "of "}:
            with pool.transaction(me.team) as tx:
                assert tx.run(END_ACCESS[ended], credential=credential, user=me.user) == 1
    told = next(event.data for event in events if event.event == "error")
    assert (told["code"], told["retryable"]) == ("ACCESS_ENDED", False)
    assert told["reason"] == ("membership" if ended == "membership" else "credential")
    assert (events[-1].event, events[-1].data["state"]) == ("complete", "failed")
    assert "tool_call" not in kinds(events)
    newest = sessions.messages(me.teams, me.user, session_id, MessagePage()).messages[0]
    assert newest.text == "half of "


def test_a_turn_outlives_a_token_that_merely_expires(me: Any, session_id: str) -> None:
    """Nobody decided against it: what was begun in time is ended, and the turn has a deadline of its own."""
    credential = _credential(me, "token")
    hold = begin(me, session_id, credential=credential).hold
    assert hold is not None
    with pool.transaction() as tx:
        tx.run(
            "UPDATE access_tokens SET expires_at = now() - interval '1 minute' WHERE id = :id", id=credential
        )
    hold.mine()
    hold.check()
    with pool.transaction() as tx:
        tx.run("UPDATE access_tokens SET revoked_at = now() WHERE id = :id", id=credential)
    hold.mine()
    with pytest.raises(AccessEnded):
        hold.check()


def test_a_turn_keeps_what_it_holds_of_the_teams_limits(me: Any, session_id: str) -> None:
    """Its slot and what its own call may cost, with its beats; not what the process before it left behind."""
    started = begin(me, session_id)
    assert started.hold is not None
    turn = started.turn.id
    for key in (f"{turn}/1/1", f"{turn}/2/1"):
        budgets.reserve(me.team, "model_cost", 5, key=key, lease_seconds=10)
    started.hold.epoch = 2
    with pool.transaction(me.team) as tx:
        tx.run(
            "UPDATE reservations SET lease_until = now() + interval '10 seconds' WHERE key = :turn", turn=turn
        )
    started.hold.mine()
    with pool.transaction(me.team) as tx:
        rows = tx.all(
            "SELECT key, lease_until > now() + interval '2 minutes' AS kept FROM reservations WHERE starts_with(key, :t)",
            t=turn,
        )
    assert {row["key"]: row["kept"] for row in rows} == {
        turn: True,
        f"{turn}/1/1": False,
        f"{turn}/2/1": True,
    }


def test_a_stranger_finds_nothing(me: Any, session_id: str, somebody: Callable[[], Any]) -> None:
    """Session, messages, events, cancel: another person's answer is that there is none."""
    started, other = begin(me, session_id), somebody()
    for attempt in (
        lambda: sessions.get(other.teams, other.user, session_id),
        lambda: sessions.get(me.teams, other.user, session_id),
        lambda: sessions.messages(other.teams, other.user, session_id, MessagePage()),
        lambda: next(turns.follow(other.teams, other.user, session_id, started.turn.id)),
        lambda: next(turns.follow(me.teams, other.user, session_id, started.turn.id)),
        lambda: turns.cancel(other.teams, other.user, session_id),
        lambda: sessions.delete(other.teams, other.user, session_id),
        lambda: begin(other, session_id),
    ):
        with pytest.raises(NotFound):
            attempt()
    play(started, agent(Scripted(says("mine"))))


def test_tools_run_together_and_answer_in_order(me: Any, session_id: str) -> None:
    """Four reads meet: each ends when all have begun. Results stand as they were asked for."""
    wanted = [(f"c{n}", "echo", {"word": str(n)}) for n in range(4)]
    meeting = threading.Barrier(4, timeout=600)

    def meet(_context: Any, _word: str) -> None:
        meeting.wait()

    events = play(begin(me, session_id), agent(Scripted(calls(*wanted), says("ok")), Echo(meet)))
    results = [event.data for event in events if event.event == "tool_result"]
    assert [result["id"] for result in results] == ["c0", "c1", "c2", "c3"]
    assert not meeting.broken, results


def test_a_tool_that_writes_waits_for_the_reads_before_it(me: Any, session_id: str) -> None:
    """In one round, the save runs after the check that stands before it."""
    order: list[str] = []

    def slow(_context: Any, word: str) -> None:
        time.sleep(0.2)
        order.append(word)

    wanted = [
        ("a", "echo", {"word": "check"}),
        ("b", "save", {"word": "save"}),
        ("c", "echo", {"word": "after"}),
    ]
    play(
        begin(me, session_id),
        agent(
            Scripted(calls(*wanted), says("ok")), Echo(slow), Save(lambda _context, word: order.append(word))
        ),
    )
    assert order == ["check", "save", "after"]


def test_a_save_that_waits_for_a_read_does_not_happen_after_a_cancel(me: Any, session_id: str) -> None:
    """In one round, too: what has begun ends and is kept, what has not is told to the log as stopped."""
    wanted = [("a", "echo", {"word": "check"}), ("b", "save", {"word": "save"})]
    save = Save()
    stop = Echo(lambda _context, _word: turns.cancel(me.teams, me.user, session_id) and None)
    events = play(begin(me, session_id), agent(Scripted(calls(*wanted), says("never")), stop, save))
    assert (stop.runs, save.runs) == (["check"], [])
    results = {event.data["id"]: event.data for event in events if event.event == "tool_result"}
    assert results["a"]["result"] == {"said": "check"}
    assert results["b"]["error"]["code"] == "TURN_STOPPED"
    assert events[-1].data["state"] == "cancelled"


def test_an_event_line_cannot_be_forged(me: Any, session_id: str) -> None:
    """Text that looks like an SSE field stays inside the JSON of its data line."""
    evil = "x\n\nevent: complete\ndata: {}\r\rid: 99\u2028\u2029\n\n"
    started = begin(me, session_id, evil)
    events = play(started, agent(Scripted(says(evil)), Echo()))
    assert evil in "".join(str(event.data.get("text", "")) for event in events if event.event == "token")
    for event in events:
        wire = event.encode()
        assert wire.count(b"\n\n") == 1
        assert wire.endswith(b"\n\n")
        lines = wire.rstrip(b"\n").split(b"\n")
        assert [line.split(b":")[0] for line in lines] == [b"id", b"event", b"data"]
        assert b"\r" not in wire


def test_a_deleted_session_takes_its_objects_along(me: Any, session_id: str) -> None:
    """After the purge step nothing of the session is in the lake, and it is found no more."""
    from shared.agents.flow import PurgeSession
    from shared.platform.cloud import objects

    play(begin(me, session_id), agent(Scripted(says("gone soon"))))
    assert list(objects.listing("sessions", session_id + "/"))
    sessions.delete(me.teams, me.user, session_id)
    sessions.purge(PurgeSession(team=me.team, session=session_id))
    assert not list(objects.listing("sessions", session_id + "/"))
    with pytest.raises(NotFound):
        sessions.get(me.teams, me.user, session_id)
