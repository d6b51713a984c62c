"""What must be so before anything starts, each said in one line: the packages, the data folder, the port."""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
import sys
from pathlib import Path

_NEEDED = ("duckdb", "flask", "grpc", "gunicorn", "pg8000", "pydantic", "starlette", "uvicorn")
"""Some of requirements.lock, from different corners: where these are, `make setup` has run."""


def no_packages() -> str | None:
    """Why this Python can't run Bridge; None where it can."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return (
        f"{sys.executable} lacks Bridge's packages ({missing[0]}, for instance): run `make setup` first, and then "
        "`make run` or `.venv/bin/python -m local run`"
    )


def unusable(home: Path, *, makes: bool = True) -> str | None:
    """Why a folder can't hold data; None where it can. One that is not there must only be possible if it is made."""
    home = home.absolute()
    another = "set BRIDGE_HOME (or --home) to another folder"
    try:
        place = next(path for path in (home, *home.parents) if _is_there(path))
    except PermissionError as error:
        return f"the data folder {home} can't be reached by this user ({error.filename}): {another}"
    if not place.is_dir():
        return f"the data folder {home} can't be one, as {place} is a file: {another}"
    if place != home and not makes:
        return None
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK if place == home else os.W_OK | os.X_OK):
        return f"the data folder {home} can't be written by this user ({place}): {another}"
    return None


def _is_there(path: Path) -> bool:
    """Like exists(), but a folder that may not be looked into is no answer: raises PermissionError."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def unusable_port(port: int) -> str | None:
    """Why a server can't listen on a port of the loopback address now; None where it can."""
    another = "choose one with BRIDGE_PORT=8090 make run"
    if not 0 < port < 65536:
        return f"{port} is not a port: give a number from 1 to 65535"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return f"port {port} is reserved for programs with more rights (as those below 1024 often are): {another}"
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} is taken by another program: stop it, or {another}"
            return f"port {port} can't be used ({error.strerror}): {another}"
    return None
