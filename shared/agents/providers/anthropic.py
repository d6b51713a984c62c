"""The Messages API of Anthropic, streamed, through the vendor's SDK.

The SDK is imported when the first call is made. It does not retry here: whether a call may be made again
is the orchestrator's decision, since only it knows what the user has already seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from shared.agents.declared import ProviderError, ProviderUnavailable
from shared.agents.protocol import bounds, redact, untrusted
from shared.agents.protocol.model import (
    Block,
    CacheControl,
    Message,
    ProviderEvent,
    Request,
    Stop,
    StopReason,
    Text,
    TextDelta,
    ToolCallReady,
    ToolCallStarted,
    ToolResult,
    ToolUse,
    Usage,
)
from shared.platform.errors import BridgeError, MalformedJson
from shared.platform.text import numerals, strict_json
from shared.platform.text.characters import storable

MOST_BREAKPOINTS = 4
CONNECT_SECONDS = 5.0
GAP_SECONDS = 60.0

_STOPS: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "stop_sequence": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "pause_turn": "pause_turn",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_exceeded",
}
_PASSING = {"rate_limit_error", "overloaded_error", "api_error", "timeout_error"}
_TOO_LONG = ("prompt is too long", "request_too_large", "exceed context limit")


class Anthropic:
    """The adapter; one client per instance, made at the first call."""

    name = vendor = "anthropic"
    remote = True
    supports_prompt_caching = True
    supports_tools = True

    def __init__(self, api_key: str, base_url: str | None = None) -> None:
        self._api_key, self._base_url = api_key, base_url

    def stream(self, request: Request) -> Iterator[ProviderEvent]:
        """Answer the request. Raises ProviderUnavailable for what may pass, ProviderError for what won't."""
        import anthropic
        import httpx2

        try:
            with self._client.messages.create(
                model=request.model,
                max_tokens=request.max_tokens,
                stream=True,
                timeout=httpx2.Timeout(
                    request.timeout_seconds,
                    connect=CONNECT_SECONDS,
                    read=min(GAP_SECONDS, request.timeout_seconds),
                ),
                **body(request),
            ) as events:
                yield from _translated(events)
        except anthropic.APIStatusError as error:
            if _is_too_long(error):
                yield Usage()
                yield Stop("context_exceeded")
                return
            raise _status(error) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise ProviderUnavailable(
                "The connection to Anthropic failed.", reason=type(error).__name__
            ) from error
        except (anthropic.AnthropicError, ValueError) as error:
            raise ProviderError(
                "Anthropic's answer could not be read.", reason=type(error).__name__
            ) from error

    def count_tokens(self, request: Request) -> int:
        """How many input tokens the request has, by the vendor's own count."""
        import anthropic
        import httpx2

        try:
            return int(self._client.messages.count_tokens(model=request.model, **body(request)).input_tokens)
        except anthropic.APIStatusError as error:
            raise _status(error) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise ProviderUnavailable("The connection to Anthropic failed.") from error

    @cached_property
    def _client(self) -> Any:
        import anthropic

        return anthropic.Anthropic(api_key=self._api_key, base_url=self._base_url, max_retries=0)


def body(request: Request) -> dict[str, Any]:
    """System, tools and messages in the vendor's form, with at most four cache breakpoints.

    A breakpoint keeps everything before it: tools, then system, then messages. So one at the end of the
    blocks of each lifetime, longest first, and the rest of the four at the ends of the last messages of the user.
    """
    parts: dict[str, Any] = {"messages": [_message(message) for message in request.messages]}
    marks = 0
    if request.tools:
        parts["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.input_schema)}
            for tool in request.tools
        ]
    if request.system:
        parts["system"] = [{"type": "text", "text": block.text} for block in request.system]
        for lifetime in ("1h", "5m"):
            ends = [index for index, block in enumerate(request.system) if block.cache == lifetime]
            if ends:
                parts["system"][ends[-1]]["cache_control"] = _keep(lifetime)
                marks += 1
    if not marks and request.tools:
        parts["tools"][-1]["cache_control"] = _keep("5m")
        marks += 1
    if marks:
        users = [message for message in parts["messages"] if message["role"] == "user"]
        for message in users[-min(2, MOST_BREAKPOINTS - marks) :]:
            message["content"][-1]["cache_control"] = _keep("5m")
    return parts


def _keep(lifetime: CacheControl) -> dict[str, str]:
    return {"type": "ephemeral", "ttl": lifetime}


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": [_block(block) for block in message.blocks]}


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Text(text):
            return {"type": "text", "text": redact.text(text)}
        case ToolUse(id, name, arguments):
            return {"type": "tool_use", "id": id, "name": name, "input": dict(arguments)}
        case ToolResult(id, content, is_error):
            return {
                "type": "tool_result",
                "tool_use_id": id,
                "content": untrusted.fence(content),
                "is_error": is_error,
            }


def _translated(events: Any) -> Iterator[ProviderEvent]:
    """The vendor's events as ours. A call whose arguments broke off is not a call."""
    usage = Usage()
    stop: StopReason | None = None
    tool: tuple[str, str] | None = None
    arguments: list[str] = []
    length = 0
    broken: list[tuple[str, str, str]] = []
    for event in events:
        match event.type:
            case "message_start":
                usage = _usage(event.message.usage)
                yield usage
            case "content_block_start" if event.content_block.type == "tool_use":
                tool, arguments, length = (event.content_block.id, event.content_block.name), [], 0
                yield ToolCallStarted(*tool)
            case "content_block_delta" if event.delta.type == "text_delta":
                yield TextDelta(event.delta.text)
            case "content_block_delta" if event.delta.type == "input_json_delta":
                length += len(event.delta.partial_json)
                if length <= bounds.MAX_ARGUMENTS:
                    arguments.append(event.delta.partial_json)
            case "content_block_stop" if tool is not None and length > bounds.MAX_ARGUMENTS:
                excess = f"the arguments have more than {bounds.MAX_ARGUMENTS:,} characters"
                yield ToolCallReady(*tool, bounds.refused(excess))
                tool = None
            case "content_block_stop" if tool is not None:
                text = "".join(arguments)
                known = _arguments(text)
                if known is None:
                    broken.append((*tool, text))
                else:
                    yield ToolCallReady(*tool, known)
                tool = None
            case "message_delta":
                if event.delta.stop_reason is not None:
                    stop = _STOPS.get(event.delta.stop_reason, "end_turn")
                usage = _final(usage, event.usage)
            case "message_stop" if stop is not None:
                if stop != "max_tokens":
                    # Complete but not JSON: the tool box will tell the model what is wrong with it.
                    for id, name, text in broken:
                        yield ToolCallReady(id, name, {"malformed_json": text[:200]})
                yield usage
                yield Stop(stop)
                return
    raise ProviderUnavailable("Anthropic's answer ended before its end.")


def _arguments(text: str) -> dict[str, Any] | None:
    try:
        value = strict_json.loads(storable(text).encode()) if text.strip() else {}
    except MalformedJson:
        return None
    return value if isinstance(value, dict) else None


def _usage(usage: Any) -> Usage:
    written = usage.cache_creation_input_tokens or 0
    split = usage.cache_creation
    hour = (split.ephemeral_1h_input_tokens or 0) if split is not None else 0
    return Usage(
        fresh_input=usage.input_tokens or 0,
        cache_write_5m=written - hour,
        cache_write_1h=hour,
        cache_read=usage.cache_read_input_tokens or 0,
        output=usage.output_tokens or 0,
    )


def _final(first: Usage, delta: Any) -> Usage:
    """The counts of message_delta are cumulative; those that it leaves out stay as they were."""
    fresh = first.fresh_input if delta.input_tokens is None else delta.input_tokens
    read = first.cache_read if delta.cache_read_input_tokens is None else delta.cache_read_input_tokens
    return Usage(fresh, first.cache_write_5m, first.cache_write_1h, read, delta.output_tokens)


def _status(error: Any) -> BridgeError:
    kind, text = _kind(error)
    if error.status_code in (401, 403) or kind in ("authentication_error", "permission_error"):
        return ProviderError(
            "Anthropic refused the API key; check ANTHROPIC_API_KEY.", reason=kind or str(error.status_code)
        )
    if error.status_code in (408, 429) or error.status_code >= 500 or kind in _PASSING:
        return ProviderUnavailable(
            "Anthropic is overloaded or not reachable now.",
            reason=kind or str(error.status_code),
            retry_after=_retry_after(error),
        )
    return ProviderError(f"Anthropic refused the request: {redact.text(text)[:300]}", reason=kind)


def _is_too_long(error: Any) -> bool:
    kind, text = _kind(error)
    return error.status_code == 413 or any(mark in f"{kind} {text}".lower() for mark in _TOO_LONG)


def _kind(error: Any) -> tuple[str, str]:
    found = error.body.get("error") if isinstance(error.body, dict) else None
    if not isinstance(found, dict):
        return "", str(error.message)
    return str(found.get("type", "")), str(found.get("message", ""))


def _retry_after(error: Any) -> float | None:
    seconds = numerals.real(error.response.headers.get("retry-after", ""))
    return None if seconds is None else max(0.0, seconds)
