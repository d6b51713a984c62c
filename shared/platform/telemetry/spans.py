"""What is recorded, and how recording says that it can't."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from shared.platform import clock
from shared.platform.text import strict_json


@dataclass(slots=True)
class Span:
    """A piece of work that has ended."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began: float
    """Seconds since 1970."""
    duration_ms: float
    function: str
    attributes: dict[str, Any] = field(default_factory=dict)
    failed: bool = False


def complain(message: str, **labels: Any) -> None:
    """A WARNING of the telemetry about itself, beside any request."""
    line = {"severity": "WARNING", "message": message, "time": clock.iso(clock.now())}
    sys.stdout.write(strict_json.dumps(labels | line).decode() + "\n")
    sys.stdout.flush()
