"""One call of a provider: watched, cut short when it must be, and always with a bill.

The provider's iterator runs in a thread of its own. So a silent provider can be given up, and a cancel
or a lost lease is noticed between its events; whichever ends the call, what it said and used so far is
answered with the reason.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from shared.agents.declared import ProviderError, ProviderUnavailable
from shared.agents.protocol import redact
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
    events: queue.Queue[Any] = queue.Queue()
    gone = threading.Event()
    started = clock.monotonic()
    threads.start("provider", _pump, provider, request, events, gone)
    try:
        _listen(answer, events, watch, started, on_text)
    except Exception as error:
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
            if event.error is not None:
                raise event.error
            if answer.stop == "error":
                raise ProviderUnavailable("The model provider's answer ended before its end.")
            return
        if _take(answer, event) and answer.first_token_ms is None:
            answer.first_token_ms = _since(started)
        if isinstance(event, TextDelta) and event.text:
            on_text(event.text)


def _take(answer: Answer, event: ProviderEvent) -> bool:
    """Add the event to the answer; True for one that shows that the model is answering."""
    match event:
        case TextDelta(text):
            if answer.blocks and isinstance(answer.blocks[-1], Text):
                answer.blocks[-1] = Text(answer.blocks[-1].text + text)
            else:
                answer.blocks.append(Text(text))
            return True
        case ToolCallReady(id, name, arguments):
            answer.blocks.append(ToolUse(id, name, arguments))
            return True
        case Usage():
            answer.usage = event
            return False
        case Stop(reason):
            answer.stop = reason
            return False
    return True


def _storable(event: Any) -> Any:
    match event:
        case TextDelta(text):
            return TextDelta(redact.storable(text))
        case ToolCallReady(id, name, arguments):
            return ToolCallReady(id, redact.storable(name), redact.storable_tree(dict(arguments)))
    return event


@dataclass(frozen=True)
class _Ended:
    error: Exception | None = None


def _pump(provider: Provider, request: Request, events: queue.Queue[Any], gone: threading.Event) -> None:
    stream = None
    try:
        stream = provider.stream(request)
        for event in stream:
            if gone.is_set():
                return
            events.put(event)
        events.put(_Ended())
    except BridgeError as error:
        events.put(_Ended(error))
    except Exception as error:
        telemetry.log_exception("a provider failed unexpectedly", error, provider=provider.name)
        failure = ProviderError("The model provider failed unexpectedly.")
        failure.__cause__ = error
        events.put(_Ended(failure))
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def _at_least(answer: Answer) -> Usage:
    """The usage of a call that was cut: what it wrote counts even if the final figure never came."""
    written = sum(len(block.text) for block in answer.blocks if isinstance(block, Text))
    return replace(answer.usage, output=max(answer.usage.output, -(-written // 4)))


def _since(started: float) -> int:
    return round((clock.monotonic() - started) * 1000)
