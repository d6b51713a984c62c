"""From the message log to a conversation that a provider accepts, and back.

A provider refuses a conversation in which a call has no result or a result no call, and such a history
would refuse every later message too. So history is cut only where a turn begins, and repaired before
each request: a call that was interrupted gets a result that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from shared.agents.protocol.model import Block, Message, Text, ToolResult, ToolUse

WINDOW = 20
"""About how many of the last messages a request carries."""
LOADED = 100
"""Most lines to read for it: two windows, and the longest turn before them."""

Line = dict[str, Any]
Role = Literal["user", "assistant"]


def blocks_to_json(blocks: Iterable[Block]) -> list[Line]:
    """Blocks as they stand in the journal and the log."""
    found: list[Line] = []
    for block in blocks:
        match block:
            case Text(text):
                found.append({"type": "text", "text": text})
            case ToolUse(id, name, arguments):
                found.append({"type": "tool_call", "id": id, "tool": name, "args": dict(arguments)})
            case ToolResult(id, content, is_error):
                found.append({"type": "tool_result", "id": id, "content": content, "is_error": is_error})
    return found


def blocks_from_json(items: Iterable[Mapping[str, Any]]) -> tuple[Block, ...]:
    """The blocks of a journal entry or a log line; kinds that a later version added are left out."""
    found: list[Block] = []
    for item in items:
        match item.get("type"):
            case "text":
                found.append(Text(item["text"]))
            case "tool_call":
                found.append(ToolUse(item["id"], item["tool"], item["args"]))
            case "tool_result":
                found.append(ToolResult(item["id"], item["content"], bool(item["is_error"])))
    return tuple(found)


def text_of(blocks: Iterable[Block]) -> str:
    """The prose of a message."""
    return "\n\n".join(block.text for block in blocks if isinstance(block, Text) and block.text.strip())


def message_of(line: Line) -> Message:
    """A log line as the message that the provider saw; tool results travel as the user's."""
    return Message("assistant" if line["role"] == "assistant" else "user", blocks_from_json(line["content"]))


def window(lines: Sequence[Line], total: int) -> list[Line]:
    """The last lines of `total`, from the beginning of a turn on; a turn begins with the person's line.

    The beginning moves in steps of a whole window, not with each message: a request then starts like
    the one before it, and the provider's prompt cache hits. So it holds WINDOW to 2 × WINDOW messages,
    and what its first turn has before that.
    """
    first_known = total - len(lines)
    start = max(0, (total - WINDOW) // WINDOW * WINDOW)
    begins = [index for index, line in enumerate(lines) if line["role"] == "user"]
    if not begins:
        return []
    before = [index for index in begins if first_known + index <= start]
    return list(lines[before[-1] if before else begins[0] :])


def reaches(newest_first: Sequence[Line], total: int) -> bool:
    """Whether these lines hold the whole window: older chunks of the log need not be read."""
    wanted = total - max(0, (total - WINDOW) // WINDOW * WINDOW)
    return any(line["role"] == "user" for line in newest_first[wanted - 1 :])


def repaired(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The same conversation with calls and results in pairs, roles in turn, and nothing empty."""
    found: list[tuple[Role, list[Block]]] = []
    open_calls: list[str] = []
    for message in messages:
        blocks = [block for block in message.blocks if not isinstance(block, Text) or block.text.strip()]
        if message.role == "user":
            blocks = _answering(open_calls, blocks)
        elif open_calls:
            found.append(("user", [_interrupted(id) for id in open_calls]))
            open_calls = []
        if not blocks or (not found and message.role == "assistant"):
            continue
        if found and found[-1][0] == message.role:
            found[-1][1].extend(blocks)
        else:
            found.append((message.role, blocks))
        open_calls = [
            block.id for block in blocks if isinstance(block, ToolUse) and message.role == "assistant"
        ]
    if open_calls:
        found.append(("user", [_interrupted(id) for id in open_calls]))
    return tuple(Message(role, tuple(blocks)) for role, blocks in found)


def _answering(open_calls: Sequence[str], blocks: Sequence[Block]) -> list[Block]:
    """A result for each open call, and none for any other; a provider reads them before the person's next words."""
    results: dict[str, Block] = {}
    rest: list[Block] = []
    wanted = set(open_calls)
    for block in blocks:
        if not isinstance(block, ToolResult):
            rest.append(block)
        elif block.tool_use_id in wanted:
            results.setdefault(block.tool_use_id, block)
    missing = [_interrupted(id) for id in open_calls if id not in results]
    return [*missing, *results.values(), *rest]


def _interrupted(call_id: str) -> ToolResult:
    return ToolResult(
        call_id,
        {"error": {"code": "INTERRUPTED", "message": "The call was interrupted and has no result."}},
        is_error=True,
    )
