"""Where the gateway finds things."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """The manifest, the stack's state for the status page, the dispatch process and the issuer of tokens."""

    manifest: Path
    stack: Path | None = None
    dispatch: str | None = None  # host:port
    identity: Path | None = None  # the folder that holds identity/, to check tokens as Cloud Run does
    step_url: str = "http://127.0.0.1:8080/_fn/{name}"
