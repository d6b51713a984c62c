"""What a turn has finished so far: enough for another process to continue it without doing it again.

    assistant ─ tools ─ assistant ─ tools ─ … ─ assistant

An assistant's message is journaled before its tools run, so the ids of their calls are the same after a
take-over and an effect that was half made is met again. Results are journaled before the next call of
the model. Entries are rows: they are small, short-lived, and commit together with what the calls cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.agents.protocol.history import Line, blocks_from_json, blocks_to_json, text_of
from shared.agents.protocol.model import Block, Message, ToolResult, ToolUse
from shared.platform import clock
from shared.platform.clock import iso
from shared.platform.ids import derived_id

Emitted = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Entry:
    """One finished piece of a turn."""

    kind: Literal["assistant", "tools"]
    blocks: tuple[Block, ...]
    at: str = field(default_factory=lambda: str(iso(clock.now())))
    emitted: tuple[Emitted, ...] = ()
    """Events that the tools sent into the stream."""
    marks: Mapping[str, Any] = field(default_factory=dict)
    """What else the message log says of the message: model, cancelled, unsupported figures."""
    last_event: int = 0

    @property
    def message(self) -> Message:
        """As the provider sees it."""
        return Message("assistant" if self.kind == "assistant" else "user", self.blocks)

    @property
    def calls(self) -> list[ToolUse]:
        """The tool calls of an assistant's message."""
        return [block for block in self.blocks if isinstance(block, ToolUse)]

    @property
    def results(self) -> list[Any]:
        """The contents of tool results."""
        return [block.content for block in self.blocks if isinstance(block, ToolResult)]

    def to_row(self) -> dict[str, Any]:
        """The entry's JSON."""
        return {
            "blocks": blocks_to_json(self.blocks),
            "at": self.at,
            "emitted": [{"kind": kind, "data": dict(data)} for kind, data in self.emitted],
            "marks": dict(self.marks),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Entry:
        """The entry of a row."""
        entry = row["entry"]
        return cls(
            kind=row["kind"],
            blocks=blocks_from_json(entry["blocks"]),
            at=entry["at"],
            emitted=tuple((item["kind"], item["data"]) for item in entry["emitted"]),
            marks=entry["marks"],
            last_event=int(row["last_event"]),
        )


def lines_of(turn_id: str, message: str, asked_at: str, entries: Sequence[Entry]) -> list[Line]:
    """The turn as lines of the message log. Ids follow from the turn, so a repetition makes the same."""
    user = {
        "id": message_id(turn_id, 0),
        "turn_id": turn_id,
        "role": "user",
        "created_at": asked_at,
        "text": message,
        "content": [{"type": "text", "text": message}],
    }
    return [user] + [
        {
            "id": message_id(turn_id, index),
            "turn_id": turn_id,
            "role": "assistant" if entry.kind == "assistant" else "tool",
            "created_at": entry.at,
            "text": text_of(entry.blocks),
            "content": blocks_to_json(entry.blocks),
            **entry.marks,
        }
        for index, entry in enumerate(entries, start=1)
    ]


def message_id(turn_id: str, index: int) -> str:
    """The id of the turn's message of this index; 0 is the person's."""
    return derived_id(turn_id, "message", str(index), at_ms=_milliseconds(turn_id))


def _milliseconds(id: str) -> int:
    return int(id.replace("-", "")[:12], 16)
