"""What one instance keeps of answers: composed ones, bounded by their bytes.

Keys name versions, so nothing is ever out of date by a change of the dashboard, only by its own age.
"""

from __future__ import annotations

from dataclasses import dataclass

ANSWER_BYTES = 64 * 1024 * 1024
_OVERHEAD_BYTES = 512


@dataclass(frozen=True)
class Answer:
    """A composed answer, ready to be sent."""

    body: bytes
    """gzip of the JSON."""
    etag: str
    fresh_until: float

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return len(self.body) + _OVERHEAD_BYTES
