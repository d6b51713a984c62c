"""What is written beside a result: counts, caches, promises, reservations to be settled.

The result comes first. Such a write gets little time; where it fails, the failure is logged and counted, and whoever
asked gets the result all the same. Each caller says how what was not written is put right later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shared.platform import deadline
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry import recording

SECONDS = 5.0
"""How long a result waits for what is written beside it."""


@dataclass
class Written:
    """How it went."""

    ok: bool = False


@contextmanager
def bookkeeping(of: str, repair: str, **labels: Any) -> Iterator[Written]:
    """Write beside a result inside the block, as best it can be. `repair` says what puts right what fails here."""
    written = Written()
    try:
        with deadline.operation(SECONDS):
            yield written
        written.ok = True
    except Exception as error:
        telemetry.log_exception(f"{of} could not be written: {repair}", error, **labels)
        recording.count("bridge.bookkeeping.failed", of=of)
