"""A worker that dies, or falls asleep, after its n-th effect: `python -m tests.flows.doomed`.

It imports the doors once and forks for each delivery, so that a hundred deaths cost seconds. An effect is
what others can see: a commit, a task handed over, a written object, a document of the cache. Orders come
in as lines of JSON, and one line answers each:

    {"module", "entry_point", "headers", "body", "after", "signal"}   ─►  the status, "killed" or "stopped PID"
    {"wake": PID}                                                     ─►  the status that the sleeper answers
"""

import contextlib
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

EFFECTS = (
    ("objects", "put"), ("objects", "compose"), ("objects", "delete"),
    ("documents", "put"), ("documents", "change"), ("queues", "create"),
)  # fmt: skip


def interrupt_after(effects: int, with_signal: int) -> None:
    """Arrange for this process to get the signal once so many effects are durable."""
    from shared.platform.postgres import pool

    left = effects

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), with_signal)

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def effect(*args: Any, **options: Any) -> Any:
            result = real(*args, **options)
            count()
            return result

        return effect

    real_transaction = pool.transaction

    @contextlib.contextmanager
    def transaction(*args: Any, **options: Any) -> Iterator[Any]:
        with real_transaction(*args, **options) as tx:
            tx.after_commit(count)  # Before the messages of this commit are handed over.
            yield tx

    pool.transaction = transaction
    for module, name in EFFECTS:
        owner = importlib.import_module(f"shared.platform.cloud.{module}")
        setattr(owner, name, counting(getattr(owner, name)))


def deliver(order: dict[str, Any]) -> int:
    """Run one door over one request in this process."""
    from flask import Request
    from werkzeug.test import EnvironBuilder

    door = getattr(importlib.import_module(order["module"]), order["entry_point"])
    interrupt_after(order["after"], order["signal"])
    builder = EnvironBuilder(path="/", method="POST", data=order["body"].encode(), headers=order["headers"])
    return int(door(Request(builder.get_environ())).status_code)


def begin(order: dict[str, Any]) -> tuple[int, int]:
    """Fork a child that carries the order out; answers its id and where its answer can be read."""
    importlib.import_module(order["module"])
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = deliver(order)
        os.write(write, str(status).encode())
        os._exit(0)
    os.close(write)
    return child, read


def outcome(child: int, answer: int) -> str:
    """What became of the child by now."""
    _, ended = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(ended):
        return f"stopped {child}"
    status = os.read(answer, 16).decode()
    os.close(answer)
    if os.WIFSIGNALED(ended):
        return "killed" if os.WTERMSIG(ended) == signal.SIGKILL else f"broke by signal {os.WTERMSIG(ended)}"
    return status or f"broke with code {os.WEXITSTATUS(ended)}"


def main() -> None:
    """Serve orders from stdin until it closes."""
    for name in (
        *("google.cloud.storage", "google.cloud.bigquery", "google.cloud.firestore", "google.cloud.tasks_v2"),
        *(
            "google.cloud.tasks_v2.services.cloud_tasks.transports",
            "google.oauth2.id_token",
            "google.cloud.kms",
        ),
        *("sqlglot", "sqlglot.optimizer.qualify", "croniter", "pg8000.native"),
    ):
        importlib.import_module(name)
    # The doors log to stdout; the answers go out on a copy of it.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asleep: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "wake" in order:
            child, answer = order["wake"], asleep.pop(order["wake"])
            os.kill(child, signal.SIGCONT)
        else:
            child, answer = begin(order)
        said = outcome(child, answer)
        if said.startswith("stopped"):
            asleep[child] = answer
        print(said, file=answers, flush=True)


if __name__ == "__main__":
    main()
