"""What a product brings to a turn: a provider, its prompt, its tools and its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from shared.agents.loop.toolbox import Toolbox
from shared.agents.protocol.model import Provider, SystemBlock

Emitted = tuple[str, Mapping[str, Any]]
Closing = Callable[[Sequence[Emitted]], Mapping[str, Any]]


@dataclass(frozen=True)
class Limits:
    """How far one turn may go."""

    rounds: int = 24
    """Tool rounds; after the last one the turn ends with what it has."""
    cost_cap_usd: Decimal | None = None
    """Most that the turn's model calls may cost, below the budgets of the team (docs/limits.md)."""
    seconds: float = 540.0
    max_tokens: int = 8192
    """Most output tokens of one model call."""
    first_token_seconds: float = 60.0
    gap_seconds: float = 60.0
    """Longest silence of the provider between two events."""


def _nothing(_emitted: Sequence[Emitted]) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Agent:
    """Everything that the orchestrator needs to answer one message."""

    provider: Provider
    model: str
    system: tuple[SystemBlock, ...]
    toolbox: Toolbox
    fallback: tuple[Provider, str] | None = None
    """Provider and model for the turn when the first one's circuit is open; None: the turn fails."""
    purpose: str = "chat"
    limits: Limits = field(default_factory=Limits)
    closing: Closing = _nothing
    """From the events that tools emitted in the turn to the extra members of `complete`."""
