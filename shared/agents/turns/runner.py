"""Work on a turn that this process holds, from its journal to its end.

Every durable write is a transaction that first locks the turn's row under this process's owner token:
who was thought dead and wakes up finds no row, and its transaction rolls back. What a model call cost is
the exception: it was spent, whoever has the turn now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from shared.agents import store
from shared.agents.conversation import log
from shared.agents.loop import orchestrator
from shared.agents.loop.agent import Agent
from shared.agents.loop.model_call import Answer
from shared.agents.protocol import history
from shared.agents.protocol.model import Price, Provider, Request, ToolContext, ToolUse
from shared.agents.store import LostTurn
from shared.agents.turn.journal import Entry, lines_of, message_id
from shared.agents.turn.lease import Hold
from shared.agents.turn.state import Turn
from shared.agents.turns.billing import Billing
from shared.agents.turns.patience import StoreAway, patiently, patiently_or_fail
from shared.agents.turns.publisher import Publisher
from shared.platform import clock
from shared.platform.clock import iso
from shared.platform.errors import BridgeError
from shared.platform.ids import new_id
from shared.platform.limits import budgets
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry.bookkeeping import bookkeeping

COME_BACK_SECONDS = 2.0
"""When a client whose connection broke, too, may ask for the rest of an interrupted turn."""


@dataclass
class Work:
    """The orchestrator's desk: events, ledger and journal of one held turn."""

    turn: Turn
    hold: Hold
    publisher: Publisher
    purpose: str = "chat"
    free: frozenset[str] = frozenset()
    """Providers that run here and cost nothing."""
    entries: int = 0
    memory: dict[str, Any] = field(default_factory=dict)
    _unpriced: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._billing = Billing(self.turn, self.hold.epoch)

    def emit(self, kind: str, data: Mapping[str, Any]) -> int:
        return self.publisher.emit(kind, data)

    def check(self) -> None:
        self.hold.check()

    def remaining(self) -> float:
        return self.hold.remaining()

    def reserve(self, provider: Provider, request: Request) -> None:
        self._billing.promise(provider, request)

    def release(self) -> None:
        self._billing.release()

    def billed(self, answer: Answer) -> Decimal:
        """Not fenced: the money is spent even if the turn is lost."""
        return self._tell_cost(*self._billed(new_id(), answer, self._price(answer)))

    def answered(self, answer: Answer, entry: Entry) -> Decimal:
        price, bill = self._price(answer), new_id()

        def write() -> tuple[int, Decimal]:
            with pool.transaction(self.turn.team) as tx:
                store.hold_turn(tx, self.turn.team, self.turn.id, self.hold.owner)
                self._journal(tx, entry)
                return self._billing.keep(tx, bill, answer, price, purpose=self.purpose)

        try:
            totals = patiently(write)
        except LostTurn:
            self._billed(bill, answer, price)
            raise
        self.entries += 1
        return self._tell_cost(*totals)

    def keep(self, entry: Entry) -> None:
        def write() -> None:
            with pool.transaction(self.turn.team) as tx:
                store.hold_turn(tx, self.turn.team, self.turn.id, self.hold.owner)
                self._journal(tx, entry)

        patiently(write)
        self.entries += 1

    def context(self, call: ToolUse, emit: Callable[[str, Mapping[str, Any]], None]) -> ToolContext:
        turn = self.turn
        return ToolContext(
            team=turn.team,
            user=turn.user,
            session_id=turn.session_id,
            turn_id=turn.id,
            call_id=call.id,
            connection_id=turn.ask.connection_id,
            remaining=self.hold.remaining,
            emit=emit,
            memory=self.memory,
        )

    def _journal(self, tx: pool.Tx, entry: Entry) -> None:
        store.add_to_journal(
            tx,
            self.turn.team,
            self.turn.id,
            self.entries,
            entry.kind,
            entry.to_row(),
            self.publisher.last_id,
        )

    def _price(self, answer: Answer) -> Price:
        price = self._billing.price(answer, free=answer.provider in self.free)
        if price.warning is not None and answer.model not in self._unpriced:
            self._unpriced.add(answer.model)
            self.emit("warning", {"code": "COST_UNKNOWN", "message": price.warning})
        return price

    def _billed(self, bill: str, answer: Answer, price: Price) -> tuple[int, Decimal]:
        def write() -> tuple[int, Decimal]:
            with pool.transaction(self.turn.team) as tx:
                return self._billing.keep(tx, bill, answer, price, purpose=self.purpose)

        return patiently(write)

    def _tell_cost(self, tokens: int, cost: Decimal) -> Decimal:
        self.emit("cost_update", {"tokens": tokens, "cost_usd": float(cost)})
        return cost + self._billing.unknown


def run(turn: Turn, hold: Hold, publisher: Publisher, assemble: Callable[[Turn], Agent]) -> None:
    """Bring the turn to its end, or leave it to whoever has it now. Never raises."""
    hold.keep()
    try:
        with telemetry.span("chat.stream", epoch=hold.epoch):
            _run(turn, hold, publisher, assemble)
    except LostTurn:
        telemetry.log("another process has the turn now", "WARNING", turn=turn.id, epoch=hold.epoch)
        _tell_interruption(publisher)
    except BaseException as error:
        telemetry.log_exception("a turn was left to its journal", error, turn=turn.id)
        _tell_interruption(publisher)
        with bookkeeping("the end of a lease", "it ends by itself", what="a turn", turn=turn.id):
            hold.release()
    finally:
        hold.stop()
        publisher.close()


def _tell_interruption(publisher: Publisher) -> None:
    """The turn has not ended: who listens need not do anything, and sees why nothing comes for a moment."""
    publisher.emit(
        "interrupted",
        {
            "code": "TURN_INTERRUPTED",
            "message": "The answer was interrupted; it goes on in a moment.",
            "retryable": True,
            "retry_after": COME_BACK_SECONDS,
        },
    )


def _run(turn: Turn, hold: Hold, publisher: Publisher, assemble: Callable[[Turn], Agent]) -> None:
    entries, spent = _journal_of(turn)
    if hold.epoch == 1:
        publisher.emit("turn_started", {"turn_id": turn.id, "session_id": turn.session_id})
    else:
        hold.mine()
        publisher.emit(
            "warning",
            {
                "code": "TURN_RESUMED",
                "message": "The answer was interrupted and continues from its last finished step.",
                "discard_after": entries[-1].last_event if entries else 1,
            },
        )
    work = Work(turn, hold, publisher, purpose=turn.ask.purpose, entries=len(entries))
    agent: Agent | None = None
    try:
        agent = patiently_or_fail(lambda: assemble(turn))
        work.purpose = agent.purpose
        work.free = frozenset(
            provider.name
            for provider in (agent.provider, *(agent.fallback or ())[:1])
            if not isinstance(provider, str) and not provider.remote
        )
        hold.deadline = clock.monotonic() + agent.limits.seconds
        result = orchestrator.run(
            agent,
            work,
            said=turn.ask.message,
            past=patiently_or_fail(lambda: _past(turn)),
            journal=entries,
            spent=spent,
        )
    except (LostTurn, StoreAway):
        raise
    except Exception as error:
        if not isinstance(error, BridgeError):
            telemetry.log_exception("a turn ended with an unexpected error", error, turn=turn.id)
            error = BridgeError()
        # What is journaled by now, also by this process: it was said and paid for.
        result = orchestrator.Result(_kept_of(turn)[0], "error", error=error)
    _finish(work, agent, result)


def _finish(work: Work, agent: Agent | None, result: orchestrator.Result) -> None:
    turn, hold = work.turn, work.hold
    entries = [*result.entries, *([result.partial] if result.partial else [])]
    state = {"cancelled": "cancelled", "error": "failed"}.get(result.stop, "completed")
    if state == "cancelled":
        if entries and entries[-1].kind == "assistant":
            entries[-1] = replace(entries[-1], marks={**entries[-1].marks, "cancelled": True})
        work.emit(
            "warning", {"code": "TURN_CANCELLED", "message": "The turn was stopped; what it said is kept."}
        )
    lines = lines_of(turn.id, turn.ask.message, turn.asked_at, entries)
    answers = [index for index, entry in enumerate(entries, start=1) if entry.kind == "assistant"]
    answer_id = message_id(turn.id, answers[-1] if answers else 0)
    closing: dict[str, Any] = {"stop_reason": result.stop}
    if result.error is not None and state == "failed":
        closing["error"] = error_event(result.error)
    if agent is not None:
        closing |= agent.closing([event for entry in entries for event in entry.emitted])
    chunk = patiently(
        lambda: log.append(
            turn.session_id,
            turn.id,
            lines,
            chunk=turn.log_chunk,
            epoch=hold.epoch,
            still_mine=hold.mine,
        )
    )

    def write() -> pool.Row:
        with pool.transaction(turn.team) as tx:
            row, ended = store.finish_turn(tx, turn.team, turn.id, hold.owner, state, answer_id, closing)
            if not ended:
                return row
            budgets.end(tx, turn.team, "generations", turn.id, 1)
            store.count_messages(
                tx,
                turn.team,
                turn.session_id,
                users=1,
                assistants=sum(line["role"] == "assistant" for line in lines),
                tools=sum(line["role"] == "tool" for line in lines),
                chunk=chunk,
                summary=turn.ask.message[:500],
            )
            return row

    row = patiently(write)
    for kind, data in last_events(turn.id, turn.session_id, state, answer_id, closing, row):
        work.emit(kind, data)


def last_events(
    turn_id: str,
    session_id: str,
    state: str,
    message: str | None,
    closing: Mapping[str, Any],
    totals: pool.Row,
) -> list[tuple[str, dict[str, Any]]]:
    """How the stream of a turn ends, from what its row says."""
    found: list[tuple[str, dict[str, Any]]] = []
    if "error" in closing:
        found.append(("error", dict(closing["error"])))
    extra = {key: value for key, value in closing.items() if key != "error"}
    complete = {
        "total_tokens": int(totals["total_tokens"]),
        "total_cost_usd": float(totals["total_cost_usd"]),
        "message_id": message,
        "session_id": session_id,
        "turn_id": turn_id,
        "state": state,
    }
    found.append(("complete", extra | complete))
    return found


def error_event(error: BaseException) -> dict[str, Any]:
    """The `error` event of an error; one that is not ours says nothing of itself."""
    known = error if isinstance(error, BridgeError) else BridgeError()
    event: dict[str, Any] = {"code": known.code, "message": known.message, "retryable": known.retryable}
    for name in ("field", "reason", "retry_after"):
        if (value := getattr(known, name)) is not None:
            event[name] = value
    return event


def _journal_of(turn: Turn) -> tuple[list[Entry], Decimal]:
    return ([], Decimal(0)) if turn.epoch == 1 and turn.fresh else _kept_of(turn)


def _kept_of(turn: Turn) -> tuple[list[Entry], Decimal]:
    """What is kept of the turn: its journal, and what it has cost."""
    with pool.transaction(turn.team) as tx:
        rows = store.read_journal(tx, turn.team, turn.id)
        row = store.find_turn(tx, turn.id)
    if row is None:
        raise LostTurn
    return [Entry.from_row(found) for found in rows], row["total_cost_usd"]


def _past(turn: Turn) -> list[Any]:
    """The conversation before this turn."""
    if turn.message_count == 0:
        return []
    page = log.newest(
        turn.session_id,
        turn.log_chunk,
        limit=history.LOADED,
        enough=lambda lines: history.reaches(lines, turn.message_count),
    )
    earlier = [line for line in reversed(page.lines) if line["turn_id"] != turn.id]
    return [history.message_of(line) for line in history.window(earlier, turn.message_count)]


def asked_now() -> str:
    """The timestamp of a message that has just arrived."""
    return str(iso(clock.now()))
