"""How a turn goes and where it stops, over the real stores."""

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from shared.agents.conversation import facts, sessions
from shared.agents.conversation.sessions import MessagePage
from shared.agents.declared import BadMessage
from shared.agents.loop.agent import Limits
from shared.agents.protocol import bounds
from shared.agents.protocol.model import Stop, TextDelta, ToolCallReady, Usage
from shared.agents.turns import service as turns
from shared.agents.turns.service import Ask
from shared.platform.edge import Event
from shared.platform.errors import Unavailable
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from tests.shared.agents.playing import Echo, Scripted, agent, calls, failing, pausing, says


def answer(me: Any, session_id: str, played: Any, message: str = "go", **ask: Any) -> list[Event]:
    started = turns.start(
        team=me.team, user=me.user, session_id=session_id, turn_id=new_id(), ask=Ask(message, **ask)
    )
    return [event for event in turns.stream(started, lambda _turn: played) if event is not None]


def of(events: list[Event], kind: str) -> list[Any]:
    return [event.data for event in events if event.event == kind]


def codes(events: list[Event]) -> list[str]:
    return [data["code"] for data in of(events, "warning")]


def test_a_model_that_never_stops_calling_is_stopped(me: Any, session_id: str) -> None:
    """After the last round the turn ends by itself, with a warning."""
    scenes = [calls((f"c{n}", "echo", {"word": str(n)})) for n in range(30)]
    events = answer(me, session_id, agent(Scripted(*scenes), Echo(), limits=Limits(rounds=3)))
    assert len(of(events, "tool_result")) == 3
    assert codes(events) == ["ROUND_LIMIT"]
    assert events[-1].data["stop_reason"] == "round_limit"
    assert Limits().rounds == 24


def test_of_four_hundred_calls_in_one_reply_few_are_run(me: Any, session_id: str) -> None:
    """The person is told, the model gets an error for the others, and the turn goes on."""
    tool = Echo()
    scene = calls(*[(f"c{n}", "echo", {"word": str(n)}) for n in range(400)])
    events = answer(me, session_id, agent(Scripted(scene, says("done")), tool))
    assert len(tool.runs) == bounds.MAX_CALLS
    errors = [data["error"]["code"] for data in of(events, "tool_result") if "error" in data]
    assert errors == ["TOO_MANY_CALLS"] * (bounds.MAX_KEPT_CALLS - bounds.MAX_CALLS)
    assert codes(events) == ["TOO_MANY_CALLS"]
    assert events[-1].data["state"] == "completed"


def test_the_cost_cap_ends_the_turn_before_the_next_call(me: Any, session_id: str) -> None:
    """What the first call cost is more than the turn may spend: there is no second."""
    scene = [ToolCallReady("c", "echo", {"word": "x"}), Usage(fresh_input=200_000), Stop("tool_use")]
    provider = Scripted(scene, says("never"), name="anthropic", remote=True)
    made = agent(provider, Echo(), model="claude-sonnet-4-5", limits=Limits(cost_cap_usd=Decimal("0.50")))
    events = answer(me, session_id, made)
    assert codes(events) == ["COST_LIMIT"]
    assert events[-1].data["total_cost_usd"] == pytest.approx(0.6)
    assert len(provider.requests) == 1


def test_the_deadline_ends_the_turn(me: Any, session_id: str) -> None:
    """A tool that takes longer than the turn may is the last thing that it does."""
    made = agent(
        Scripted(calls(("c", "echo", {"word": "x"})), says("never")),
        Echo(pausing(0.6)),
        limits=Limits(seconds=0.4),
    )
    events = answer(me, session_id, made)
    assert of(events, "error")[0]["code"] == "DEADLINE_EXCEEDED"
    assert events[-1].data["state"] == "failed"


class Stuck:
    """A place where whoever enters stays until the test is over."""

    def __init__(self) -> None:
        self.entered = self.left = False
        self.over = threading.Event()

    def __call__(self) -> None:
        self.entered = True
        self.over.wait(60)
        self.left = True


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """Something that does not answer in time, whatever time that is."""
    made = Stuck()
    yield made
    made.over.set()


def test_a_tool_that_hangs_does_not_hold_the_turn(me: Any, session_id: str, stuck: Stuck) -> None:
    """A little after the deadline the turn ends without it, and the session is free."""
    slow = Echo(lambda _context, _word: stuck())
    made = agent(Scripted(calls(("c", "echo", {"word": "x"}))), slow, limits=Limits(seconds=2))
    events = answer(me, session_id, made)
    assert stuck.entered
    assert not stuck.left
    assert [data["error"]["code"] for data in of(events, "tool_result")] == ["DEADLINE_EXCEEDED"]
    assert events[-1].data["state"] == "failed"
    assert answer(me, session_id, agent(Scripted(says("free"))))[-1].data["state"] == "completed"


def test_a_silent_provider_is_given_up(me: Any, session_id: str, stuck: Stuck) -> None:
    """No first token within its time: unavailable, whatever the connection still does."""
    silent = Scripted([stuck, *says("late")])
    events = answer(me, session_id, agent(silent, limits=Limits(first_token_seconds=0.3)))
    assert not stuck.left
    assert of(events, "error")[0]["code"] == "PROVIDER_UNAVAILABLE"


def test_a_gap_between_tokens_has_a_limit_too(me: Any, session_id: str, stuck: Stuck) -> None:
    """What was said before the silence is kept."""
    halting = Scripted([TextDelta("before"), stuck, *says("after")])
    events = answer(me, session_id, agent(halting, limits=Limits(gap_seconds=0.3)))
    assert not stuck.left
    assert of(events, "error")[0]["code"] == "PROVIDER_UNAVAILABLE"
    assert sessions.messages(me.teams, me.user, session_id, MessagePage()).messages[0].text == "before"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (("c", "no_such_tool", {}), "UNKNOWN_TOOL"),
        (("c", "echo", {}), "INVALID_ARGUMENTS"),
        (("c", "echo", {"word": 7}), "INVALID_ARGUMENTS"),
        (("c", "echo", {"word": "x", "times": "2"}), "INVALID_ARGUMENTS"),
        (("c", "echo", {"word": "x", "team_id": "another"}), "INVALID_ARGUMENTS"),
        (("c", "echo", {"malformed_json": "{"}), "INVALID_ARGUMENTS"),
    ],
)
def test_a_call_that_is_not_valid_goes_back_to_the_model(
    me: Any, session_id: str, call: tuple[str, str, dict[str, Any]], code: str
) -> None:
    """With a reason that it can act on; the tool does not run and the turn goes on."""
    tool, provider = Echo(), Scripted(calls(call), says("I see"))
    events = answer(me, session_id, agent(provider, tool))
    assert of(events, "tool_result")[0]["error"]["code"] == code
    assert tool.runs == []
    assert events[-1].data["state"] == "completed"
    told: Any = provider.requests[1].messages[-1].blocks[0]
    assert (told.is_error, told.content["error"]["code"]) == (True, code)


def test_whatever_a_tool_raises_the_turn_goes_on(me: Any, session_id: str) -> None:
    """Its own failure, one of ours, and a plain bug: three answers to the model, no text of the bug."""

    def ours(_context: Any, _word: str) -> Any:
        raise Unavailable("The warehouse is away.", reason="dns")

    def bug(_context: Any, _word: str) -> Any:
        raise KeyError("secret detail")

    for during, code in ((failing("no"), "NO"), (ours, "SERVICE_UNAVAILABLE"), (bug, "INTERNAL")):
        events = answer(
            me, session_id, agent(Scripted(calls(("c", "echo", {"word": "x"})), says("ok")), Echo(during))
        )
        error = of(events, "tool_result")[0]["error"]
        assert error["code"] == code
        assert "secret detail" not in str(error)
        assert events[-1].data["state"] == "completed"


def test_an_unexpected_error_of_the_provider_ends_the_turn_honestly(me: Any, session_id: str) -> None:
    """The user hears that the provider failed, and nothing of our insides; the session can go on."""
    events = answer(me, session_id, agent(Scripted([RuntimeError("internal detail")])))
    error = of(events, "error")[0]
    assert (error["code"], events[-1].data["state"]) == ("PROVIDER_ERROR", "failed")
    assert "internal detail" not in str(error)
    assert answer(me, session_id, agent(Scripted(says("again"))))[-1].data["state"] == "completed"


def test_an_agent_that_cannot_be_made_fails_the_turn_and_keeps_the_question(me: Any, session_id: str) -> None:
    """What the product raises while it prepares is the turn's error."""

    def refuse(_turn: Any) -> Any:
        raise Unavailable("The catalog is away.")

    started = turns.start(
        team=me.team, user=me.user, session_id=session_id, turn_id=new_id(), ask=Ask("Where is it?")
    )
    events = [event for event in turns.stream(started, refuse) if event is not None]
    assert of(events, "error")[0] == {
        "code": "SERVICE_UNAVAILABLE",
        "message": "The catalog is away.",
        "retryable": True,
    }
    assert sessions.messages(me.teams, me.user, session_id, MessagePage()).messages[0].text == "Where is it?"


def test_an_invented_figure_is_marked_in_the_stream_and_in_the_log(me: Any, session_id: str) -> None:
    """The one that stands in a result is not."""
    tool = Echo(lambda _context, _word: {"rows": [{"flights": 58665}]})
    events = answer(
        me,
        session_id,
        agent(Scripted(calls(("c", "echo", {"word": "x"})), says("58,665 flights, 12,345 late.")), tool),
    )
    (warning,) = of(events, "warning")
    assert (warning["code"], warning["figures"]) == ("UNSUPPORTED_NUMBER", ["12,345"])
    newest = sessions.messages(me.teams, me.user, session_id, MessagePage()).messages[0]
    assert (newest.model_extra or {})["unsupported_numbers"] == ["12,345"]


def test_a_secret_in_a_message_or_a_result_goes_nowhere(me: Any, session_id: str) -> None:
    """Not to the model, not into the stream, not into the log, not into the directory."""
    secret = "sk-ant-" + new_id().replace("-", "")
    tool = Echo(lambda _context, _word: {"cell": f"key {secret}"})
    provider = Scripted(calls(("c", "echo", {"word": "x"})), says("ok"))
    events = answer(me, session_id, agent(provider, tool), message=f"use {secret} please")
    page = sessions.messages(me.teams, me.user, session_id, MessagePage())
    manifest = sessions.get(me.teams, me.user, session_id)
    for place in (events, provider.requests, page, manifest):
        assert secret not in str(place)
    assert manifest.summary == "use [API key removed] please"


def test_text_that_no_store_takes_does_not_stop_a_turn(me: Any, session_id: str) -> None:
    """NUL and half a surrogate pair, in prose, arguments and results, are replaced on the way."""
    odd = "a\x00b\ud83dc"
    provider = Scripted(calls(("c", "echo", {"word": odd}), text=odd), says(odd))
    tool = Echo(lambda _context, _word: {"cell": "x\x00y"})
    events = answer(me, session_id, agent(provider, tool))
    assert events[-1].data["state"] == "completed"
    assert of(events, "tool_result")[0]["result"] == {"cell": "x\ufffdy"}
    assert (
        sessions.messages(me.teams, me.user, session_id, MessagePage()).messages[0].text == "a\ufffdb\ufffdc "
    )


def test_what_tools_emit_reaches_the_stream_and_the_end(me: Any, session_id: str) -> None:
    """The product sums it up in `complete`."""

    def during(context: Any, _word: str) -> None:
        context.emit(
            "dashboard_created", {"slug": "flights", "gcs_path": "gs://b/o", "preview_url": "/dash/flights"}
        )

    made = agent(
        Scripted(calls(("c", "echo", {"word": "x"})), says("ok")),
        Echo(during),
        closing=lambda emitted: {
            "dashboard_slug": next(d["slug"] for kind, d in emitted if kind == "dashboard_created")
        },
    )
    events = answer(me, session_id, made)
    assert of(events, "dashboard_created")[0]["slug"] == "flights"
    assert events[-1].data["dashboard_slug"] == "flights"


def test_a_tool_knows_its_place_from_the_session(me: Any, session_id: str) -> None:
    """Team, user, session, turn and connection come from the server."""
    seen: list[Any] = []
    connection = new_id()
    answer(
        me,
        session_id,
        agent(
            Scripted(calls(("c7", "echo", {"word": "x"})), says("ok")),
            Echo(lambda context, _word: seen.append(context)),
        ),
        connection_id=connection,
    )
    (context,) = seen
    assert (context.team, context.user, context.session_id) == (me.team, me.user, session_id)
    assert (context.connection_id, context.call_id) == (connection, "c7")
    assert 0 < context.remaining() <= 540


def test_tools_of_other_names_are_not_offered(me: Any, session_id: str) -> None:
    """A session that names its tools has no others, and a call of one is an error."""
    made = agent(Scripted(calls(("c", "echo", {"word": "x"})), says("ok")), Echo())
    narrowed = agent(made.provider)
    assert made.toolbox.offer([]).names() == ()
    assert made.toolbox.offer(["echo", "other"]).names() == ("echo",)
    events = answer(me, session_id, narrowed)
    assert of(events, "tool_result")[0]["error"]["code"] == "UNKNOWN_TOOL"


def test_totals_are_the_sum_of_the_ledger(me: Any, session_id: str) -> None:
    """Turns, session and model calls agree."""
    for _ in range(3):
        answer(me, session_id, agent(Scripted(calls(("c", "echo", {"word": "x"})), says("ok")), Echo()))
    with pool.transaction(me.team) as tx:
        row = tx.one(
            "SELECT sum(input_tokens + output_tokens)::int8 AS tokens, count(*) AS calls, min(first_token_ms) AS first"
            " FROM model_calls WHERE session_id = :session",
            session=session_id,
        )
        ended = tx.one(
            "SELECT sum(total_tokens)::int8 AS tokens, count(*) FILTER (WHERE ask IS NULL) AS cleared,"
            " (SELECT count(*) FROM turn_journal WHERE team_id = :team) AS journal FROM turns WHERE session_id = :session",
            session=session_id,
            team=me.team,
        )
    assert row["tokens"] == ended["tokens"] == sessions.get(me.teams, me.user, session_id).total_tokens == 90
    assert (row["calls"], row["first"] is not None) == (6, True)
    assert (ended["cleared"], ended["journal"]) == (3, 0)


def test_a_message_that_is_too_long_is_refused_before_anything_is_written(me: Any, session_id: str) -> None:
    """The limit is named."""
    with pytest.raises(BadMessage):
        answer(me, session_id, agent(Scripted()), message="x" * (turns.MOST_MESSAGE + 1))
    assert answer(me, session_id, agent(Scripted(says("ok"))))[-1].data["state"] == "completed"


def test_facts_belong_to_their_session(me: Any, session_id: str) -> None:
    """What one session has proven, another has not; a repetition replaces the value."""
    other = sessions.create(me.team, me.user, id=new_id(), provider="p", model="m").session_id
    facts.record(me.team, session_id, "dry_run", "a" * 64, {"bytes": 1})
    facts.record(me.team, session_id, "dry_run", "a" * 64, {"bytes": 2})
    assert facts.known(me.team, session_id, "dry_run", ["a" * 64, "b" * 64]) == {"a" * 64}
    assert facts.value(me.team, session_id, "dry_run", "a" * 64) == {"bytes": 2}
    assert facts.known(me.team, session_id, "validated", ["a" * 64]) == set()
    assert facts.known(me.team, other, "dry_run", ["a" * 64]) == set()
    assert facts.known(me.user, session_id, "dry_run", ["a" * 64]) == set()


def test_each_token_comes_before_the_model_says_the_next(me: Any, session_id: str) -> None:
    """Nothing is gathered: the model goes on only when what it said has been heard."""
    told, in_time, heard = threading.Semaphore(0), list[bool](), list[str]()

    def until_heard() -> None:
        in_time.append(told.acquire(timeout=60))

    scene: list[Any] = []
    for event in says("one two three"):
        scene += [event, until_heard] if isinstance(event, TextDelta) else [event]
    started = turns.start(
        team=me.team, user=me.user, session_id=session_id, turn_id=new_id(), ask=Ask("count")
    )
    for event in turns.stream(started, lambda _turn: agent(Scripted(scene))):
        if event is not None and event.event == "token":
            heard.append(event.data["text"])
            told.release()
    assert heard == ["one ", "two ", "three "]
    assert in_time == [True] * 3
