"""The page at /_local/: what runs, where, in which version, and which functions are in memory."""

import importlib.metadata
import json
import os
import platform
from typing import Any

from local.gateway.config import Config
from local.gateway.loader import Loader
from local.gateway.routes import Routes

_PACKAGES = ("functions-framework", "gunicorn", "flask", "grpcio", "duckdb", "sqlglot", "pg8000", "pydantic")


def describe(config: Config, routes: Routes, loader: Loader) -> dict[str, Any]:
    """The state of the stack as JSON; holds no password and no token."""
    stack = json.loads(config.stack.read_text()) if config.stack and config.stack.exists() else {}
    return {
        "services": stack.get("services", {}),
        "versions": {"python": platform.python_version()} | _versions(),
        "functions": {"known": len(routes), "loaded": loader.loaded()},
        "worker": os.getpid(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
