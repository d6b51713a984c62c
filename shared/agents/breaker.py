"""A circuit breaker for each provider, shared by all instances.

    closed ── 5 failures in a row ──► open ── 5 minutes ──► one probe ── success ──► closed
                                       ▲                        └────── failure ──────┐
                                       └──────────────────────────────────────────────┘

The state is one Firestore document. Who may probe is decided in a transaction on it, so of all
instances that see the pause end exactly one gets through; if it never comes back, its turn ends too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.platform import clock, hot, telemetry
from shared.platform.errors import ProviderUnavailable
from shared.platform.ids import new_id

OPENS_AFTER = 5
PAUSE_SECONDS = 300.0
PROBE_SECONDS = 120.0
_KEPT_SECONDS = 86_400.0


@dataclass(frozen=True)
class Permit:
    """Leave to call the provider once."""

    provider: str
    failures: int = 0
    probe: str | None = None


def enter(provider: str) -> Permit:
    """Leave to call; raises ProviderUnavailable while the circuit is open."""
    state = hot.get("breakers", provider)
    if state is None or state["opened_at"] is None:
        return Permit(provider, failures=0 if state is None else int(state["failures"]))
    token = new_id()

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, float | None]:
        if current is None or current["opened_at"] is None:
            return None, 0.0
        now = clock.now().timestamp()
        wait = max(current["opened_at"] + PAUSE_SECONDS, current["probe_until"]) - now
        if wait > 0:
            return None, wait
        return current | {"probe": token, "probe_until": now + PROBE_SECONDS}, None

    wait = hot.change("breakers", provider, decide, ttl_seconds=_KEPT_SECONDS)
    if wait is None:
        telemetry.log("a probe goes to a provider whose circuit is open", "WARNING", provider=provider)
        return Permit(provider, failures=OPENS_AFTER, probe=token)
    if wait == 0.0:
        return Permit(provider)
    raise ProviderUnavailable(
        f"The model provider {provider} has failed repeatedly and is paused.", retry_after=round(wait, 1)
    )


def succeeded(permit: Permit) -> None:
    """The provider answered: a run of failures ends, and a probe closes the circuit."""
    if permit.failures == 0 and permit.probe is None:
        return

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, bool]:
        if current is None or not _decides(current, permit):
            return None, False
        return _state(0, None), current["opened_at"] is not None

    if hot.change("breakers", permit.provider, decide, ttl_seconds=_KEPT_SECONDS):
        telemetry.log("the circuit of a provider is closed again", "WARNING", provider=permit.provider)


def failed(permit: Permit) -> None:
    """The provider failed in a way that says it is not well."""

    def decide(current: dict[str, Any] | None) -> tuple[dict[str, Any] | None, bool]:
        now = clock.now().timestamp()
        if current is not None and current["opened_at"] is not None:
            if not _decides(current, permit):
                return None, False
            return _state(OPENS_AFTER, now), True
        failures = (0 if current is None else int(current["failures"])) + 1
        opens = failures >= OPENS_AFTER
        return _state(failures, now if opens else None), opens

    if hot.change("breakers", permit.provider, decide, ttl_seconds=_KEPT_SECONDS):
        telemetry.log("the circuit of a provider is open", "ERROR", provider=permit.provider)


def _decides(current: dict[str, Any], permit: Permit) -> bool:
    """While the circuit is open only the probe's outcome counts; late answers of earlier calls do not."""
    return current["opened_at"] is None or (permit.probe is not None and current["probe"] == permit.probe)


def _state(failures: int, opened_at: float | None) -> dict[str, Any]:
    return {"failures": failures, "opened_at": opened_at, "probe": None, "probe_until": 0.0}
