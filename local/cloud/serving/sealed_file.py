"""Keep a small JSON state with key material in a file that only its owner reads."""

import json
import os
from pathlib import Path
from typing import Any


def load(path: Path) -> dict[str, Any]:
    """The state last kept; {} at first. Refuses a file that others can read."""
    if not path.exists():
        return {}
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise PermissionError(f"{path} has mode {mode:o}; others could read keys: chmod 600 it")
    found = json.loads(path.read_text())
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no JSON object")
    return found


def save(path: Path, state: dict[str, Any]) -> None:
    """Replace the state as a whole: a reader, or a crash, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
