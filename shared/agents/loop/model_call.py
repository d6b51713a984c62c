"""One call of a provider: watched, cut short when it must be, and always with a bill.

The provider's iterator runs in a thread of its own. So a silent provider can be given up, and a cancel
or a lost lease is noticed between its events; whichever ends the call, what it said and used so far is
answered with the reason. What it says is bounded (`protocol.bounds`): a model is somebody else's program.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from shared.agents.declared import ProviderError, ProviderUnavailable
from shared.agents.protocol import bounds, redact
from shared.agents.protocol.model import (
    Block,
    Provider,
    ProviderEvent,
    Request,
    Stop,
    StopReason,
    Text,
    TextDelta,
    ToolCallReady,
    ToolUse,
    Usage,
)
from shared.platform import clock, threads
from shared.platform.errors import BridgeError
from shared.platform.telemetry import context as telemetry

_TICK_SECONDS = 0.2
_WAITING = 1_000
"""Events that may wait for the listener; a provider that is faster waits itself."""


@dataclass
class Answer:
    """What one call said and used. `error` is why it ended before its end."""

    provider: str
    model: str
    blocks: list[Block] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    stop: StopReason = "error"
    first_token_ms: int | None = None
    total_ms: int = 0
    error: BaseException | None = None
    told: bool = False
    """Whether the vendor said what was used, or ended the call itself. A call that was cut before that cost
    something."""
    dropped_calls: int = 0
    """Calls beyond those that one reply may hold."""
    _prose: list[str] = field(default_factory=list)
    """Pieces of the text that is being said; joined once, at its end."""
    _events: int = 0
    _characters: int = 0

    def add(self, event: ProviderEvent) -> None:
        """Take a piece of the reply. Raises ProviderError when it gets too long."""
        match event:
            case TextDelta(text):
                self._prose.append(text)
                self._count(len(text))
            case ToolCallReady(id, name, arguments):
                self.end_of_text()
                self._count(bounds.size(arguments))
                if len(self.calls) < bounds.MAX_KEPT_CALLS:
                    self.blocks.append(ToolUse(id, name, arguments))
                else:
                    self.dropped_calls += 1
            case Usage():
                self.usage, self.told = event, True
            case Stop(reason):
                self.stop = reason
            case _:
                self._count(0)

    def end_of_text(self) -> None:
        """What was said so far is a block."""
        if self._prose:
            self.blocks.append(Text("".join(self._prose)))
            self._prose.clear()

    def _count(self, characters: int) -> None:
        self._events += 1
        self._characters += characters
        if self._events > bounds.MAX_EVENTS or self._characters > bounds.MAX_REPLY:
            raise ProviderError(
                "The model's reply was longer than one may be, so it was cut. Ask for less at once.",
                reason=f"more than {bounds.MAX_REPLY:,} characters or {bounds.MAX_EVENTS:,} pieces",
            )

    @property
    def began(self) -> bool:
        """Whether anything of it was shown: such a call is not tried again."""
        return self.first_token_ms is not None

    @property
    def text(self) -> str:
        """The prose."""
        return "".join(block.text for block in self.blocks if isinstance(block, Text))

    @property
    def calls(self) -> list[ToolUse]:
        """The complete tool calls, in order."""
        return [block for block in self.blocks if isinstance(block, ToolUse)]


@dataclass(frozen=True)
class Watch:
    """How a call is watched. `check` raises what ends it."""

    check: Callable[[], None]
    first_token_seconds: float
    gap_seconds: float


def call(provider: Provider, request: Request, watch: Watch, on_text: Callable[[str], None]) -> Answer:
    """Make one call. Never raises: an error is in the answer, beside what came before it."""
    answer = Answer(provider.name, request.model)
    events: queue.Queue[Any] = queue.Queue(_WAITING)
    gone = threading.Event()
    started = clock.monotonic()
    threads.start("provider", _pump, provider, replace(request, stopped=gone.is_set), events, gone)
    try:
        _listen(answer, events, watch, started, on_text)
    except Exception as error:
        answer.end_of_text()
        answer.error = error
        answer.stop = "error" if isinstance(error, BridgeError) else "cancelled"
        answer.usage = _at_least(answer)
    finally:
        gone.set()
        answer.total_ms = _since(started)
    return answer


def _listen(
    answer: Answer, events: queue.Queue[Any], watch: Watch, started: float, on_text: Callable[[str], None]
) -> None:
    last = started
    while True:
        watch.check()
        try:
            event = events.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            patience = watch.gap_seconds if answer.began else watch.first_token_seconds
            if clock.monotonic() - last > patience:
                raise ProviderUnavailable(
                    f"The model provider was silent for more than {patience:.0f} seconds."
                ) from None
            continue
        last = clock.monotonic()
        event = _storable(event)
        if isinstance(event, _Ended):
            answer.told = True
            if event.error is not None:
                raise event.error
            if answer.stop == "error":
                raise ProviderUnavailable("The model provider's answer ended before its end.")
            answer.end_of_text()
            return
        if not isinstance(event, Usage | Stop) and answer.first_token_ms is None:
            answer.first_token_ms = _since(started)
        answer.add(event)
        if isinstance(event, TextDelta) and event.text:
            on_text(event.text)


def _storable(event: Any) -> Any:
    match event:
        case TextDelta(text):
            return TextDelta(redact.storable(text))
        case ToolCallReady(id, name, arguments):
            kept = redact.storable_tree(bounds.bounded(arguments))
            return ToolCallReady(id[: bounds.MAX_NAME], redact.storable(name[: bounds.MAX_NAME]), kept)
    return event


@dataclass(frozen=True)
class _Ended:
    error: Exception | None = None


def _pump(provider: Provider, request: Request, events: queue.Queue[Any], gone: threading.Event) -> None:
    stream = None
    try:
        stream = provider.stream(request)
        for event in stream:
            if not _put(events, event, gone):
                return
        _put(events, _Ended(), gone)
    except BridgeError as error:
        _put(events, _Ended(error), gone)
    except Exception as error:
        telemetry.log_exception("a provider failed unexpectedly", error, provider=provider.name)
        failure = ProviderError("The model provider failed unexpectedly.")
        failure.__cause__ = error
        _put(events, _Ended(failure), gone)
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def _put(events: queue.Queue[Any], event: Any, gone: threading.Event) -> bool:
    """Hand an event on; False when nobody listens any more."""
    while not gone.is_set():
        try:
            events.put(event, timeout=_TICK_SECONDS)
        except queue.Full:
            continue
        return True
    return False


def _at_least(answer: Answer) -> Usage:
    """The usage of a call that was cut: what it wrote counts even if the final figure never came."""
    written = sum(len(block.text) for block in answer.blocks if isinstance(block, Text))
    return replace(answer.usage, output=max(answer.usage.output, -(-written // 4)))


def _since(started: float) -> int:
    return round((clock.monotonic() - started) * 1000)
