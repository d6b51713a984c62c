"""The words between the orchestrator, the providers and the tools. No vendor's types stand here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel

from shared.platform.ids import TeamId, UserId

Effect = Literal["read", "write", "spend"]
StopReason = Literal[
    "end_turn", "tool_use", "max_tokens", "context_exceeded", "pause_turn", "refusal", "cancelled", "error"
]
CacheControl = Literal["5m", "1h"]


@dataclass(frozen=True)
class Text:
    """A piece of prose."""

    text: str


@dataclass(frozen=True)
class ToolUse:
    """A call that the assistant asked for."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class ToolResult:
    """What a call gave. `content` is a JSON value; untrusted text inside it stays data."""

    tool_use_id: str
    content: Any
    is_error: bool = False


Block = Text | ToolUse | ToolResult


@dataclass(frozen=True)
class Message:
    """One message of a conversation: tool results stand in a user message after the call."""

    role: Literal["user", "assistant"]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class SystemBlock:
    """A piece of system prompt; `cache` asks the provider to keep everything up to here."""

    name: str
    text: str
    cache: CacheControl | None = None


@dataclass(frozen=True)
class ToolSpec:
    """A tool as a provider sees it."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """One call of a model."""

    model: str
    system: tuple[SystemBlock, ...]
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    max_tokens: int = 8192
    timeout_seconds: float = 120.0
    stopped: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)
    """Whether nobody waits for the answer any more: the turn was stopped, or is somebody else's. A provider that
    works here asks within its loops; one that waits for a network is closed."""


@dataclass(frozen=True)
class TextDelta:
    """A piece of streamed prose."""

    text: str


@dataclass(frozen=True)
class ToolCallStarted:
    """The model began a call; its arguments follow."""

    id: str
    name: str


@dataclass(frozen=True)
class ToolCallReady:
    """A complete call."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens as the vendor counts them: fresh input excludes cached tokens."""

    fresh_input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        """All tokens of the call."""
        return self.fresh_input + self.cache_write_5m + self.cache_write_1h + self.cache_read + self.output


@dataclass(frozen=True)
class Stop:
    """The end of one model call."""

    reason: StopReason


ProviderEvent = TextDelta | ToolCallStarted | ToolCallReady | Usage | Stop


class Provider(Protocol):
    """A model, or something that plays its part."""

    name: str
    """Of this provider: its breaker's, its bill's."""
    vendor: str
    """Whose prices its models have (`cost.pricing`)."""
    remote: bool
    """Whether a network lies between: a breaker guards the provider, and a call may be tried again."""
    supports_prompt_caching: bool
    supports_tools: bool

    def stream(self, request: Request) -> Iterator[ProviderEvent]:
        """Answer the request; ends with Usage and Stop. Closing the iterator stops the call.

        Usage is cumulative and the last one counts: one sent early gives a call that is cut short a cost.
        Raises ProviderUnavailable for what a repetition may cure, ProviderError for what it won't.
        """

    def count_tokens(self, request: Request) -> int:
        """How many input tokens the request has."""


@dataclass(frozen=True)
class ToolContext:
    """Where a tool runs. Team, user and connection come from the session, never from the model."""

    team: TeamId
    user: UserId
    session_id: str
    turn_id: str
    call_id: str
    connection_id: str | None
    remaining: Callable[[], float]
    """Seconds left for the turn; raises DeadlineExceeded when there are none."""
    emit: Callable[[str, Mapping[str, Any]], None] = field(repr=False, default=lambda _kind, _data: None)
    """Send an extra event into the turn's stream (dashboard_created, warning)."""
    memory: dict[str, Any] = field(repr=False, default_factory=dict)
    """Shared by the tools of one turn in this process; a cache, never the truth."""


class ToolFailed(Exception):
    """The call failed in a way that the model can act on: the message goes back as a tool error."""

    def __init__(
        self, message: str, *, code: str = "TOOL_ERROR", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.details = code, dict(details or {})


class Tool(Protocol):
    """Something that the agent may do."""

    name: ClassVar[str]
    description: ClassVar[str]
    arguments: ClassVar[type[BaseModel]]
    effects: ClassVar[tuple[Effect, ...]]
    cache_ttl: ClassVar[int | None]
    """Seconds that a result stays valid for the same arguments, team, connection and catalog; None: never kept."""

    def run(self, context: ToolContext, arguments: Any) -> Any:
        """Do it; answers a JSON value. Raises ToolFailed, or a BridgeError."""


@dataclass(frozen=True)
class Price:
    """Dollars for one call; None where the model's price is not known (which is not free)."""

    cost_usd: Decimal | None
    at_most: Decimal
    """What the call costs at the most, also where its cost is not known: what the budgets count."""
    warning: str | None = None
