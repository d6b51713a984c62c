"""Where the gateway finds things."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """The manifest, the stack's state for the status page, and the dispatch process."""

    manifest: Path
    stack: Path | None = None
    dispatch: str | None = None  # host:port
