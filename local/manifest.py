"""Read functions/manifest.json, the one description of all functions, and notice when it changes."""

import fcntl
import json
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    return parse(path.read_text())


def parse(text: str) -> tuple[Function, ...]:
    """Every function of a manifest."""
    return tuple(_function(entry) for entry in json.loads(text)["functions"])


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


class LastGood:
    """The newest manifest that any of several processes could read: a file without a name, made before they fork.

    Without it a worker whose first look comes after the file broke knows less than the worker beside it.
    """

    def __init__(self) -> None:
        self._file, name = tempfile.mkstemp()
        os.unlink(name)
        weakref.finalize(self, os.close, self._file)

    def keep(self, text: str) -> None:
        """Replace what is kept."""
        with self._locked(fcntl.LOCK_EX):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, text.encode(), 0)

    def text(self) -> str:
        """What was kept last; empty at first."""
        with self._locked(fcntl.LOCK_SH):
            return os.pread(self._file, os.fstat(self._file).st_size, 0).decode()

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        # Not flock: its locks belong to the open file, which the forked processes share.
        fcntl.lockf(self._file, kind)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


class Watched:
    """A manifest file, read again when it changes. A file that can't be read keeps the last good one.

    Each reading is a tuple of its own: what was compiled from one holds for as long as it is the same tuple.
    """

    def __init__(self, path: Path, last_good: LastGood | None = None) -> None:
        self.path = path
        self.problem: str | None = None
        self._last_good = last_good
        self._stamp: tuple[int, int, int] | None = None
        self._text = ""
        self._functions: tuple[Function, ...] = ()
        self._lock = threading.Lock()

    def functions(self) -> tuple[Function, ...]:
        """The functions as the file says now."""
        with self._lock:
            try:
                status = os.stat(self.path)
                stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
                if stamp != self._stamp:
                    self._take(self.path.read_text(), stamp)
                    if self._last_good is not None:
                        self._last_good.keep(self._text)
                self.problem = None
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self.problem = f"{self.path.name}: {type(error).__name__}: {error}"
                self._fall_back()
            return self._functions

    def _take(self, text: str, stamp: tuple[int, int, int] | None) -> None:
        self._functions, self._text, self._stamp = parse(text), text, stamp

    def _fall_back(self) -> None:
        """Catch up with what another process could still read."""
        text = "" if self._last_good is None else self._last_good.text()
        if text and text != self._text:
            self._take(text, None)
