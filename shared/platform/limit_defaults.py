"""Every limit and flag with its default, in one place. docs/limits.md is checked against this.

    default (here) ─► environment (BRIDGE_LIMITS, BRIDGE_FLAGS) ─► override of a team, until it ends

A quota is what a team may use in a UTC day or at the same time; a budget is what one turn, one
conversation or one month may spend. Both are taken from the same ledger (`budgets`); they differ in the
error that a refusal raises. A rate is how many requests a minute are answered (`rates`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Unit = Literal["bytes", "micro_usd", "count", "requests"]
Window = Literal["minute", "day", "month", "turn", "session", "concurrent", "lasting"]

MOST = 2**53 - 1
"""Largest limit: beyond it JSON numbers lose digits in a browser."""


@dataclass(frozen=True)
class Limit:
    """One limit: how much of a resource in which window."""

    name: str
    resource: str
    window: Window
    unit: Unit
    default: int
    what: str

    @property
    def is_quota(self) -> bool:
        """Quotas raise QUOTA_EXCEEDED, budgets BUDGET_EXCEEDED."""
        return self.window in ("day", "concurrent", "lasting")


def _by_name(*limits: Limit) -> Mapping[str, Limit]:
    return {limit.name: limit for limit in limits}


def _counted(resource: str, a_day: int, at_once: int, what: str) -> tuple[Limit, Limit]:
    return (
        Limit(resource, resource, "day", "count", a_day, what),
        Limit(
            f"{resource}_concurrent", resource, "concurrent", "count", at_once, f"{what}, at the same time"
        ),
    )


LIMITS: Mapping[str, Limit] = _by_name(
    Limit("warehouse_bytes", "warehouse_bytes", "day", "bytes", 10**12, "Bytes scanned in warehouses"),
    Limit(
        "warehouse_bytes_turn", "warehouse_bytes", "turn", "bytes", 5 * 10**9, "Bytes scanned by one chat turn"
    ),
    Limit(
        "warehouse_bytes_session", "warehouse_bytes", "session", "bytes", 50 * 10**9,
        "Bytes scanned by one conversation",
    ),
    Limit(
        "warehouse_bytes_month", "warehouse_bytes", "month", "bytes", 20 * 10**12, "Bytes scanned in a month"
    ),
    Limit("model_cost", "model_cost", "day", "micro_usd", 50_000_000, "Cost of model calls"),
    Limit("model_cost_turn", "model_cost", "turn", "micro_usd", 1_000_000, "Cost of one chat turn"),
    Limit("model_cost_session", "model_cost", "session", "micro_usd", 10_000_000, "Cost of one conversation"),
    Limit("model_cost_month", "model_cost", "month", "micro_usd", 1_000_000_000, "Cost of model calls in a month"),
    *_counted("generations", 2_000, 50, "Chat turns and generated dashboards"),
    *_counted("scans", 500, 20, "Catalog scans"),
    *_counted("matrices", 200, 4, "Feature matrices built"),
    *_counted("sweeps", 20_000, 2_000, "Configurations tried in sweeps"),
    *_counted("trainings", 100, 4, "Models trained"),
    *_counted("exports", 200, 5, "Exports made"),
)  # fmt: skip
"""What is spent, by name. The name of a resource's daily quota is the resource's own."""

RouteClass = Literal["read", "write", "stream", "login", "public"]

RATES: Mapping[str, Limit] = _by_name(
    Limit("rate_read", "read", "minute", "requests", 1_200, "Requests that read, by one user"),
    Limit("rate_write", "write", "minute", "requests", 300, "Requests that change something, by one user"),
    Limit("rate_stream", "stream", "minute", "requests", 60, "Streams opened by one user"),
    Limit("rate_login", "login", "minute", "requests", 20, "Attempts to sign in, from one address"),
    Limit("rate_public", "public", "minute", "requests", 6_000, "Requests without a credential, from one address"),
    Limit("rate_team_read", "read", "minute", "requests", 12_000, "Requests that read, by one team"),
    Limit("rate_team_write", "write", "minute", "requests", 3_000, "Requests that change something, by one team"),
    Limit("rate_team_stream", "stream", "minute", "requests", 600, "Streams opened by one team"),
)  # fmt: skip
"""Requests a minute, by class of route. Those of a team can be overridden for it, as what is spent can."""

PERSONAL: Mapping[str, Limit] = _by_name(
    Limit("teams_per_person", "teams", "lasting", "count", 10, "Teams made by one person"),
)
"""What one person may have made and not taken back: each team has quotas of its own. No team can override
these."""

OVERRIDABLE: Mapping[str, Limit] = {
    **LIMITS,
    **{name: limit for name, limit in RATES.items() if name.startswith("rate_team_")},
}
"""What an administrator of the platform may set for one team. Users and addresses belong to no team alone."""


@dataclass(frozen=True)
class Flag:
    """A feature that can be switched."""

    name: str
    default: bool
    what: str


FLAGS: Mapping[str, Flag] = {
    flag.name: flag
    for flag in (
        Flag("assistant_execute", False, "The Lab's assistant may start builds, sweeps and trainings"),
        Flag("lab_sweeps", True, "Parameter sweeps in the Lab"),
        Flag("lab_trainings", True, "Training of models in the Lab"),
        Flag("dashboard_sharing", True, "Links that show a dashboard to people outside its team"),
        Flag("dashboard_exports", True, "Exports of a dashboard's data"),
        Flag("governance_actions", True, "Governance findings that change something when they are accepted"),
    )
}
"""What an environment or a team may switch off, or on."""


def windows(resource: str) -> tuple[Limit, ...]:
    """The limits of a resource, in the order in which their counters are locked."""
    found = tuple(
        sorted((one for one in LIMITS.values() if one.resource == resource), key=lambda one: one.name)
    )
    if not found:
        raise KeyError(f"{resource!r} is not a resource that has limits")
    return found
