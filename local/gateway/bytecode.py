"""Bytecode that can't be stale: compiled modules that are checked against their source's hash.

Python's usual check compares whole seconds and the size. Two edits of the same length within a second
then run old code, which a developer meets as "my change does nothing" (facts/runtime.md, 1).
"""

import importlib.util
import os
import py_compile
from pathlib import Path

_CHECKED_HASH = 0b11
_LOADED = (".py", ".sql", ".json", ".yaml", ".html", ".md", ".txt")


def ensure(source: Path) -> None:
    """Make sure that the bytecode of `source`, if it has any, is of the checked kind."""
    cached = Path(importlib.util.cache_from_source(str(source)))
    try:
        with cached.open("rb") as file:
            header = file.read(8)
        if int.from_bytes(header[4:8], "little") == _CHECKED_HASH:
            return
    except FileNotFoundError:
        pass
    except OSError:
        return
    try:
        py_compile.compile(
            str(source),
            doraise=True,
            quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
        )
    except (py_compile.PyCompileError, OSError):
        # A syntax error shows with its place when the module is imported; a read-only tree has no bytecode.
        cached.unlink(missing_ok=True)


def ensure_tree(folder: Path) -> None:
    """The same for every module below a folder."""
    for source in folder.rglob("*.py"):
        ensure(source)


def fingerprint(folder: Path) -> int:
    """A number that changes, within this process, when a file that functions load below a folder does."""
    stamps = []
    for parent, folders, names in os.walk(folder):
        if "__pycache__" in folders:
            folders.remove("__pycache__")
        for name in names:
            if name.endswith(_LOADED):
                try:
                    status = os.stat(os.path.join(parent, name))
                except FileNotFoundError:
                    continue
                stamps.append((parent, name, status.st_mtime_ns, status.st_size))
    return hash(tuple(sorted(stamps)))
