"""Rate limits: so many requests in any minute, over all instances, without a round trip for each of them.

    request ─► a token of this instance's grant? ──yes──► on            ~ 2 µs
                 └─no─► its pocket money? ─────────yes──► on            ~ 2 µs
                          └─no─► one Firestore transaction: a grant of tokens for one second
                                    ├─ granted ─► on
                                    ├─ nothing left ─► 429, and no further question until there may be some
                                    └─ not reachable ─► a bucket of this instance's own

The shared document counts granted tokens by the second. A token is spent within a second of being granted,
so all that is spent in any 60 s was granted in at most 62 of those seconds: their sum is kept at the limit
less everybody's pocket money, and the limit holds in every window, not only in those that begin on a minute.
What an instance does not spend of a grant is given back with its next question, or stays counted.

Pocket money is what an instance may spend without asking: a tenth of the limit, divided by 16. A person who
clicks through the console lives on it, so a function that needs only the directory does not load Firestore
for them. With more than 16 instances at work for one caller, each further one adds its pocket money.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shared.platform import clock, threads
from shared.platform.caches import Bounded, recent
from shared.platform.cloud import documents
from shared.platform.errors import RateLimited, Unavailable
from shared.platform.registry.gathered import RATES
from shared.platform.registry.kinds import Limit
from shared.platform.settings import settings
from shared.platform.telemetry import context as telemetry

COLLECTION = "rates"
WINDOW_SECONDS = 60
SLOT_SECONDS = 1
SLOTS = WINDOW_SECONDS // SLOT_SECONDS + 2
"""Seconds of granting that any window of spending can touch: its own, one before it, and a begun one."""
INSTANCES = 16
POCKET_SHARE = 0.1
MOST_METERS = 20_000
PATIENCE_SECONDS = 2.0
FIRST_PATIENCE_SECONDS = 8.0
"""The first question of an instance loads the client."""
AWAY_SECONDS = 10.0
_ATTEMPTS = 3
T = TypeVar("T")


@dataclass(frozen=True)
class Standing:
    """Where a caller stands after a request: what the RateLimit headers say."""

    policy: str
    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """RateLimit-Policy and RateLimit, as draft-ietf-httpapi-ratelimit-headers has them."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.reset_seconds}',
        }


@dataclass(frozen=True)
class Grant:
    """What the shared document gave. `room` is what it has left, `wait` when it has more at the latest."""

    tokens: int
    slot: int
    decided: float
    room: int
    wait: float


@dataclass
class _Meter:
    """One caller's limit as this instance sees it."""

    key: str
    policy: str
    limit: int
    pocket: deque[float] = field(default_factory=deque)
    tokens: int = 0
    granted: int = 0
    slot: int = 0
    until: float = 0.0
    room: int = 0
    refused_until: float = 0.0
    wait: float = float(WINDOW_SECONDS)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def allowance(self) -> int:
        """The pocket money of one instance."""
        return int(self.limit * POCKET_SHARE / INSTANCES)

    @property
    def shared(self) -> int:
        """What the shared document may grant in a window."""
        return self.limit - INSTANCES * self.allowance


def spend(name: str, who: str, *, most: int | None = None) -> Standing:
    """Count one request of the caller against the rate limit of that name; raises RateLimited.

    `most` is the caller's own limit, in requests a minute, where it differs from everybody's. Instances that
    learn of a new one a moment apart agree again as soon as they do: the shared document counts what was granted.
    """
    limit = RATES[name]
    meter = _meter(limit, who, value(limit) if most is None else most)
    with meter.lock:
        return _spend(meter)


def value(limit: Limit) -> int:
    """A rate limit's value here: requests a minute."""
    return settings().limits.get(limit.name, limit.default)


def _spend(meter: _Meter) -> Standing:
    for _ in range(_ATTEMPTS):
        now = clock.monotonic()
        while meter.pocket and meter.pocket[0] <= now - WINDOW_SECONDS:
            meter.pocket.popleft()
        if meter.tokens > 0 and now < meter.until:
            meter.tokens -= 1
            return _standing(meter)
        if len(meter.pocket) < meter.allowance:
            meter.pocket.append(now)
            return _standing(meter)
        if now < meter.refused_until:
            raise _refusal(meter, meter.wait)
        grant = _ask(meter)
        if grant is None:
            return _alone(meter)
        meter.tokens = meter.granted = grant.tokens
        meter.slot, meter.until = grant.slot, grant.decided + SLOT_SECONDS
        meter.room, meter.wait = grant.room, grant.wait
        if grant.tokens == 0:
            # No question before it may help, so that a caller who keeps on calling costs nothing.
            meter.refused_until = clock.monotonic() + min(grant.wait, 1.0)
            raise _refusal(meter, grant.wait)
    # Every grant was too old when it came: the store is too slow to tell, which is no reason to let through.
    raise _refusal(meter, 1.0)


def _alone(meter: _Meter) -> Standing:
    """Firestore is away: each instance lets a sixteenth of the limit through and refuses the rest."""
    now = clock.monotonic()
    if len(meter.pocket) < min(meter.limit, max(1, meter.limit // INSTANCES)):
        meter.pocket.append(now)
        return _standing(meter)
    began = meter.pocket[0] if meter.pocket else now  # A limit of nought has spent nothing.
    raise _refusal(meter, began + WINDOW_SECONDS - now)


def _ask(meter: _Meter) -> Grant | None:
    """A grant from the shared document; None while it can't be reached."""
    if _away.lasts():
        return None
    unspent, slot = meter.tokens, meter.slot
    spent = meter.granted - unspent
    want = max(1, min(2 * spent, meter.limit // INSTANCES))
    meter.tokens = meter.granted = 0

    def decide(document: dict[str, Any] | None) -> tuple[dict[str, Any], Grant]:
        return granted(document, shared=meter.shared, want=want, unspent=unspent, slot=slot)

    try:
        return _within_patience(
            lambda: documents.change(
                COLLECTION,
                meter.key,
                decide,
                ttl_seconds=2 * WINDOW_SECONDS,
                timeout_seconds=PATIENCE_SECONDS,
            )
        )
    except documents.Contended:
        return Grant(0, 0, clock.monotonic(), 0, 1.0)
    except Unavailable as error:
        _away.begin(error)
        return None


def granted(
    document: dict[str, Any] | None, *, shared: int, want: int, unspent: int, slot: int
) -> tuple[dict[str, Any], Grant]:
    """The document after a question, and the grant. Pure but for the clock: it may run several times."""
    at, decided = clock.epoch(), clock.monotonic()
    this = int(at // SLOT_SECONDS)
    slots = {int(name): int(count) for name, count in (document or {}).get("slots", {}).items()}
    # Clocks of instances differ a little: the newest second that anybody wrote is now. One far ahead is wrong.
    this = max([this, *(known for known in slots if known <= this + 5)])
    slots = {known: count for known, count in slots.items() if this - SLOTS < known <= this}
    if unspent and slot in slots:
        slots[slot] = max(0, slots[slot] - unspent)
    room = max(0, shared - sum(slots.values()))
    tokens = min(want, room)
    if tokens:
        slots[this] = slots.get(this, 0) + tokens
    oldest = min((known for known, count in slots.items() if count), default=this)
    wait = max(0.1, (oldest + SLOTS) * SLOT_SECONDS - at)
    kept = {"slots": {str(known): count for known, count in slots.items() if count}}
    return kept, Grant(tokens, this, decided, room - tokens, wait)


def _standing(meter: _Meter) -> Standing:
    asked = meter.until > 0
    left = meter.tokens + meter.allowance - len(meter.pocket) + (meter.room if asked else meter.shared)
    return Standing(meter.policy, meter.limit, max(0, left), max(1, round(meter.wait)))


def _refusal(meter: _Meter, wait: float) -> RateLimited:
    wait = max(1.0, wait)
    standing = Standing(meter.policy, meter.limit, 0, round(wait))
    error = RateLimited(
        f"More than {meter.limit:,} requests in {WINDOW_SECONDS} seconds; try again in {round(wait)} s.",
        reason=meter.policy,
        details={"policy": meter.policy, "limit": meter.limit, "window_seconds": WINDOW_SECONDS},
        retry_after=wait,
    )
    error.headers = standing.headers()
    return error


# Meters of this instance ---------------------------------------------------------------------------

_meters: Bounded[str, _Meter] = recent(MOST_METERS)


def _meter(limit: Limit, who: str, most: int) -> _Meter:
    key = f"{limit.name}:{who}"
    return _meters.obtain(
        key,
        lambda: _Meter(key, limit.name.removeprefix("rate_"), most),
        fits=lambda meter: meter.limit == most,
    )


def forget() -> None:
    """Begin anew, as a fresh instance does."""
    _meters.clear()
    _away.end()
    _loaded.clear()


# Firestore, bounded in time ------------------------------------------------------------------------


class _Away:
    """While Firestore can't be reached it is not asked again for some seconds; said once each time."""

    def __init__(self) -> None:
        self._until = 0.0

    def lasts(self) -> bool:
        return clock.monotonic() < self._until

    def begin(self, error: BaseException) -> None:
        self._until = clock.monotonic() + AWAY_SECONDS
        telemetry.log(
            "rate limits are kept by each instance alone: Firestore is not reachable",
            "ERROR",
            error_type=type(error.__cause__ or error).__name__,
            seconds=AWAY_SECONDS,
        )

    def end(self) -> None:
        self._until = 0.0


_away = _Away()
_loaded = threading.Event()


def _within_patience(work: Callable[[], T]) -> T:
    """Run in a thread and wait for a bounded time: the client's begin and commit take no timeout.

    What comes too late is not used: tokens that it took from the shared document stay counted.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
            _loaded.set()
        except BaseException as error:
            failure.append(error)

    thread = threads.start("rates", run)
    thread.join(PATIENCE_SECONDS if _loaded.is_set() else FIRST_PATIENCE_SECONDS)
    if outcome:
        return outcome[0]
    if failure:
        if isinstance(failure[0], Unavailable):
            raise failure[0]
        # Missing credentials, a client that can't be made: for the caller all the same.
        raise Unavailable("Firestore is not usable.") from failure[0]
    raise Unavailable("Firestore did not answer in time.")
