"""A circuit breaker, shared by all instances: what fails again and again is left alone for a while.

    closed ── failures in a row, confirmed ──► open ── pause ──► one probe ── success ──► closed
                                                ▲                   └────── failure ──────┐
                                                └───────── a longer pause ────────────────┘

The state is one Firestore document for each circuit, and the probe is a lease in it: of all instances that see the
pause end exactly one gets through; if it never comes back, its lease ends too. The time is Firestore's own.
A call that was refused for the caller's own fault is a success: who answers is well. Where Firestore can't
be reached the circuit counts as closed: a lost breaker must not stop what it protects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.platform import clock
from shared.platform.caches import Bounded, fresh_until
from shared.platform.cloud import documents
from shared.platform.cloud.documents import Seen
from shared.platform.errors import Unavailable
from shared.platform.leases.contract import Lease
from shared.platform.leases.firestore import granted, look_at
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry import recording

_KEPT_SECONDS = 86_400.0


@dataclass(frozen=True)
class Circuit:
    """What is protected, and how patiently."""

    name: str
    """The key of its state, such as `provider:anthropic`."""
    words: str
    """What a person reads, at the beginning of the refusal."""
    refusal: type[Unavailable] = Unavailable
    opens_after: int = 5
    pause_seconds: float = 300.0
    first_pause_seconds: float = 300.0
    """How long the first pause is; each one after a probe that failed is twice as long, up to `pause_seconds`."""
    probe_seconds: float = 120.0
    """How long a probe may take before another one is let through."""
    trust_seconds: float = 0.0
    """How long an instance takes a circuit that it found closed for closed, without asking again."""


@dataclass(frozen=True)
class Permit:
    """Leave to call once."""

    circuit: Circuit
    failures: int = 0
    probe: str | None = None


def enter(circuit: Circuit) -> Permit:
    """Leave to call; raises the circuit's refusal, with the seconds to wait, while it is open."""
    if _blind.is_set() or _trusted(circuit):
        return Permit(circuit)
    try:
        return _enter(circuit)
    except _Unreadable as error:
        telemetry.log_exception("the circuits can't be read; they count as closed", error)
        _blind.set()
        return Permit(circuit)


def succeeded(permit: Permit) -> None:
    """It answered: a run of failures ends, and a probe closes the circuit."""
    if permit.failures == 0 and permit.probe is None:
        return
    if _change(permit.circuit, lambda seen: _closed(seen, permit)):
        recording.state("bridge.breaker.open", 0, circuit=permit.circuit.name)
        telemetry.log("a circuit is closed again", "WARNING", circuit=permit.circuit.name)


def failed(permit: Permit, *, confirm: Callable[[], bool] = lambda: True) -> None:
    """It failed in a way that says that it may not be well.

    `confirm` is asked before the circuit opens for everybody: whether it is indeed not well, or only this caller's
    question has no answer. It is asked outside of any transaction, and may take a moment.
    """
    circuit = permit.circuit
    _distrust(circuit)
    if permit.probe is None and _change(circuit, lambda seen: _counted(circuit, seen)):
        if not confirm():
            _change(circuit, lambda seen: _closed(seen, permit))
            return
    elif permit.probe is None:
        return
    if _change(circuit, lambda seen: _opened(circuit, seen, permit)):
        recording.state("bridge.breaker.open", 1, circuit=circuit.name)
        telemetry.log("a circuit is open", "ERROR", circuit=circuit.name)


def _counted(circuit: Circuit, seen: Seen) -> tuple[dict[str, Any] | None, bool]:
    """One more failure in a row; True where they are enough to open the circuit."""
    current = seen.value
    if current is not None and current["opened_at"] is not None:
        return None, False
    failures = (0 if current is None else int(current["failures"])) + 1
    return _state(seen, min(failures, circuit.opens_after), None), failures >= circuit.opens_after


def _opened(circuit: Circuit, seen: Seen, permit: Permit) -> tuple[dict[str, Any] | None, bool]:
    if seen.value is not None and not _decides(seen.value, permit):
        return None, False
    openings = 0 if seen.value is None else int(seen.value.get("openings", 0))
    return _state(seen, circuit.opens_after, seen.at) | {"openings": openings + 1}, True


def _closed(seen: Seen, permit: Permit) -> tuple[dict[str, Any] | None, bool]:
    if seen.value is None or not _decides(seen.value, permit):
        return None, False
    return _state(seen, 0, None), seen.value["opened_at"] is not None


def _enter(circuit: Circuit) -> Permit:
    try:
        seen = documents.glance("breakers", circuit.name, seconds=_GLANCE_SECONDS)
    except Unavailable as error:
        raise _Unreadable from error
    failures = 0 if seen.value is None else int(seen.value["failures"])
    wait = _wait(circuit, seen)
    if wait is None:
        if failures == 0:
            _trust(circuit, circuit.trust_seconds)
        return Permit(circuit, failures)
    if wait > 0:
        raise _refusal(circuit, wait)  # Without a transaction: a crowd that is refused holds up no probe.

    def decide(seen: Seen) -> tuple[dict[str, Any] | None, Lease | float | None]:
        wait = _wait(circuit, seen)
        if wait is None or wait > 0:
            return None, wait
        fields, lease = granted(seen, circuit.probe_seconds)
        return (seen.value or {}) | fields, lease

    decided = _decided(circuit, decide)
    if isinstance(decided, Lease):
        telemetry.log("a probe goes through an open circuit", "WARNING", circuit=circuit.name)
        return Permit(circuit, failures=circuit.opens_after, probe=decided.owner)
    if decided is None:
        return Permit(circuit)
    raise _refusal(circuit, decided)


def _wait(circuit: Circuit, seen: Seen) -> float | None:
    """Seconds until somebody may probe: nought where one may now, None where the circuit is closed."""
    if seen.value is None or seen.value["opened_at"] is None:
        return None
    opened: float = seen.value["opened_at"]
    doublings = max(0, int(seen.value.get("openings", 1)) - 1)
    pause = min(circuit.pause_seconds, circuit.first_pause_seconds * 2.0 ** min(doublings, 16))
    return max(0.0, opened + pause - seen.at, look_at(seen).left)


def _refusal(circuit: Circuit, wait: float) -> Unavailable:
    return circuit.refusal(
        f"{circuit.words} has failed repeatedly and is paused.", retry_after=round(max(wait, 1.0), 1)
    )


def _decides(current: dict[str, Any], permit: Permit) -> bool:
    """While the circuit is open only the probe's outcome counts; late answers of earlier calls do not."""
    return current["opened_at"] is None or (permit.probe is not None and current.get("owner") == permit.probe)


def _state(seen: Seen, failures: int, opened_at: float | None) -> dict[str, Any]:
    """The new state; nobody probes, and the probe's fencing token stays."""
    return {
        "failures": failures,
        "opened_at": opened_at,
        "owner": None,
        "until": 0.0,
        "fence": look_at(seen).fence,
    }


def _decided(
    circuit: Circuit, decide: Callable[[Seen], tuple[dict[str, Any] | None, Lease | float | None]]
) -> Lease | float | None:
    try:
        return documents.change_seen("breakers", circuit.name, decide, ttl_seconds=_KEPT_SECONDS)
    except Unavailable as error:
        raise _Unreadable from error


def _change(circuit: Circuit, decide: Callable[[Seen], tuple[dict[str, Any] | None, bool]]) -> bool:
    """Write what a call told; what can't be written is told by the next call."""
    if _blind.is_set():
        return False
    try:
        return documents.change_seen("breakers", circuit.name, decide, ttl_seconds=_KEPT_SECONDS)
    except Unavailable as error:
        telemetry.log_exception("a circuit's state was not written", error, circuit=circuit.name)
        return False


# What this instance remembers --------------------------------------------------------------------

_GLANCE_SECONDS = 2.0
_BLIND_SECONDS = 30.0
_closed_until: Bounded[str, float] = fresh_until(10_000, lambda end: end)


class _Unreadable(Exception):
    """Firestore did not answer."""


class _Blind:
    """Whether Firestore did not answer a moment ago: then nobody waits for it again."""

    def __init__(self) -> None:
        self._until = 0.0

    def set(self) -> None:
        self._until = clock.monotonic() + _BLIND_SECONDS

    def is_set(self) -> bool:
        return clock.monotonic() < self._until

    def clear(self) -> None:
        self._until = 0.0


_blind = _Blind()


def _trusted(circuit: Circuit) -> bool:
    return _closed_until.get(circuit.name) is not None


def _trust(circuit: Circuit, seconds: float) -> None:
    if seconds > 0:
        _closed_until.put(circuit.name, clock.monotonic() + seconds)


def _distrust(circuit: Circuit) -> None:
    _closed_until.drop(circuit.name)
