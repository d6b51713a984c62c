"""Refuse what the Messages API refuses, in its words, so that a client's mistakes show here first."""

from typing import Any

FIELDS = {
    "model", "messages", "max_tokens", "system", "tools", "tool_choice", "stream", "metadata", "stop_sequences",
    "thinking", "cache_control", "service_tier", "container", "output_config",
}  # fmt: skip
MOST_BREAKPOINTS = 4


class Invalid(Exception):
    """invalid_request_error."""


def check(body: dict[str, Any], *, counting: bool = False) -> None:
    """Raise Invalid for the first fault of a request."""
    for name in set(body) - FIELDS:
        raise Invalid(f"{name}: Extra inputs are not permitted")
    for name in ("model", "messages") if counting else ("model", "messages", "max_tokens"):
        if name not in body:
            raise Invalid(f"{name}: Field required")
    if not body["messages"]:
        raise Invalid("messages: at least one message is required")
    if body["messages"][0]["role"] != "user":
        raise Invalid('messages: first message must use the "user" role')
    _check_messages(body["messages"])
    _check_tools(body.get("tools", []))
    _check_breakpoints(body)


def segments(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that the prompt cache sees, in its order: tools, system, then messages block by block."""
    found = [*body.get("tools", [])]
    system = body.get("system", [])
    found += [{"type": "text", "text": system}] if isinstance(system, str) else system
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        found += [{**block, "_role": message["role"]} for block in blocks]
    return found


def _check_messages(messages: list[dict[str, Any]]) -> None:
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not blocks:
            raise Invalid(f"messages.{index}: all messages must have non-empty content")
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if message["role"] == "user":
            if open_calls - results:
                raise Invalid(
                    f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                    f"{', '.join(sorted(open_calls - results))}"
                )
            if results - open_calls:
                raise Invalid(
                    f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{', '.join(sorted(results - open_calls))}"
                )
            kinds = [block["type"] == "tool_result" for block in blocks]
            if kinds != sorted(kinds, reverse=True):
                raise Invalid(f"messages.{index}: tool_result blocks must come first in the content")
            open_calls = set()
        elif open_calls:
            raise Invalid(f"messages.{index}: `tool_use` ids were found without `tool_result` blocks")
        else:
            open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        for block in blocks:
            if block["type"] == "text" and not block["text"].strip():
                raise Invalid("messages: text content blocks must contain non-whitespace text")
    if open_calls:
        raise Invalid("messages: `tool_use` ids were found without `tool_result` blocks at the end")


def _check_tools(tools: list[dict[str, Any]]) -> None:
    for index, tool in enumerate(tools):
        if not isinstance(tool.get("input_schema"), dict) or tool["input_schema"].get("type") != "object":
            raise Invalid(f"tools.{index}.input_schema.type: Field required")
    names = [tool["name"] for tool in tools]
    if len(set(names)) != len(names):
        raise Invalid("tools: Tool names must be unique")


def _check_breakpoints(body: dict[str, Any]) -> None:
    lifetimes = [part["cache_control"] for part in segments(body) if part.get("cache_control")]
    if len(lifetimes) > MOST_BREAKPOINTS:
        raise Invalid(
            f"A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {len(lifetimes)}."
        )
    seen_short = False
    for control in lifetimes:
        if control.get("type") != "ephemeral" or control.get("ttl", "5m") not in ("5m", "1h"):
            raise Invalid("cache_control: only type ephemeral with ttl 5m or 1h is supported")
        if control.get("ttl", "5m") == "5m":
            seen_short = True
        elif seen_short:
            raise Invalid("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block")
