"""A provider and tools that play a part written in the test; they stand where a model and a product would."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from shared.agents.loop.agent import Agent, Limits
from shared.agents.loop.toolbox import Toolbox
from shared.agents.protocol.model import (
    ProviderEvent,
    Request,
    Stop,
    TextDelta,
    ToolCallReady,
    ToolContext,
    ToolFailed,
    Usage,
)

Scene = Sequence[Any]


def says(text: str, *, output: int = 5, fresh: int = 10) -> list[ProviderEvent]:
    """An answer in prose."""
    pieces = [TextDelta(word + " ") for word in text.split(" ")]
    return [*pieces, Usage(fresh_input=fresh, output=output), Stop("end_turn")]


def calls(*wanted: tuple[str, str, Mapping[str, Any]], text: str = "") -> list[ProviderEvent]:
    """An answer that calls tools: (id, name, arguments)."""
    said: list[ProviderEvent] = [TextDelta(text)] if text else []
    return [
        *said,
        *(ToolCallReady(*call) for call in wanted),
        Usage(fresh_input=10, output=5),
        Stop("tool_use"),
    ]


class Scripted:
    """Plays its scenes in order. A scene is a list of events; an exception in it is raised, a callable run."""

    supports_prompt_caching = False
    supports_tools = True

    def __init__(self, *scenes: Scene, name: str = "scripted", remote: bool = False) -> None:
        self.name, self.vendor, self.remote = name, name, remote
        self.scenes, self.requests = list(scenes), list[Request]()
        self.closed = threading.Event()
        self._lock = threading.Lock()

    def stream(self, request: Request) -> Iterator[ProviderEvent]:
        with self._lock:
            self.requests.append(request)
            scene = self.scenes.pop(0)
        try:
            for event in scene:
                if isinstance(event, BaseException):
                    raise event
                if callable(event):
                    event()
                    continue
                yield event
        finally:
            self.closed.set()

    def count_tokens(self, request: Request) -> int:
        return len(str(request)) // 4


class _Word(BaseModel):
    model_config = ConfigDict(extra="forbid")
    word: str
    times: int = 1


class Echo:
    """A tool that answers its argument and counts how often it ran."""

    name: ClassVar[str] = "echo"
    description: ClassVar[str] = "Say it back."
    arguments: ClassVar[type[BaseModel]] = _Word
    effects: ClassVar[tuple[Any, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = None

    def __init__(self, during: Callable[[ToolContext, str], Any] | None = None) -> None:
        self.runs: list[str] = []
        self._during = during

    def run(self, context: ToolContext, arguments: Any) -> Any:
        self.runs.append(arguments.word)
        if self._during is not None:
            found = self._during(context, arguments.word)
            if found is not None:
                return found
        return {"said": arguments.word}


class Cached(Echo):
    """An echo whose answers are kept."""

    name = "cached_echo"
    cache_ttl = 60


class Save(Echo):
    """A tool with an effect."""

    name = "save"
    effects = ("write",)


def failing(message: str) -> Callable[[ToolContext, str], Any]:
    def fail(_context: ToolContext, _word: str) -> Any:
        raise ToolFailed(message, code="NO")

    return fail


def pausing(seconds: float) -> Callable[[ToolContext, str], Any]:
    def pause(_context: ToolContext, _word: str) -> Any:
        time.sleep(seconds)

    return pause


def agent(provider: Any, *tools: Any, limits: Limits | None = None, **more: Any) -> Agent:
    """An agent of this provider and these tools."""
    return Agent(
        provider=provider,
        model=more.pop("model", "m"),
        system=(),
        toolbox=Toolbox(tools),
        limits=limits or Limits(),
        **more,
    )
