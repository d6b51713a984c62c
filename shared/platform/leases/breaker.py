"""A circuit breaker, shared by all instances: what fails again and again is left alone for a while.

    closed ── failures in a row ──► open ── pause ──► one probe ── success ──► closed
                                     ▲                   └────── failure ──────┐
                                     └─────────────────────────────────────────┘

The state is one Firestore document for each circuit. Who may probe is decided in a transaction on it, so of
all instances that see the pause end exactly one gets through; if it never comes back, its turn ends too.
A call that was refused for the caller's own fault is a success: who answers is well. Where Firestore can't
be reached the circuit counts as closed: a lost breaker must not stop what it protects.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from shared.platform import clock
from shared.platform.cloud import documents
from shared.platform.errors import Unavailable
from shared.platform.ids import new_id
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

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, bool]:
        if current is None or not _decides(current, permit):
            return None, False
        return _state(0, None), current["opened_at"] is not None

    if _change(permit.circuit, decide):
        recording.state("bridge.breaker.open", 0, circuit=permit.circuit.name)
        telemetry.log("a circuit is closed again", "WARNING", circuit=permit.circuit.name)


def failed(permit: Permit) -> None:
    """It failed in a way that says it is not well."""
    circuit = permit.circuit
    _distrust(circuit)

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, bool]:
        now = clock.now().timestamp()
        if current is not None and current["opened_at"] is not None:
            if not _decides(current, permit):
                return None, False
            return _state(circuit.opens_after, now), True
        failures = (0 if current is None else int(current["failures"])) + 1
        opens = failures >= circuit.opens_after
        return _state(failures, now if opens else None), opens

    if _change(circuit, decide):
        recording.state("bridge.breaker.open", 1, circuit=circuit.name)
        telemetry.log("a circuit is open", "ERROR", circuit=circuit.name)


def _enter(circuit: Circuit) -> Permit:
    try:
        state = documents.glance("breakers", circuit.name, seconds=_GLANCE_SECONDS)
    except Unavailable as error:
        raise _Unreadable from error
    if state is None or state["opened_at"] is None:
        failures = 0 if state is None else int(state["failures"])
        if failures == 0:
            _trust(circuit, circuit.trust_seconds)
        return Permit(circuit, failures)
    token = new_id()

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, float | None]:
        if current is None or current["opened_at"] is None:
            return None, 0.0
        now = clock.now().timestamp()
        wait = max(current["opened_at"] + circuit.pause_seconds, current["probe_until"]) - now
        if wait > 0:
            return None, wait
        return current | {"probe": token, "probe_until": now + circuit.probe_seconds}, None

    wait = _decided(circuit, decide)
    if wait is None:
        telemetry.log("a probe goes through an open circuit", "WARNING", circuit=circuit.name)
        return Permit(circuit, failures=circuit.opens_after, probe=token)
    if wait == 0.0:
        return Permit(circuit)
    raise circuit.refusal(
        f"{circuit.words} has failed repeatedly and is paused.", retry_after=round(max(wait, 1.0), 1)
    )


def _decides(current: dict[str, Any], permit: Permit) -> bool:
    """While the circuit is open only the probe's outcome counts; late answers of earlier calls do not."""
    return current["opened_at"] is None or (permit.probe is not None and current["probe"] == permit.probe)


def _state(failures: int, opened_at: float | None) -> dict[str, Any]:
    return {"failures": failures, "opened_at": opened_at, "probe": None, "probe_until": 0.0}


def _decided(circuit: Circuit, decide: Any) -> float | None:
    try:
        wait: float | None = documents.change("breakers", circuit.name, decide, ttl_seconds=_KEPT_SECONDS)
    except Unavailable as error:
        raise _Unreadable from error
    return wait


def _change(circuit: Circuit, decide: Any) -> bool:
    """Write what a call told; what can't be written is told by the next call."""
    if _blind.is_set():
        return False
    try:
        return bool(documents.change("breakers", circuit.name, decide, ttl_seconds=_KEPT_SECONDS))
    except Unavailable as error:
        telemetry.log_exception("a circuit's state was not written", error, circuit=circuit.name)
        return False


# What this instance remembers --------------------------------------------------------------------

_GLANCE_SECONDS = 2.0
_BLIND_SECONDS = 30.0
_closed_until: dict[str, float] = {}
_lock = threading.Lock()


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
    with _lock:
        return _closed_until.get(circuit.name, 0.0) > clock.monotonic()


def _trust(circuit: Circuit, seconds: float) -> None:
    if seconds > 0:
        with _lock:
            if len(_closed_until) > 10_000:
                _closed_until.clear()
            _closed_until[circuit.name] = clock.monotonic() + seconds


def _distrust(circuit: Circuit) -> None:
    with _lock:
        _closed_until.pop(circuit.name, None)
