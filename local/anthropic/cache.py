"""The prompt cache's bookkeeping: what of a request was read, written and fresh.

A breakpoint keeps everything before it under a hash of that prefix. One byte that differs gives another
hash, so all that follows is a miss, as it is at the vendor.
"""

import hashlib
import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from local.anthropic.checks import segments

SMALLEST = 1024
LIFETIMES = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True)
class Counted:
    """Input tokens of one call, as the vendor counts them: fresh excludes what was cached."""

    fresh: int
    read: int
    written_5m: int
    written_1h: int

    @property
    def total(self) -> int:
        return self.fresh + self.read + self.written_5m + self.written_1h


class PromptCache:
    """Kept prefixes and when each ends."""

    def __init__(self) -> None:
        self._kept: dict[str, float] = {}
        self._lock = threading.Lock()

    def count(self, body: dict[str, Any]) -> Counted:
        """Account a request: read the longest kept prefix, keep the rest up to the last breakpoint."""
        prefix = hashlib.sha256(body["model"].encode())
        total = read = marked = 0
        written = {"5m": 0, "1h": 0}
        new: list[tuple[str, float]] = []
        now = time.monotonic()
        with self._lock:
            for part in segments(body):
                control = part.get("cache_control")
                text = json.dumps(
                    {key: value for key, value in part.items() if key != "cache_control"}, sort_keys=True
                )
                prefix.update(text.encode())
                total += tokens(text)
                if not control or total < SMALLEST:
                    continue
                ttl, key = control.get("ttl", "5m"), prefix.hexdigest()
                if self._kept.get(key, 0.0) > now:
                    read, written = total, {"5m": 0, "1h": 0}
                else:
                    written[ttl] += total - max(marked, read)
                marked = total
                new.append((key, now + LIFETIMES[ttl]))
            self._kept.update(new)
        cached = read + sum(written.values())
        return Counted(total - cached, read, written["5m"], written["1h"])


def tokens(text: str) -> int:
    """About four characters are a token."""
    return -(-len(text) // 4)
