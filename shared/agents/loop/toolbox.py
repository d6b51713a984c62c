"""The tools of one turn: check arguments, run, keep results, bound what comes back.

Calls that only read run at the same time; one that writes or spends waits for those before it and holds
up those after it, so "validate, then save" in one round means what it says. Results stand in the order
of the calls. Whatever goes wrong inside a tool is an answer to the model, never the end of the turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from shared.agents.loop import tool_cache
from shared.agents.protocol import redact, untrusted
from shared.agents.protocol.model import Tool, ToolContext, ToolFailed, ToolSpec, ToolUse
from shared.platform import clock, threads
from shared.platform.errors import BridgeError, DeadlineExceeded
from shared.platform.telemetry import context as telemetry
from shared.platform.text import strict_json

MOST_AT_ONCE = 8
GRACE_SECONDS = 2.0
"""After the turn's deadline, for a tool that watches it to come back by itself."""


@dataclass(frozen=True)
class Outcome:
    """What one call gave."""

    call: ToolUse
    content: Any
    is_error: bool
    duration_ms: int
    cached: bool = False
    cache_key: str | None = None


@cache
def _schema(arguments: type[BaseModel]) -> Mapping[str, Any]:
    """The JSON Schema of a tool's arguments: constant, and asked for at each call of a model."""
    return arguments.model_json_schema()


class Toolbox:
    """Tools by name, with the scope that their cached results belong to."""

    def __init__(
        self, tools: Iterable[Tool], *, connection_id: str | None = None, catalog_version: int = 0
    ) -> None:
        # By name: the order in which a prompt lists tools must not change between two calls.
        self._tools: dict[str, Tool] = {tool.name: tool for tool in sorted(tools, key=lambda tool: tool.name)}
        self.connection_id = connection_id
        self.catalog_version = catalog_version

    def names(self) -> tuple[str, ...]:
        """What the toolbox holds."""
        return tuple(self._tools)

    def offer(self, names: Iterable[str] | None) -> Toolbox:
        """The toolbox with only these tools; None keeps all."""
        if names is None:
            return self
        wanted = set(names)
        return Toolbox(
            (tool for name, tool in self._tools.items() if name in wanted),
            connection_id=self.connection_id,
            catalog_version=self.catalog_version,
        )

    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as a provider sees them."""
        return tuple(
            ToolSpec(tool.name, tool.description, _schema(tool.arguments)) for tool in self._tools.values()
        )

    def run(
        self,
        calls: Sequence[ToolUse],
        context: Callable[[ToolUse], ToolContext],
        goes_on: Callable[[], bool] = lambda: True,
    ) -> Iterator[Outcome]:
        """Run the calls; answers each outcome as soon as it and all before it are there.

        Once `goes_on` says no, nothing more begins: a save that waits for a read must not happen after a cancel.

        A tool that outlasts the turn is left behind in its thread: the turn must end without it.
        """
        pool = threads.Pool(MOST_AT_ONCE, "tool")
        try:
            for group in self._groups(calls):
                if not goes_on():
                    stopped = _error("TURN_STOPPED", "The turn was stopped before this tool ran.", {})
                    yield from (Outcome(call, stopped, True, 0) for call in group)
                    continue
                running: list[tuple[ToolUse, ToolContext, Future[Outcome]]] = []
                for call in group:
                    place = context(call)
                    future = pool.submit(self.call, call, place)
                    running.append((call, place, future))
                for call, place, future in running:
                    try:
                        yield future.result(timeout=_left(place) + GRACE_SECONDS)
                    except TimeoutError:
                        late = DeadlineExceeded("The tool took longer than the turn may.")
                        yield Outcome(call, _error(late.code, late.message, {}), True, 0)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def call(self, call: ToolUse, context: ToolContext) -> Outcome:
        """Run one call; every failure becomes an outcome that the model can read."""
        started = clock.monotonic()

        def outcome(content: Any, *, error: bool = False, found: tool_cache.Found | None = None) -> Outcome:
            return Outcome(
                call,
                untrusted.fit(redact.tree(content)),
                error,
                round((clock.monotonic() - started) * 1000),
                cached=found is not None and found.cached,
                cache_key=None if found is None else found.key,
            )

        with telemetry.span("tool.execute", tool=call.name) as span:
            try:
                tool = self._tools.get(call.name)
                if tool is None:
                    raise ToolFailed(
                        f"There is no tool {call.name!r}. The tools are: {', '.join(self._tools)}.",
                        code="UNKNOWN_TOOL",
                    )
                arguments = _arguments(tool, call.arguments)
                if tool.cache_ttl is None:
                    return outcome(_plain(tool.run(context, arguments)))
                found = self._cached(tool, tool.cache_ttl, context, arguments)
                span["cache_hit"] = found.cached
                return outcome(found.value, found=found)
            except ToolFailed as failure:
                span["error_code"] = failure.code
                return outcome(_error(failure.code, str(failure), failure.details), error=True)
            except BridgeError as failure:
                span["error_code"] = failure.code
                details = dict(failure.details or {})
                details |= {
                    name: value
                    for name in ("field", "reason")
                    if (value := getattr(failure, name)) is not None
                }
                return outcome(_error(failure.code, failure.message, details), error=True)
            except Exception as failure:
                telemetry.log_exception("a tool failed unexpectedly", failure, tool=call.name)
                return outcome(
                    _error("INTERNAL", "The tool failed on our side; try another way.", {}), error=True
                )

    def _cached(self, tool: Tool, ttl: int, context: ToolContext, arguments: BaseModel) -> tool_cache.Found:
        scope = tool_cache.Scope(context.team, context.connection_id, self.catalog_version)
        given = arguments.model_dump(mode="json")
        return tool_cache.through(
            scope, tool.name, given, ttl, lambda: _plain(tool.run(context, arguments)), context.remaining
        )

    def _groups(self, calls: Sequence[ToolUse]) -> Iterator[list[ToolUse]]:
        together: list[ToolUse] = []
        for call in calls:
            tool = self._tools.get(call.name)
            if tool is None or set(tool.effects) <= {"read"}:
                together.append(call)
                continue
            if together:
                yield together
                together = []
            yield [call]
        if together:
            yield together


def _left(context: ToolContext) -> float:
    try:
        return context.remaining()
    except DeadlineExceeded:
        return 0.0


def _arguments(tool: Tool, given: Mapping[str, Any]) -> BaseModel:
    try:
        return tool.arguments.model_validate_json(strict_json.dumps(dict(given)), strict=True)
    except ValidationError as error:
        problems = [
            {"path": ".".join(str(part) for part in issue["loc"]) or "arguments", "message": issue["msg"]}
            for issue in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    raise ToolFailed(
        f"The arguments of {tool.name} are not valid: "
        + "; ".join(f"{problem['path']}: {problem['message']}" for problem in problems[:5]),
        code="INVALID_ARGUMENTS",
        details={"errors": problems[:20]},
    )


def _plain(value: Any) -> Any:
    """The JSON value of a result: what the model, the log and the stream all see."""
    return json.loads(strict_json.dumps(value))


def _error(code: str, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    return {"error": error | ({"details": dict(details)} if details else {})}
