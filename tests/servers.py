"""Start what tests run against, and say plainly when it can't: that is one error, not one for each test."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.cloud.serving.process import die_with_parent

ROOT = Path(__file__).resolve().parents[1]


class CannotStart(Exception):
    """A server that tests need does not come up here. The run stops (tests/conftest.py)."""


def launch(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a server of the laptop's cloud; answers it when it serves. It ends with the thread that started it.

    Raises CannotStart with its last words.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )
    assert child.stdout is not None
    if not (line := child.stdout.readline()).startswith("ready"):
        code = child.wait()
        child.stdout.close()
        raise CannotStart(f"{module} ended with code {code} and said {line!r}; above is why")
    return child


@contextlib.contextmanager
def launched(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A server, stopped at the end."""
    child = launch(module, *arguments)
    try:
        yield child
    finally:
        child.terminate()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


@contextlib.contextmanager
def started_stack(*arguments: Any, **options: Any) -> Iterator[Any]:
    """A whole stack (local.stack.api.started). Raises CannotStart where it does not come up."""
    from local.stack import api

    with contextlib.ExitStack() as cleanup:
        try:
            stack = cleanup.enter_context(api.started(*arguments, **options))
        except api.StackFailed as error:
            raise CannotStart(f"the stack: {error}") from error
        yield stack
