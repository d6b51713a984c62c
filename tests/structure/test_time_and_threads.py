"""Time is read and threads are started in one place each, so that tests move the one and contexts follow the other."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTERS = {"Thread", "Timer", "ThreadPoolExecutor", "start_new_thread"}
"""What begins a thread."""
STARTS_THREADS = {"shared/platform/threads.py"}
WAITS = {"sleep", "time", "monotonic"}
READS_THE_MACHINES_CLOCK = {
    "shared/platform/clock.py",
    # The moments and lengths of spans are measurements: a test that moves its clock must not lengthen them.
    "shared/platform/telemetry/context.py",
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for room in ("shared", "functions"):
        for path in sorted((ROOT / room).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def _used(tree: ast.AST, module: str) -> set[str]:
    """What a module takes out of another one, by attribute or by name."""
    taken = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == module:
            taken |= {alias.name for alias in node.names}
    return taken


def test_threads_are_started_by_the_one_helper() -> None:
    """It carries the context of the caller: deadline, request, step. A thread of its own making has none of them."""
    begun = {
        name
        for name, tree in _modules()
        if STARTERS & (_used(tree, "threading") | _used(tree, "concurrent") | _used(tree, "_thread"))
        or any(
            isinstance(node, ast.Name | ast.Attribute) and "ThreadPoolExecutor" in ast.unparse(node)
            for node in ast.walk(tree)
        )
    }
    assert begun == STARTS_THREADS


def test_time_is_read_and_waited_for_through_the_clock() -> None:
    """What sleeps by the machine's clock can't be woken by a test that moves the time."""
    assert {name for name, tree in _modules() if WAITS & _used(tree, "time")} == READS_THE_MACHINES_CLOCK


def test_an_event_is_waited_for_through_the_clock() -> None:
    """`event.wait(seconds)` waits by the machine's clock; `clock.wait(event, seconds)` by the one in use."""
    waiting = {
        name
        for name, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "wait"
        and (node.args or node.keywords)
        and ast.unparse(node.func.value) != "clock"
    }
    assert waiting <= {"shared/platform/clock.py"}
