"""Load functions from the source tree through functions-framework, many in one process.

The framework is made for one function per process. What it leaves behind (a registry keyed by function
name, `sys.path`, `sys.modules["main"]`, a few environment variables) is put back after each load, so that
functions can't see each other through it (facts/runtime.md, 1).
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import functions_framework
from functions_framework import _function_registry as registry

from local.gateway import bytecode
from local.manifest import Function

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_ENVIRONMENT = (
    "FUNCTION_TARGET",
    "FUNCTION_SIGNATURE_TYPE",
    "FUNCTION_SOURCE",
    "FUNCTION_TRIGGER_TYPE",
    "K_SERVICE",
)


class LoadError(Exception):
    """A function's source could not be imported; the cause has the traceback."""


class Loader(Protocol):
    """Where a function's application comes from: the source tree here, a built bundle elsewhere."""

    def load(self, function: Function) -> Wsgi:
        """The function's WSGI application. Raises LoadError."""
        ...

    def loaded(self) -> list[str]:
        """The names of the functions that are in memory."""
        ...


class SourceLoader:
    """Functions of the source tree, loaded at their first request and again when their file changes."""

    def __init__(self, root: Path) -> None:
        """Made before the gateway's threads start: from here on no name enters or leaves the environment."""
        self._root = root
        for name in _ENVIRONMENT:
            os.environ.setdefault(name, "")
        self._apps: dict[str, tuple[tuple[int, int, int], Wsgi]] = {}
        self._lock = threading.Lock()

    def load(self, function: Function) -> Wsgi:
        """The application of a function as its source is now."""
        source = self._root / function.source
        try:
            status = source.stat()
        except OSError as error:
            raise LoadError(f"{function.source}: {error.strerror}") from error
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = self._apps.get(function.name)
        if known and known[0] == stamp:
            return known[1]
        # One load at a time: the framework's state that is put back is the process's own.
        with self._lock:
            known = self._apps.get(function.name)
            if known and known[0] == stamp:
                return known[1]
            app = _create(source, function)
            self._apps[function.name] = (stamp, app)
            return app

    def loaded(self) -> list[str]:
        """The functions in this process's memory."""
        return sorted(self._apps)


def _create(source: Path, function: Function) -> Wsgi:
    bytecode.ensure(source)
    with _restored():
        # Cloud Run tells each function its deployed name; here it holds while the function is loaded.
        os.environ["K_SERVICE"] = function.name
        try:
            app: Wsgi = functions_framework.create_app(function.entry_point, str(source), "http")
        except (Exception, SystemExit) as error:
            # Whatever a half-written module raises is this route's problem, never the gateway's.
            raise LoadError(f"{source.name}: {type(error).__name__}: {error}") from error
    return app


@contextmanager
def _restored() -> Iterator[None]:
    path, main = list(sys.path), sys.modules.pop("main", None)
    # Other threads read the environment meanwhile (settings do, whole): values change, the names stay.
    environment = {name: os.environ[name] for name in _ENVIRONMENT}
    maps = (registry.REGISTRY_MAP, registry.INPUT_TYPE_MAP)
    kept, asgi = [dict(content) for content in maps], set(registry.ASGI_FUNCTIONS)
    for content in maps:
        content.clear()
    try:
        yield
    finally:
        sys.path[:] = path
        sys.modules.pop("main", None)
        if main is not None:
            sys.modules["main"] = main
        for content, before in zip(maps, kept, strict=True):
            content.clear()
            content.update(before)
        registry.ASGI_FUNCTIONS.clear()
        registry.ASGI_FUNCTIONS.update(asgi)
        os.environ.update(environment)
