"""Turns are counted, and what a model may cost is promised before it is asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from shared.agents.declared import ProviderUnavailable
from shared.agents.protocol.model import Stop, ToolCallReady, Usage
from shared.agents.turns import service as turns
from shared.agents.turns.service import Ask
from shared.platform.edge import Event
from shared.platform.errors import QuotaExceeded
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from tests.shared.agents.playing import Echo, Scripted, agent, calls, says

MODEL = "claude-sonnet-4-5"


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set limits of the environment."""
    from shared.platform import settings

    def set_limits(**limits: int) -> None:
        monkeypatch.setenv("BRIDGE_LIMITS", json.dumps(limits))
        settings.settings.cache_clear()

    yield set_limits
    settings.settings.cache_clear()


def answer(me: Any, session_id: str, played: Any, turn: str | None = None) -> list[Event]:
    started = turns.start(
        team=me.team, user=me.user, session_id=session_id, turn_id=turn or new_id(), ask=Ask("go")
    )
    return [event for event in turns.stream(started, lambda _turn: played) if event is not None]


def of(events: list[Event], kind: str) -> list[Any]:
    return [event.data for event in events if event.event == kind]


def counters(me: Any) -> dict[str, tuple[int, int]]:
    """Used and reserved, by limit."""
    with pool.transaction(me.team) as tx:
        rows = tx.all("SELECT name, used, reserved FROM spend_counters WHERE team_id = :team", team=me.team)
    return {row["name"]: (int(row["used"]), int(row["reserved"])) for row in rows}


def vendor(*scenes: Any) -> Scripted:
    """A provider whose calls cost money."""
    return Scripted(*scenes, name="anthropic", remote=True)


def test_a_call_is_settled_with_what_it_cost_in_every_window(me: Any, session_id: str) -> None:
    """200,000 fresh tokens at $3 a million and 1,000 written at $15: $0.615 of turn, conversation, day, month."""
    events = answer(me, session_id, agent(vendor(says("fine", fresh=200_000, output=1_000)), model=MODEL))
    assert of(events, "complete")[0]["total_cost_usd"] == pytest.approx(0.615)
    spent = {name: value for name, value in counters(me).items() if name.startswith("model_cost")}
    names = ("model_cost", "model_cost_month", "model_cost_session", "model_cost_turn")
    assert spent == dict.fromkeys(names, (615_000, 0))
    assert counters(me)["generations"] == (1, 0)
    assert counters(me)["generations_concurrent"] == (0, 0)


def test_the_builtin_analyst_costs_nothing(me: Any, session_id: str) -> None:
    """What runs here is counted as a turn and promises no money."""
    answer(me, session_id, agent(Scripted(says("fine"))))
    assert {name for name in counters(me) if name.startswith("model_cost")} == set()
    assert counters(me)["generations"] == (1, 0)


def test_a_call_that_the_day_can_not_pay_is_not_made(
    me: Any, session_id: str, limited: Callable[..., None]
) -> None:
    """The turn fails with the quota's own error; the model was not asked and nothing stays promised."""
    limited(model_cost=50_000)
    provider = vendor(says("never"))
    events = answer(me, session_id, agent(provider, model=MODEL))
    assert [error["code"] for error in of(events, "error")] == ["QUOTA_EXCEEDED"]
    assert provider.requests == []
    assert counters(me).get("model_cost", (0, 0)) == (0, 0)
    assert counters(me)["generations_concurrent"] == (0, 0)


def test_a_turns_own_budget_ends_it_with_what_it_has(
    me: Any, session_id: str, limited: Callable[..., None]
) -> None:
    """Not an error: a warning, and the answer so far."""
    limited(model_cost_turn=400_000)
    scene = [ToolCallReady("c", "echo", {"word": "x"}), Usage(fresh_input=100_000), Stop("tool_use")]
    provider = vendor(scene, says("never"))
    events = answer(me, session_id, agent(provider, Echo(), model=MODEL))
    assert [warning["code"] for warning in of(events, "warning")] == ["COST_LIMIT"]
    assert of(events, "complete")[0]["stop_reason"] == "cost_limit"
    assert len(provider.requests) == 1


def test_a_conversations_budget_lasts_over_its_turns(
    me: Any, session_id: str, limited: Callable[..., None]
) -> None:
    """The second message of an expensive conversation is refused before the model is asked."""
    limited(model_cost_session=650_000)
    answer(me, session_id, agent(vendor(says("fine", fresh=200_000)), model=MODEL))
    provider = vendor(says("never"))
    events = answer(me, session_id, agent(provider, model=MODEL))
    assert [error["code"] for error in of(events, "error")] == ["BUDGET_EXCEEDED"]
    assert provider.requests == []


def test_a_failed_call_is_settled_before_the_next_try(me: Any, session_id: str) -> None:
    """Every call that was made has ended its promise, whatever came of it."""

    provider = vendor([ProviderUnavailable()], says("fine", fresh=1_000, output=0))
    answer(me, session_id, agent(provider, model=MODEL))
    assert counters(me)["model_cost"] == (3_000, 0)
    assert len(provider.requests) == 2


def test_turns_are_counted_by_day_and_refused_above_it(
    me: Any, session_id: str, limited: Callable[..., None]
) -> None:
    """Before anything is begun; the same message again finds its turn and costs nothing more."""
    limited(generations=1)
    turn = new_id()
    answer(me, session_id, agent(Scripted(says("fine"))), turn)
    answer(me, session_id, agent(Scripted()), turn)
    with pytest.raises(QuotaExceeded) as caught:
        answer(me, session_id, agent(Scripted(says("never"))))
    assert (caught.value.details or {})["name"] == "generations"
    with pool.transaction(me.team) as tx:
        assert tx.one("SELECT count(*) AS n FROM turns WHERE team_id = :team", team=me.team)["n"] == 1


def test_a_tool_round_settles_each_call(me: Any, session_id: str) -> None:
    """Two calls of one turn have a promise each."""
    provider = vendor(calls(("c", "echo", {"word": "x"})), says("done"))
    answer(me, session_id, agent(provider, Echo(), model=MODEL))
    with pool.transaction(me.team) as tx:
        rows = tx.all(
            "SELECT key, state FROM reservations WHERE team_id = :team AND resource = 'model_cost' ORDER BY key",
            team=me.team,
        )
    assert [(row["key"].split("/")[1:], row["state"]) for row in rows] == [
        (["1", "1"], "settled"),
        (["1", "2"], "settled"),
    ]


@pytest.mark.parametrize("model", ["gpt-4", "claude-of-tomorrow-99"])
def test_a_model_without_a_price_is_not_called(me: Any, session_id: str, model: str) -> None:
    """A conversation of before may have one: its turn fails with field and reason, and costs nothing."""
    provider = vendor(says("never", fresh=116_800))
    events = answer(me, session_id, agent(provider, model=model))
    (error,) = of(events, "error")
    assert (error["code"], error["field"], error["reason"]) == ("VALIDATION_ERROR", "model", "no known price")
    assert provider.requests == []
    assert "model_cost" not in counters(me)


def test_a_call_whose_price_is_not_known_counts_as_the_dearest(
    me: Any, session_id: str, limited: Callable[..., None]
) -> None:
    """The catalogue has no rate for what claude-2 wrote to a cache: no cost on the bill, and no gift to the
    budget.
    """
    limited(model_cost_turn=100_000_000)
    scene = [ToolCallReady("c", "echo", {"word": "x"}), Usage(cache_write_1h=100_000), Stop("tool_use")]
    events = answer(me, session_id, agent(vendor(scene, says("fine")), Echo(), model="claude-2"))
    assert [warning["code"] for warning in of(events, "warning")] == ["COST_UNKNOWN"]
    with pool.transaction(me.team) as tx:
        rows = tx.all(
            "SELECT cost_usd FROM model_calls WHERE team_id = :team ORDER BY created_at", team=me.team
        )
    assert [row["cost_usd"] is None for row in rows] == [True, False]
    used, reserved = counters(me)["model_cost"]
    assert used >= 100_000 * 24 // 10, "as the vendor's dearest would have cost, or more"
    assert reserved == 0


def test_a_call_that_is_cut_before_the_vendors_first_word_is_not_free(me: Any, session_id: str) -> None:
    """What was sent is paid for: else who stops each call in time asks for nothing."""
    from shared.agents.conversation import sessions

    def stop() -> None:
        turns.cancel([me.team], me.user, session_id)

    silent = [lambda: time.sleep(0.05)] * 400
    events = answer(me, session_id, agent(vendor([stop, *silent, *says("never")]), model=MODEL))
    assert of(events, "complete")[0]["state"] == "cancelled"
    assert sessions.get([me.team], me.user, session_id).total_cost_usd == 0
    used, reserved = counters(me)["model_cost"]
    assert 0 < used < 10_000
    assert reserved == 0
