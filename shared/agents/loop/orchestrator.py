"""The loop of a turn: ask the model, run the tools it calls, until it is done or must stop.

    messages ─► model ─► text, calls ─► journal ─► tools ─► results ─► journal ─┐
        ▲                                                                       │
        └───────────────────────────────────────────────────────────────────────┘

It ends when the model calls no tool, after the last tool round, at the cost cap, at the deadline, on a
cancel, or when another process has taken the turn over. It knows no vendor, no store and no product:
what it needs is handed in as the Desk.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from shared.agents.declared import ProviderError, ProviderUnavailable
from shared.agents.loop import model_call, numbers
from shared.agents.loop.agent import Agent
from shared.agents.loop.evidence import Evidence
from shared.agents.loop.model_call import Answer, Watch
from shared.agents.protocol import bounds, history
from shared.agents.protocol.model import Message, Provider, Request, Text, ToolContext, ToolResult, ToolUse
from shared.agents.turn.journal import Entry
from shared.agents.turn.lease import TurnCancelled
from shared.platform import clock
from shared.platform.errors import BridgeError, BudgetExceeded, DeadlineExceeded
from shared.platform.leases import breaker
from shared.platform.leases.breaker import Circuit

ATTEMPTS = 3
TURN_BUDGET = "model_cost_turn"
"""Where this one is used up the turn ends with what it has; the others are errors."""
_LONGEST_WAIT_SECONDS = 20.0


class Desk(Protocol):
    """What the loop needs of the world."""

    def emit(self, kind: str, data: Mapping[str, Any]) -> int:
        """Send an event into the turn's stream."""

    def check(self) -> None:
        """Raise what ends the turn here."""

    def remaining(self) -> float:
        """Seconds left."""

    def reserve(self, provider: Provider, request: Request) -> None:
        """Promise what a call may cost; raises QuotaExceeded or BudgetExceeded."""

    def release(self) -> None:
        """Give that back: the call was not made."""

    def billed(self, answer: Answer) -> Decimal:
        """Keep a call that failed; answers what the turn has cost."""

    def answered(self, answer: Answer, entry: Entry) -> Decimal:
        """Keep a call and its message in one transaction; answers what the turn has cost."""

    def keep(self, entry: Entry) -> None:
        """Keep the results of a round."""

    def context(self, call: ToolUse, emit: Callable[[str, Mapping[str, Any]], None]) -> ToolContext:
        """Where the call runs."""


@dataclass
class Result:
    """How the loop ended. `partial` is what a call had said when it was cut."""

    entries: list[Entry]
    stop: str = "end_turn"
    partial: Entry | None = None
    error: BaseException | None = None


@dataclass
class _State:
    agent: Agent
    desk: Desk
    past: tuple[Message, ...]
    said: str
    entries: list[Entry] = field(default_factory=list)
    spent: Decimal = Decimal(0)
    provider: Provider | None = None
    model: str = ""
    _evidence: Evidence = field(default_factory=Evidence)
    _weighed: int = 0

    def shown(self) -> Evidence:
        """What the tools have shown so far; each entry is taken in once."""
        for entry in self.entries[self._weighed :]:
            if entry.kind == "tools":
                for content in entry.results:
                    self._evidence.add(content)
        self._weighed = len(self.entries)
        return self._evidence

    @property
    def messages(self) -> tuple[Message, ...]:
        own = (Message("user", (Text(self.said),)), *(entry.message for entry in self.entries))
        return history.repaired((*self.past, *own))

    @property
    def rounds(self) -> int:
        return sum(entry.kind == "tools" for entry in self.entries)


def run(
    agent: Agent,
    desk: Desk,
    *,
    said: str,
    past: Sequence[Message] = (),
    journal: Sequence[Entry] = (),
    spent: Decimal = Decimal(0),
) -> Result:
    """Answer one message, from where the journal ends. Raises LostTurn; every other end is a Result."""
    state = _State(agent, desk, tuple(past), said, list(journal), spent, agent.provider, agent.model)
    try:
        return _loop(state)
    except TurnCancelled as error:
        return Result(state.entries, "cancelled", error=error)
    except BridgeError as error:
        return Result(state.entries, "error", error=error)


def _loop(state: _State) -> Result:
    desk, limits = state.desk, state.agent.limits
    while True:
        desk.check()
        last = state.entries[-1] if state.entries else None
        if last is not None and last.kind == "assistant":
            if last.calls:
                _run_tools(state, last.calls)
                continue
            if last.marks.get("stop_reason") != "pause_turn":
                return Result(state.entries, str(last.marks.get("stop_reason", "end_turn")))
        if state.rounds >= limits.rounds:
            _warn(desk, "ROUND_LIMIT", f"The turn has used its {limits.rounds} tool rounds and ends here.")
            return Result(state.entries, "round_limit")
        cap = limits.cost_cap_usd
        if cap is not None and state.spent >= cap:
            _warn(desk, "COST_LIMIT", f"The turn has reached its cost limit of ${cap} and ends here.")
            return Result(state.entries, "cost_limit")
        try:
            answer = _ask(state)
        except BudgetExceeded as error:
            if error.field != TURN_BUDGET:
                raise
            _warn(desk, "COST_LIMIT", error.message)
            return Result(state.entries, "cost_limit")
        if answer.error is not None:
            return _cut_short(state, answer)
        if answer.stop == "context_exceeded" and state.past:
            state.spent = desk.billed(answer)
            state.past = ()
            _warn(
                desk,
                "HISTORY_DROPPED",
                "The conversation is too long for the model; earlier messages were left out.",
            )
            continue
        _note_stop(desk, answer)
        entry = Entry("assistant", tuple(answer.blocks), marks=_marks(state, answer))
        state.spent = desk.answered(answer, entry)
        state.entries.append(entry)
        if not entry.calls and answer.stop != "pause_turn":
            return Result(state.entries, answer.stop)


def _ask(state: _State) -> Answer:
    """One answer of the model: tried again only while nothing of it was shown."""
    desk, limits = state.desk, state.agent.limits
    watch = Watch(desk.check, limits.first_token_seconds, limits.gap_seconds)
    attempt = 0
    while True:
        attempt += 1
        provider = state.provider
        assert provider is not None
        request = Request(
            model=state.model,
            system=state.agent.system,
            messages=state.messages,
            tools=state.agent.toolbox.specs() if provider.supports_tools else (),
            max_tokens=limits.max_tokens,
            timeout_seconds=min(120.0, desk.remaining()),
        )
        if provider.remote:
            desk.reserve(provider, request)
        try:
            permit = breaker.enter(_circuit(provider.name)) if provider.remote else None
        except ProviderUnavailable as error:
            desk.release()
            if state.agent.fallback is None or state.agent.fallback[0] is provider:
                return Answer(provider.name, state.model, error=error, told=True)
            state.provider, state.model = state.agent.fallback
            _warn(
                desk,
                "PROVIDER_FALLBACK",
                f"{provider.name} is not available now; {state.provider.name} answers this turn.",
            )
            continue
        answer = model_call.call(
            provider, request, watch, lambda text: _void(desk.emit("token", {"text": text}))
        )
        if permit is not None:
            if isinstance(answer.error, ProviderUnavailable):
                breaker.failed(permit)
            elif answer.error is None or answer.began or isinstance(answer.error, ProviderError):
                # A provider that refuses a request is well; only the request is not.
                breaker.succeeded(permit)
        again = isinstance(answer.error, ProviderUnavailable) and not answer.began and provider.remote
        if not again or attempt >= ATTEMPTS:
            return answer
        state.spent = desk.billed(answer)
        _wait(desk, attempt, getattr(answer.error, "retry_after", None))


def _circuit(provider: str) -> Circuit:
    return Circuit(f"provider:{provider}", f"The model provider {provider}", ProviderUnavailable)


def _wait(desk: Desk, attempt: int, retry_after: float | None) -> None:
    """Full jitter around a doubling pause; never shorter than the provider asked for."""
    pause = random.uniform(0.2, 0.5 * 2**attempt)
    if retry_after is not None:
        pause = retry_after + random.uniform(0, 0.25)
    if pause > min(_LONGEST_WAIT_SECONDS, desk.remaining()):
        raise ProviderUnavailable(
            "The model provider asks to wait longer than this turn may.", retry_after=retry_after
        )
    end = clock.monotonic() + pause
    while (left := end - clock.monotonic()) > 0:
        desk.check()
        clock.sleep(min(0.1, left))


def _run_tools(state: _State, calls: list[ToolUse]) -> None:
    desk = state.desk
    emitted: list[tuple[str, Mapping[str, Any]]] = []
    lock = threading.Lock()

    def emit(kind: str, data: Mapping[str, Any]) -> None:
        with lock:
            emitted.append((kind, dict(data)))
        desk.emit(kind, data)

    for call in calls:
        desk.emit("tool_call", {"id": call.id, "tool": call.name, "args": dict(call.arguments)})
    results: list[ToolResult] = []

    def goes_on() -> bool:
        try:
            desk.check()
        except (TurnCancelled, BridgeError):
            return False  # The loop meets it again, once what did run is kept.
        return True

    for outcome in state.agent.toolbox.run(calls, lambda call: desk.context(call, emit), goes_on):
        call = outcome.call
        if outcome.cached:
            desk.emit("tool_cache_hit", {"tool": call.name, "cache_key": outcome.cache_key})
        told: dict[str, Any] = {"id": call.id, "tool": call.name}
        if outcome.is_error:
            told["error"] = outcome.content["error"] if isinstance(outcome.content, dict) else outcome.content
        else:
            told["result"] = outcome.content
        desk.emit("tool_result", told | {"cached": outcome.cached, "duration_ms": outcome.duration_ms})
        results.append(ToolResult(call.id, outcome.content, outcome.is_error))
    entry = Entry("tools", tuple(results), emitted=tuple(emitted))
    desk.keep(entry)
    state.entries.append(entry)


def _cut_short(state: _State, answer: Answer) -> Result:
    """The end of a turn whose model call did not come to its end: what was shown is kept and marked."""
    state.spent = state.desk.billed(answer)
    error = answer.error
    partial = None
    if answer.text.strip():
        partial = Entry("assistant", (Text(answer.text),), marks=_marks(state, answer) | {"incomplete": True})
    if isinstance(error, TurnCancelled):
        return Result(state.entries, "cancelled", partial, error)
    if isinstance(error, DeadlineExceeded | BridgeError):
        return Result(state.entries, "error", partial, error)
    assert error is not None
    raise error


def _note_stop(desk: Desk, answer: Answer) -> None:
    if (more := len(answer.calls) + answer.dropped_calls - bounds.MAX_CALLS) > 0:
        _warn(
            desk,
            "TOO_MANY_CALLS",
            f"The model asked for more than {bounds.MAX_CALLS} tools at once; {more:,} of its calls are not run.",
        )
    match answer.stop:
        case "max_tokens":
            _warn(desk, "ANSWER_CUT", "The answer reached the model's output limit and was cut.")
        case "context_exceeded":
            _warn(
                desk, "CONTEXT_FULL", "The request is larger than the model's context; ask for less at once."
            )
        case "refusal":
            _warn(desk, "REFUSED", "The model declined to answer this.")


def _marks(state: _State, answer: Answer) -> dict[str, Any]:
    """What the log says of an answer; a figure that no result supports is marked there and in the stream."""
    marks: dict[str, Any] = {
        "provider": answer.provider,
        "model": answer.model,
        "stop_reason": answer.stop,
        "tokens": answer.usage.total,
    }
    wrong = numbers.unsupported_by(state.shown(), answer.text, said=state.said)
    if wrong:
        marks["unsupported_numbers"] = wrong[:20]
        _warn(
            state.desk,
            "UNSUPPORTED_NUMBER",
            f"No result of this turn contains {', '.join(wrong[:5])}: do not rely on it.",
            figures=wrong[:20],
        )
    return marks


def _warn(desk: Desk, code: str, message: str, **more: Any) -> None:
    desk.emit("warning", {"code": code, "message": message, **more})


def _void(_id: int) -> None:
    return None
