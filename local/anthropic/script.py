"""What the protocol server will say: a file of replies, taken in order.

    {"replies": [
      {"blocks": [{"text": "Let me look."}, {"tool_use": {"name": "list_tables", "input": {"dataset": "d"}}}]},
      {"when": "carriers", "blocks": [{"text": "Twelve carriers."}], "output_tokens": 9},
      {"error": {"status": 529, "type": "overloaded_error", "message": "Overloaded", "retry_after": 1}},
      {"blocks": [{"text": "Half a"}], "break_after": 4}
    ]}

A reply with `when` is taken for requests whose last message contains that text, any number of times; the
others are taken once each, in order. The file is read again when it changes.
"""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KNOWN = {
    "when", "blocks", "stop_reason", "output_tokens", "error", "break_after", "stream_error", "delay", "gap",
    "piece", "shred", "pings",
}  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """One answer to one call."""

    blocks: list[dict[str, Any]] = field(default_factory=list)
    when: str | None = None
    stop_reason: str | None = None
    output_tokens: int | None = None
    error: dict[str, Any] | None = None
    """Answered as an HTTP status: status, type, message, retry_after."""
    break_after: int | None = None
    """The connection breaks after this many events."""
    stream_error: dict[str, Any] | None = None
    """An `error` event in the middle of the stream: after, type, message."""
    delay: float = 0.0
    """Seconds before the first byte."""
    gap: float = 0.0
    """Seconds between two events."""
    piece: int = 12
    """Characters in one delta."""
    shred: int | None = None
    """Bytes in one write: events, and letters of several bytes, are cut wherever this falls."""
    pings: bool = False


class Script:
    """Replies of a file, handed out to concurrent requests."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._read_at: int | None = None
        self._ordered: list[Reply] = []
        self._keyed: list[Reply] = []

    def take(self, last_message: str) -> Reply | None:
        """The reply for a request, or None when the script has no more."""
        with self._lock:
            self._reload()
            for reply in self._keyed:
                if reply.when is not None and reply.when in last_message:
                    return reply
            return self._ordered.pop(0) if self._ordered else None

    def _reload(self) -> None:
        if not self._path.exists():
            return
        changed = self._path.stat().st_mtime_ns
        if changed == self._read_at:
            return
        replies = [_reply(item) for item in json.loads(self._path.read_text())["replies"]]
        self._keyed = [reply for reply in replies if reply.when is not None]
        self._ordered = [reply for reply in replies if reply.when is None]
        self._read_at = changed


def _reply(item: dict[str, Any]) -> Reply:
    if unknown := set(item) - KNOWN:
        raise ValueError(f"the script has unknown members: {', '.join(sorted(unknown))}")
    return Reply(**item)
