"""The spending ledger: reserve before the work, settle with what it really cost, refund what never began.

    reserve ─► held ─┬─ settle(actual) ─► settled     used += actual, reserved -= amount
                     ├─ refund ─────────► refunded    reserved -= amount
                     └─ lease ends ─────► lapsed      reserved -= amount; a late settle still counts

A holder that lives keeps its lease by a heartbeat (`keep`; `held` does it itself), so what a dead one held is free
within a minute or a few, and a slow one loses nothing. A reservation is keyed by the attempt, so a repeated one finds the first instead of taking twice. It is
taken from every window of its resource at once (day, month, turn, conversation, slots), by one statement
that fails when any of them would be overspent; a settle may exceed its reservation, and the next reserve
meets the excess. The day and the month are those of the reservation, in UTC.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Literal, TypeVar

from shared.platform import clock
from shared.platform.errors import BridgeError, BudgetExceeded, QuotaExceeded
from shared.platform.leases.contract import Terms
from shared.platform.leases.heartbeat import Heartbeat
from shared.platform.postgres import pool, sql
from shared.platform.registry import gathered
from shared.platform.registry.kinds import Limit
from shared.platform.settings import settings
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry.bookkeeping import bookkeeping

Q = sql.load(__file__)

TERMS = Terms(seconds=60.0, heartbeat=15.0, at_most=900.0)
"""How a reservation is kept. Who needs one for longer hangs, and keeps nothing any more: no query may run as long."""
JOB_SECONDS = 3600.0
"""How long what a job holds outlives its last step: each one that begins keeps it (`ledger`)."""
State = Literal["held", "settled", "refunded", "lapsed"]
Part = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Reservation:
    """What an attempt has. `found` says that an earlier call under the same key made it."""

    team: str
    resource: str
    key: str
    amount: int
    state: State
    found: bool = False


@dataclass
class Spending:
    """An amount that is held while a block runs."""

    reservation: Reservation
    actual: int | None = field(default=None)
    begun: bool = False

    def begin(self) -> None:
        """Say that the work has been taken up elsewhere, which may bill it whatever becomes of this block."""
        self.begun = True

    def settle(self, actual: int) -> None:
        """Say what it really cost; it is written when the block ends, also by an error after this."""
        self.actual = max(0, actual)


def reserve(
    team: str,
    resource: str,
    amount: int,
    *,
    key: str,
    scopes: Mapping[str, str] | None = None,
    lease_seconds: float = TERMS.seconds,
) -> Reservation:
    """Take an amount in a transaction of its own, or raise QuotaExceeded or BudgetExceeded.

    `scopes` names the turn and the session where there are some. What abandoned attempts still hold is
    looked for only when the amount does not fit.
    """

    def work() -> Reservation:
        with pool.transaction(team) as tx:
            return take(tx, team, resource, amount, key=key, scopes=scopes, lease_seconds=lease_seconds)

    return pool.surely(lambda: without_the_dead(team, work))


def without_the_dead(team: str, work: Callable[[], T]) -> T:
    """Run what takes something; where it does not fit, free what died and run it once more."""
    try:
        return work()
    except (QuotaExceeded, BudgetExceeded):
        if not end_leases(team):
            raise
    return work()


def take(
    tx: pool.Tx,
    team: str,
    resource: str,
    amount: int,
    *,
    key: str,
    scopes: Mapping[str, str] | None = None,
    lease_seconds: float = TERMS.seconds,
) -> Reservation:
    """Take an amount in the caller's transaction, which must roll back when this raises.

    Wrap that transaction in `without_the_dead`.
    """
    parts = _parts(resource, scopes or {}, clock.now())
    bound = {"team": team, "resource": resource, "key": key}
    while True:
        row = tx.one(Q.take, **bound, amount=amount, parts=parts, lease=lease_seconds)
        if row["made"]:
            if refused := [part for part in parts if part["name"] not in row["taken"]]:
                raise _refusal(tx, team, amount, refused[0])
            return Reservation(team, resource, key, amount, "held")
        known = tx.one(Q.find_reservation, **bound)
        if known["state"] == "settled" or tx.run(Q.keep_reservation, **bound, lease=lease_seconds):
            return Reservation(team, resource, key, int(known["amount"]), known["state"], found=True)
        # Its lease ended between the two statements: take it anew.


def settle(team: str, resource: str, key: str, actual: int) -> bool:
    """Count what was really spent; once. False when the reservation was ended before, or never made."""
    with pool.transaction(team) as tx:
        return end(tx, team, resource, key, actual)


def refund(team: str, resource: str, key: str) -> bool:
    """Give an amount back whose work did not begin; once."""
    with pool.transaction(team) as tx:
        return end(tx, team, resource, key, None)


def end(tx: pool.Tx, team: str, resource: str, key: str, actual: int | None) -> bool:
    """Settle with `actual`, or refund with None, in the caller's transaction."""
    row = tx.one(
        Q.end_reservation,
        team=team,
        resource=resource,
        key=key,
        state="refunded" if actual is None else "settled",
        actual=max(0, actual or 0),
    )
    return bool(row["ended"])


def keep(tx: pool.Tx, team: str, key: str, *, lease_seconds: float, below: str | None = None) -> None:
    """Begin the leases anew of what is held under a key, and under all that begin with `below`."""
    tx.run(Q.keep_under, team=team, key=key, below=below, lease=lease_seconds)


def end_all(tx: pool.Tx, team: str, key: str) -> None:
    """Settle all that is held under a key, such as a job's, with the amounts that were taken."""
    for row in tx.all(Q.held_under, team=team, key=key):
        end(tx, team, row["resource"], key, int(row["amount"]))


def end_leases(team: str) -> int:
    """Free what attempts hold that died; answers how many there were."""
    with pool.transaction(team) as tx:
        ended = int(tx.one(Q.end_leases, team=team)["ended"])
    if ended:
        telemetry.log("abandoned reservations were freed", "WARNING", count=ended)
    return ended


@contextmanager
def held(
    team: str,
    resource: str,
    amount: int,
    *,
    key: str,
    scopes: Mapping[str, str] | None = None,
    terms: Terms = TERMS,
    billed: Callable[[BaseException], bool] = lambda _error: True,
) -> Iterator[Spending]:
    """Hold an amount while the block works, for at most as long as the terms say.

    Settled with what the block said, and with the whole amount when it ended without a word. When it raised before it
    said anything, it is refunded; but what had begun elsewhere, and whose error `billed` does not rule out, is settled
    with the whole amount: a query that is cancelled is paid for. What the ledger can't be told now it is told later.
    """
    spending = Spending(reserve(team, resource, amount, key=key, scopes=scopes, lease_seconds=terms.seconds))

    def renew() -> bool:
        with pool.transaction(team) as tx:
            keep(tx, team, key, lease_seconds=terms.seconds)
        return True

    try:
        with Heartbeat(renew, terms, f"a reservation of {resource}"):
            yield spending
    except BaseException as error:
        paid = amount if spending.begun and billed(error) else None
        _close(spending, paid if spending.actual is None else spending.actual)
        raise
    _close(spending, amount if spending.actual is None else spending.actual)


def ceiling(limit: Limit) -> int:
    """A limit's value before any override of a team: the environment's, else the default."""
    return settings().limits.get(limit.name, limit.default)


def resets_at(limit: Limit, at: datetime) -> datetime | None:
    """When a window's use begins anew; None where it does not by the clock."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if limit.window == "day":
        return midnight + timedelta(days=1)
    if limit.window == "month":
        return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    return None


def window_key(limit: Limit, scopes: Mapping[str, str], at: datetime) -> str | None:
    """Which counter of the limit is meant; None for the turn of what runs in no turn."""
    match limit.window:
        case "day":
            return at.astimezone(UTC).strftime("%Y-%m-%d")
        case "month":
            return at.astimezone(UTC).strftime("%Y-%m")
        case "concurrent":
            return "now"
        case _:
            return scopes.get(limit.window)


def _parts(resource: str, scopes: Mapping[str, str], at: datetime) -> list[Part]:
    found: list[Part] = []
    for limit in gathered.windows(resource):
        key = window_key(limit, scopes, at)
        if key is not None:
            kind = "slot" if limit.window == "concurrent" else "amount"
            found.append({"name": limit.name, "window_key": key, "kind": kind, "ceiling": ceiling(limit)})
    return found


def _refusal(tx: pool.Tx, team: str, amount: int, part: Part) -> BridgeError:
    """The error of a window that is full, with what a person can do."""
    limit = gathered.LIMITS[part["name"]]
    overrides = {row["name"]: int(row["value"]) for row in tx.all(Q.read_overrides, team=team)}
    most = overrides.get(limit.name, part["ceiling"])
    counter = tx.find(Q.read_counters, team=team, parts=[part])
    usage = int(counter["used"] + counter["reserved"]) if counter else 0
    reset = resets_at(limit, clock.now())
    details = {
        "name": limit.name,
        "usage": usage,
        "requested": amount,
        "limit": most,
        "unit": limit.unit,
        "resets_at": clock.iso(reset),
    }
    text = (
        f"{limit.what}: {usage:,} of {most:,}{_UNITS[limit.unit]} are used or promised, this needs {amount:,}. "
        f"{_NEXT.get(limit.window) or f'It begins anew at {clock.iso(reset)}'}; "
        "an administrator of the platform can raise the limit."
    )
    reason = "the limit is reached"
    if limit.is_quota:
        return QuotaExceeded(text, field=limit.name, reason=reason, details=details)
    return BudgetExceeded(text, field=limit.name, reason=reason, details=details)


_UNITS = {"bytes": " bytes", "micro_usd": " micro-dollars", "count": "", "requests": " requests"}
_NEXT = {
    "concurrent": "Wait until one of those that run has ended",
    "turn": "Ask in a new message",
    "session": "Begin a new conversation",
}


# Reservations that the ledger could not be told the end of ------------------------------------------

MOST_OWED = 1_000
_owed: deque[tuple[Reservation, int | None]] = deque(maxlen=MOST_OWED)


def _close(spending: Spending, actual: int | None) -> None:
    """End the reservation; where that fails the next that ends on this instance ends this one, too.

    What was spent counts also after the lease: a reservation that has lapsed is settled like one that is held.
    """
    for made, amount in chain([(spending.reservation, actual)], _take_owed()):
        with bookkeeping(
            "the end of a reservation", "it is written with a later one", resource=made.resource
        ) as written:
            with pool.transaction(made.team) as tx:
                end(tx, made.team, made.resource, made.key, amount)
        if not written.ok:
            _owed.append((made, amount))
            return


def _take_owed() -> Iterator[tuple[Reservation, int | None]]:
    """What is owed, one by one, each taken by one thread."""
    for _ in range(len(_owed)):
        try:
            yield _owed.popleft()
        except IndexError:
            return
