"""Read functions/manifest.json, the one description of all functions, and notice when it changes."""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Function:
    """One deployable function, as far as the laptop's cloud needs to know it."""

    name: str
    source: str
    entry_point: str
    kind: str
    method: str = ""
    paths: tuple[str, ...] = ()
    bucket: str = ""
    pattern: str = ""
    schedule: str = ""
    timeout: float = 60.0
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)


def load(path: Path) -> tuple[Function, ...]:
    """Every function of a manifest file."""
    return tuple(_function(entry) for entry in json.loads(path.read_text())["functions"])


def _function(entry: Mapping[str, Any]) -> Function:
    return Function(
        name=entry["name"],
        source=entry["source"],
        entry_point=entry["entry_point"],
        kind=entry["kind"],
        method=entry.get("method") or "",
        paths=tuple(entry.get("paths") or ()),
        bucket=entry.get("bucket") or "",
        pattern=entry.get("pattern") or "",
        schedule=entry.get("schedule") or "",
        timeout=float(entry.get("timeout") or 60),
        extra=entry,
    )


class Watched:
    """A manifest file, read again when it changes. A file that can't be read keeps the last good one.

    `version` grows with each reading, so that what was compiled from it can be kept until then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: str | None = None
        self.version = 0
        self._stamp: tuple[int, int, int] | None = None
        self._functions: tuple[Function, ...] = ()
        self._lock = threading.Lock()

    def functions(self) -> tuple[Function, ...]:
        """The functions as the file says now."""
        with self._lock:
            try:
                status = os.stat(self.path)
                stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
                if stamp != self._stamp:
                    self._functions, self._stamp = load(self.path), stamp
                    self.version += 1
                self.problem = None
            except (OSError, ValueError, KeyError, TypeError) as error:
                self.problem = f"{self.path.name}: {type(error).__name__}: {error}"
            return self._functions
