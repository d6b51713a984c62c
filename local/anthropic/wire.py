"""A reply as the Messages API sends it: one JSON message, or its server-sent events."""

import json
from collections.abc import Iterator
from typing import Any

from local.anthropic.cache import Counted, tokens
from local.anthropic.script import Reply

Frame = tuple[str, dict[str, Any]]


def content(reply: Reply, message_id: str) -> list[dict[str, Any]]:
    """The content blocks of a reply; a call without an id gets one."""
    blocks: list[dict[str, Any]] = []
    for index, block in enumerate(reply.blocks):
        if "text" in block:
            blocks.append({"type": "text", "text": block["text"]})
        else:
            call = block["tool_use"]
            blocks.append(
                {
                    "type": "tool_use",
                    "id": call.get("id", f"toolu_{message_id[4:]}_{index}"),
                    "name": call["name"],
                    "input": call.get("input", {}),
                    "_raw": call.get("raw"),
                }
            )
    return blocks


def stop_reason(reply: Reply) -> str:
    """As scripted, or what the blocks mean."""
    asks = any("tool_use" in block for block in reply.blocks)
    return reply.stop_reason or ("tool_use" if asks else "end_turn")


def usage(counted: Counted, output: int) -> dict[str, Any]:
    """The four input counters and the output."""
    return {
        "input_tokens": counted.fresh,
        "cache_creation_input_tokens": counted.written_5m + counted.written_1h,
        "cache_read_input_tokens": counted.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counted.written_5m,
            "ephemeral_1h_input_tokens": counted.written_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
    }


def output_tokens(reply: Reply) -> int:
    """As scripted, or counted from the blocks."""
    return reply.output_tokens or max(1, tokens(json.dumps(reply.blocks)))


def message(reply: Reply, model: str, message_id: str, counted: Counted) -> dict[str, Any]:
    """The answer of a call that does not stream."""
    blocks = [
        {key: value for key, value in block.items() if key != "_raw"} for block in content(reply, message_id)
    ]
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": stop_reason(reply),
        "stop_sequence": None,
        "usage": usage(counted, output_tokens(reply)),
    }


def frames(reply: Reply, model: str, message_id: str, counted: Counted) -> Iterator[Frame]:
    """The events of a streamed answer."""
    empty = message(reply, model, message_id, counted) | {"content": [], "stop_reason": None}
    yield "message_start", {"type": "message_start", "message": empty | {"usage": usage(counted, 1)}}
    for index, block in enumerate(content(reply, message_id)):
        if reply.pings:
            yield "ping", {"type": "ping"}
        raw = block.pop("_raw", None)
        is_text = block["type"] == "text"
        text = block["text"] if is_text else raw if raw is not None else json.dumps(block["input"])
        start: dict[str, Any] = {**block, **({"text": ""} if is_text else {"input": {}})}
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": start}
        if not is_text:
            # The vendor's first piece of a call's arguments is empty.
            yield "content_block_delta", _delta(index, is_text, "")
        for at in range(0, len(text), max(1, reply.piece)):
            yield "content_block_delta", _delta(index, is_text, text[at : at + max(1, reply.piece)])
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    yield (
        "message_delta",
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(reply), "stop_sequence": None},
            "usage": {"output_tokens": output_tokens(reply)},
        },
    )
    yield "message_stop", {"type": "message_stop"}


def encode(frame: Frame) -> bytes:
    """One event's bytes."""
    return f"event: {frame[0]}\ndata: {json.dumps(frame[1], ensure_ascii=False)}\n\n".encode()


def error(kind: str, text: str) -> dict[str, Any]:
    """The body of an error."""
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_local"}


def _delta(index: int, is_text: bool, piece: str) -> dict[str, Any]:
    delta = (
        {"type": "text_delta", "text": piece}
        if is_text
        else {"type": "input_json_delta", "partial_json": piece}
    )
    return {"type": "content_block_delta", "index": index, "delta": delta}
