"""The public title of every error code, also of rooms that this function does not import."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from shared.platform.errors import BridgeError


def title(code: str) -> str:
    """The title of a code; that of an unexpected error for one that nobody declares any more."""
    return _titles().get(code) or BridgeError.title()


@lru_cache(maxsize=1)
def _titles() -> dict[str, str]:
    found: dict[str, str] = json.loads(Path(__file__).with_name("errors.json").read_bytes())
    return found
