"""The message log of a session: JSON lines in chunks of the lake.

    {session}/turns/{turn}-{epoch}.jsonl ──compose──► {session}/messages-0001.jsonl ─ full ─► messages-0002 …

A turn is written as one small object and composed onto the newest chunk with the chunk's generation as
precondition, so an append costs the same in a long conversation as in a short one and two writers can't
lose each other's lines. The chunk's metadata names the turns in it: a repeated append adds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.agents.protocol.history import Line
from shared.platform.cloud import objects
from shared.platform.errors import NotFound, PreconditionFailed
from shared.platform.telemetry import context as telemetry
from shared.platform.text import strict_json

MOST_MESSAGES, MOST_TOKENS, MOST_TURNS = 1_000, 10_000, 400
ROLES = ("user", "assistant", "tool")
_TYPE = "application/x-ndjson"


def chunk_name(session_id: str, number: int) -> str:
    """Where a chunk lies in the sessions bucket."""
    return objects.safe_name(session_id, f"messages-{number:04d}.jsonl")


def append(
    session_id: str,
    turn_id: str,
    lines: list[Line],
    *,
    chunk: int,
    epoch: int = 1,
    still_mine: Callable[[], None] = lambda: None,
) -> int:
    """Add a turn's lines; answers the number of the chunk that holds them.

    `chunk` is the newest chunk that is known; later ones are found from there. `still_mine` is asked
    before each attempt and raises when another process has the turn.
    """
    piece = objects.safe_name(session_id, "turns", f"{turn_id}-{epoch}.jsonl")
    data = b"".join(strict_json.dumps(line) + b"\n" for line in lines)
    objects.put("sessions", piece, data, content_type=_TYPE)
    mark = _mark(turn_id)
    while True:
        still_mine()
        name = chunk_name(session_id, chunk)
        found = objects.head("sessions", name)
        marks = found.metadata.get("turns", "").split() if found else []
        if mark in marks:
            break
        counts = _Counts.of(found)
        if counts.messages >= MOST_MESSAGES or counts.tokens >= MOST_TOKENS or len(marks) >= MOST_TURNS:
            chunk += 1
            continue
        try:
            objects.compose(
                "sessions",
                name,
                [name, piece] if found else [piece],
                if_generation=found.generation if found else objects.ABSENT,
                content_type=_TYPE,
                metadata=counts.plus(lines, len(data)).metadata([*marks, mark]),
            )
        except PreconditionFailed:
            continue
        break
    objects.delete("sessions", piece)
    return chunk


@dataclass(frozen=True)
class Page:
    """Lines, newest first, and what could not be read."""

    lines: list[Line]
    warnings: list[dict[str, str]] = field(default_factory=list)


def newest(
    session_id: str,
    chunk: int,
    *,
    limit: int,
    offset: int = 0,
    role: str | None = None,
    enough: Callable[[list[Line]], bool] = lambda _lines: False,
) -> Page:
    """Lines from the newest back, until the limit or until they are `enough`.

    Chunks that the offset passes are counted, not read.
    """
    page = Page([])
    for number in range(chunk, 0, -1):
        if len(page.lines) >= limit or enough(page.lines):
            break
        name = chunk_name(session_id, number)
        if offset > 0:
            found = objects.head("sessions", name)
            held = _Counts.of(found).of_role(role)
            if found is not None and held <= offset:
                offset -= held
                continue
        try:
            data, _ = objects.get("sessions", name)
        except NotFound:
            if number < chunk or chunk > 1:
                page.warnings.append(_missing(number))
            continue
        matching = [line for line in _lines(data, number, page) if role is None or line["role"] == role]
        matching.reverse()
        page.lines.extend(matching[offset : offset + limit - len(page.lines)])
        offset = max(0, offset - len(matching))
    return page


def _lines(data: bytes, number: int, page: Page) -> Iterator[Line]:
    for raw in data.splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            page.warnings.append(
                {
                    "code": "MESSAGE_UNREADABLE",
                    "message": f"A line of messages-{number:04d}.jsonl is damaged.",
                }
            )
            continue
        yield line


def _missing(number: int) -> dict[str, str]:
    telemetry.log("a chunk of a message log is missing", "WARNING", chunk=number)
    return {"code": "MESSAGES_MISSING", "message": f"messages-{number:04d}.jsonl is missing from the store."}


@dataclass(frozen=True)
class _Counts:
    """What a chunk's metadata says is in it."""

    user: int = 0
    assistant: int = 0
    tool: int = 0
    tokens: int = 0

    @property
    def messages(self) -> int:
        return self.user + self.assistant + self.tool

    @classmethod
    def of(cls, found: objects.Stored | None) -> _Counts:
        metadata: Any = found.metadata if found else {}
        return cls(**{name: int(metadata.get(name, 0)) for name in (*ROLES, "tokens")})

    def of_role(self, role: str | None) -> int:
        return self.messages if role is None else int(getattr(self, role))

    def plus(self, lines: list[Line], size: int) -> _Counts:
        added = {name: sum(line["role"] == name for line in lines) for name in ROLES}
        return _Counts(
            self.user + added["user"],
            self.assistant + added["assistant"],
            self.tool + added["tool"],
            # About four characters are a token; this only decides when a chunk is full.
            self.tokens + size // 4,
        )

    def metadata(self, marks: list[str]) -> dict[str, str]:
        values = {name: str(getattr(self, name)) for name in (*ROLES, "tokens")}
        return values | {"turns": " ".join(marks)}


def _mark(turn_id: str) -> str:
    """The random end of the turn's id: short enough that a chunk's turns fit into its metadata."""
    return turn_id.rsplit("-", 1)[1]
