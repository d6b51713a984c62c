"""What the flows stand on: the session's stack with its post in the test's hands, and doomed workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.flows.post import MANIFEST, ROOT, Delivery, Post


@pytest.fixture(scope="session")
def post(world: Any) -> Iterator[Post]:
    """The post of the session's stack."""
    with contextlib.closing(Post(world.stack)) as made:
        yield made


class Doomed:
    """Workers that do not reach the end of their delivery; tests/flows/doomed.py tells how."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.flows.doomed"],
            cwd=ROOT,
            # This process forks its workers, so it keeps gRPC's fork handlers.
            env={
                **os.environ,
                **post.stack.env,
                "GRPC_ENABLE_FORK_SUPPORT": "1",
                "PYTHONPATH": str(ROOT),
                "PYTHONWARNINGS": "ignore",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _ask(self, **order: Any) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def _send(self, item: Delivery, after: int, with_signal: int) -> str:
        function = next(function for function in MANIFEST if function["name"] == item.function)
        return self._ask(
            module=function["module"],
            entry_point=function["entry_point"],
            headers=self._post.headers(item),
            body=json.dumps(item.body),
            after=after,
            signal=with_signal,
        )

    def die(self, item: Delivery, after: int) -> int | None:
        """Deliver to a worker that is SIGKILLed after so many effects; the status if it got to its end."""
        said = self._send(item, after, signal.SIGKILL)
        assert said == "killed" or said.isdigit(), f"{item}: {said}"
        return None if said == "killed" else int(said)

    def sleep(self, item: Delivery, after: int) -> int | None:
        """Deliver to a worker that stalls after so many effects; its process, or None if it got through."""
        said = self._send(item, after, signal.SIGSTOP)
        return int(said.removeprefix("stopped ")) if said.startswith("stopped") else None

    def wake(self, process: int) -> int:
        """Let a stalled worker go on; the status that it answers."""
        return int(self._ask(wake=process))

    def close(self) -> None:
        """End the nursery."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="session")
def doomed(post: Post) -> Iterator[Doomed]:
    """Workers over the session's stack."""
    made = Doomed(post)
    yield made
    made.close()
