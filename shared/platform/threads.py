"""Threads: the one place that starts them, so that each carries the context of whoever starts it.

The context is the deadline, the request that log lines and spans belong to, the step that the work is part of. A
thread without it would wait longer than its request may, and tell of nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from shared.platform.telemetry import context as telemetry

P = ParamSpec("P")
T = TypeVar("T")


def start(name: str, work: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> threading.Thread:
    """Run the work in a thread of its own, in the caller's context; the process does not wait for it at its end.

    What the work does not handle itself is logged: nobody else hears of it.
    """

    def run() -> None:
        try:
            work(*args, **kwargs)
        except Exception as error:
            telemetry.log_exception("a thread ended with an error", error, thread=name)

    thread = threading.Thread(target=copy_context().run, args=(run,), name=name, daemon=True)
    thread.start()
    return thread


class Pool(ThreadPoolExecutor):
    """So many threads for many pieces of work. Each piece runs in the context that it was handed over in."""

    def __init__(self, most: int, name: str) -> None:
        super().__init__(most, thread_name_prefix=name)

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand a piece of work over; `map` does so for each element."""
        context = copy_context()
        return super().submit(lambda: context.run(work, *args, **kwargs))
