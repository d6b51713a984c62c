"""From imported names to pinned requirements. The versions and hashes come from requirements.lock alone.

Which distribution gives a name, and what it needs in turn, is read from the installed metadata; a
distribution that is installed in another version than the lock says stops the build.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.imports import Imported, Unbundlable

SERVING = ("flask", "functions-framework", "gunicorn")
"""What every function runs on, whether its source names it or not."""

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")


@lru_cache(maxsize=4)
def locked(lock: Path) -> dict[str, tuple[str, str]]:
    """The lock as name → (version, the pin with its hashes)."""
    found: dict[str, tuple[str, str]] = {}
    name, version, lines = "", "", list[str]()
    for line in [*lock.read_text().splitlines(), "end==0"]:
        if match := _PIN.match(line):
            if name:
                found[name] = (version, "\n".join(lines).rstrip(" \\"))
            name, version, lines = canonicalize_name(match[1]), match[2], [line]
        elif line.strip().startswith("--hash="):
            lines.append(line)
    return found


def direct(imported: Iterable[Imported]) -> dict[str, list[str]]:
    """The distributions that these imports name, each with the names that asked for it."""
    found: dict[str, set[str]] = {}
    for wanted in imported:
        if wanted.module.split(".")[0] not in sys.stdlib_module_names:
            name = wanted.module if wanted.name is None else f"{wanted.module}.{wanted.name}"
            found.setdefault(_distribution(name), set()).add(name)
    return {name: sorted(names) for name, names in sorted(found.items())}


def complete(names: Iterable[str]) -> list[str]:
    """These distributions and, for this platform, all that they need."""
    found: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for text in importlib.metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                child = canonicalize_name(needed.name)
                waiting += [(child, ""), *((child, asked) for asked in needed.extras)]
    return sorted({name for name, _ in found})


def render(names: Iterable[str], lock: Path) -> str:
    """A requirements file with the lock's own pins and hashes."""
    pins = locked(lock)
    blocks = []
    for name in names:
        if name not in pins:
            raise Unbundlable(f"{name} is not in {lock.name}: add it to pyproject.toml and lock again")
        version, block = pins[name]
        installed = importlib.metadata.version(name)
        if installed != version:
            raise Unbundlable(
                f"{name} is installed as {installed}, {lock.name} says {version}: run `make setup`"
            )
        blocks.append(block)
    return "\n".join(blocks) + "\n"


@cache
def _distribution(name: str) -> str:
    """The distribution that has this dotted name; `google` alone is shared by a dozen of them."""
    owners = sorted({canonicalize_name(owner) for owner in _packages().get(name.split(".")[0], ())})
    if not owners:
        raise Unbundlable(f"{name} is imported, but no installed distribution has it")
    parts = name.split(".")
    while len(owners) > 1 and parts:
        having = [owner for owner in owners if ".".join(parts) in _modules(owner)]
        if len(having) == 1:
            return having[0]
        parts.pop()
    if len(owners) > 1:
        raise Unbundlable(f"{name} could come from any of {', '.join(owners)}: import a name below it")
    return owners[0]


@lru_cache(maxsize=1)
def _packages() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@cache
def _modules(distribution: str) -> frozenset[str]:
    """The dotted names of every module that a distribution installs, packages included."""
    found = set()
    for file in importlib.metadata.files(distribution) or ():
        if file.suffix in (".py", ".so"):
            parts = [*file.parts[:-1], file.name.split(".")[0]]
            found.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return frozenset(found)
