"""One message of a person and the agent's answer to it, as an object of the server."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.platform.ids import TeamId, UserId
from shared.platform.text import strict_json

State = Literal["running", "completed", "failed", "cancelled"]


@dataclass(frozen=True)
class Ask:
    """What is asked of the agent."""

    message: str
    connection_id: str | None = None
    tools: tuple[str, ...] | None = None
    """Names of the tools that the agent may use; None: all that it has."""
    purpose: str = "chat"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Small JSON of the product's own; it comes back when the turn is taken over."""

    def to_row(self) -> dict[str, Any]:
        """The ask's JSON."""
        return {
            "message": self.message,
            "connection_id": self.connection_id,
            "tools": None if self.tools is None else list(self.tools),
            "purpose": self.purpose,
            "options": dict(self.options),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Ask:
        """The ask of a row."""
        tools = row["tools"]
        return cls(
            row["message"],
            row["connection_id"],
            None if tools is None else tuple(tools),
            row["purpose"],
            row["options"],
        )

    @property
    def sha256(self) -> str:
        """Tells two asks under one idempotency key apart."""
        return hashlib.sha256(strict_json.canonical(self.to_row())).hexdigest()


@dataclass(frozen=True)
class Turn:
    """A turn as the process that works on it knows it."""

    id: str
    team: TeamId
    user: UserId
    session_id: str
    ask: Ask
    asked_at: str
    epoch: int
    log_chunk: int
    message_count: int
    """Messages of the session before this turn."""
    fresh: bool = True
    """False for one that was taken over."""
    state: State = "running"
