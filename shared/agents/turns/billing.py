"""The bill of one turn's model calls: what a call may cost is promised before it, what it did cost is kept
after, once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from shared.agents import store
from shared.agents.cost import pricing
from shared.agents.loop.model_call import Answer
from shared.agents.protocol.model import Price, Provider, Request
from shared.agents.turn.lease import PROMISE_SECONDS
from shared.agents.turn.state import Turn
from shared.agents.turns.patience import patiently
from shared.platform.limits import budgets
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry import recording
from shared.platform.telemetry.bookkeeping import bookkeeping


@dataclass
class Billing:
    """What one process promises and pays for a turn that it holds."""

    turn: Turn
    epoch: int
    unknown: Decimal = Decimal(0)
    """What calls without a known price have cost at the most: for the turn's cap, not for its bill."""
    _calls: int = 0
    _key: str = ""
    _vendor: str = ""
    _asked: Request | None = None
    _promised: Decimal = Decimal(0)

    def promise(self, provider: Provider, request: Request) -> None:
        """The turn, the conversation and the team promise what the call may cost at the most.

        Raises ValidationFailed for a model without a known price, QuotaExceeded and BudgetExceeded.
        """
        self._vendor, self._asked, self._key = pricing.vendor_of(provider), request, ""
        self._promised = pricing.most(self._vendor, request)
        self._calls += 1
        self._key = f"{self.turn.id}/{self.epoch}/{self._calls}"
        patiently(
            lambda: budgets.reserve(
                self.turn.team,
                "model_cost",
                _micro(self._promised),
                key=self._key,
                scopes={"turn": self.turn.id, "session": self.turn.session_id},
                lease_seconds=PROMISE_SECONDS,
            )
        )

    def release(self) -> None:
        """The call was not made."""
        with bookkeeping("the end of a reservation", "its lease ends", turn=self.turn.id):
            budgets.refund(self.turn.team, "model_cost", self._key)

    def price(self, answer: Answer, *, free: bool) -> Price:
        """What a call cost; asked once for each call. `free` is for what runs here."""
        vendor = self._vendor or answer.provider
        price = pricing.price(vendor, answer.model, answer.usage, free=free)
        if price.cost_usd is None:
            # What nobody knows the price of counts as what was promised for it, or more.
            price = replace(price, at_most=max(price.at_most, self._promised))
        elif not free and answer.error is not None and not answer.told and self._asked is not None:
            # It was cut before the vendor said a word: what was sent has its price.
            price = Price(None, pricing.most(vendor, replace(self._asked, max_tokens=0)))
        if price.cost_usd is None:
            self.unknown += price.at_most
        return price

    def keep(
        self, tx: pool.Tx, bill: str, answer: Answer, price: Price, *, purpose: str
    ) -> tuple[int, Decimal]:
        """Put a call on the bill under this id, once; answers what the turn has used and cost.

        The transaction may be a repetition of one that was kept. Where the conversation is deleted by now,
        the team pays all the same.
        """
        turn, usage = self.turn, answer.usage
        added = store.add_model_call(
            tx,
            id=bill,
            team=turn.team,
            user=turn.user,
            session=turn.session_id,
            turn=turn.id,
            provider=answer.provider,
            model=answer.model,
            purpose=purpose,
            fresh=usage.fresh_input,
            write_5m=usage.cache_write_5m,
            write_1h=usage.cache_write_1h,
            read=usage.cache_read,
            output=usage.output,
            cost=price.cost_usd,
            first_token_ms=answer.first_token_ms,
            total_ms=answer.total_ms,
            stop_reason=answer.stop,
            error=None
            if answer.error is None
            else getattr(answer.error, "code", type(answer.error).__name__),
            trace_id=telemetry.context().trace_id,
        )
        if not added:
            return store.turn_totals(tx, turn.team, turn.id)
        of = {"provider": answer.provider, "model": answer.model}
        tx.after_commit(lambda: recording.count("bridge.model.tokens", usage.total, **of))
        tx.after_commit(lambda: recording.count("bridge.model.cost", float(price.cost_usd or 0), **of))
        if self._key:
            budgets.end(tx, turn.team, "model_cost", self._key, _micro(price.at_most))
        return store.add_to_totals(tx, turn.team, turn.id, usage.total, price.cost_usd)


def _micro(dollars: Decimal) -> int:
    """Micro-dollars, rounded up: the ledger never counts less than was spent."""
    return int((dollars * 1_000_000).to_integral_value(ROUND_CEILING))
