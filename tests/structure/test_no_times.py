"""No test asserts a time: on a busy or a slow machine the run takes longer, and is never red for it.

What something costs is measured by tests/bench, whose programs fail nobody. A test waits for a condition
(local/patience.py), moves a clock (tests/moved_clock.py), makes a lease age, or counts steps.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
STOPWATCHES = {
    f"{name}{unit}"
    for name in ("monotonic", "perf_counter", "process_time", "thread_time")
    for unit in ("", "_ns")
} | {"getrusage", "times", "timeit", "cpu_times"}
INSTANTS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("clock", "now"),
    ("datetime", "utcnow"),
}
LEAST_BOUND = 60


def _called(node: ast.AST) -> tuple[str, str] | None:
    """(owner, name) of a call such as `time.time()`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    owner = node.func.value
    return (owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", ""), node.func.attr)


def _is_reading(node: ast.AST, read: set[str]) -> bool:
    """A reading of a clock, the name of one, or a part of one such as `.timestamp()`."""
    if _called(node) in INSTANTS or (isinstance(node, ast.Name) and node.id in read):
        return True
    inner = node.func if isinstance(node, ast.Call) else node
    return isinstance(inner, ast.Attribute) and _is_reading(inner.value, read)


def _number(node: ast.AST | None) -> float:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int | float) else 0.0


def _bound(node: ast.Call) -> float:
    """The seconds that a call waits at most, where they stand there as a number."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    given = next((one.value for one in node.keywords if one.arg in ("timeout", "patience", "seconds")), None)
    if name in ("wait", "join", "result") and node.args:
        given = node.args[0]
    return (
        _number(given)
        if name in ("wait", "join", "result", "until", "Barrier", "acquire", "get", "run")
        else 0.0
    )


def _faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    expected = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and any("raises" in ast.dump(item.context_expr) for item in node.items)
        for inner in ast.walk(node)
    }
    read = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _called(node.value) in INSTANTS
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        called = _called(node)
        if called is not None and called[1] in STOPWATCHES:
            yield node.lineno, f"{'.'.join(called)}() is a stopwatch"
        if isinstance(node, ast.Call) and id(node) not in expected and 1 <= _bound(node) < LEAST_BOUND:
            yield node.lineno, f"{_bound(node):g} s are too few for a busy machine"
        if isinstance(node, ast.Assert):
            for inner in ast.walk(node.test):
                if isinstance(inner, ast.BinOp) and (
                    _is_reading(inner.left, read) or _is_reading(inner.right, read)
                ):
                    yield node.lineno, "an assertion reckons with the time"


MODULES = [
    path
    for path in sorted(TESTS.rglob("*.py"))
    # tests/bench measures; the clock that tests move leans on the machine's, and so do its own tests.
    if "bench" not in path.relative_to(TESTS).parts and path.name not in ("moved_clock.py", "test_clock.py")
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_asserts_a_time(path: Path) -> None:
    """No stopwatch, no reckoning with the time in an assertion, no bound of less than a minute."""
    assert list(_faults(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("assert time.monotonic() - began < 2", "stopwatch"),
        ("took = time.process_time()", "stopwatch"),
        ("assert clock.monotonic() < end", "stopwatch"),
        ("began = time.time()\nassert time.time() - began < 1", "reckons"),
        ("now = clock.now()\nassert (made.at - now).total_seconds() < 1", "reckons"),
        ("assert abs(found - time.time() * 1e6) < 60", "reckons"),
        ("child.wait(10)", "too few"),
        ("until(lambda: True, seconds=5)", "too few"),
        ("meeting = threading.Barrier(3, timeout=20)", "too few"),
        ("done.result(timeout=30)", "too few"),
    ],
)
def test_what_it_looks_for_is_found(text: str, fault: str) -> None:
    """Each of these has been the reason of a red run on a busy machine."""
    assert any(fault in said for _, said in _faults(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "before = time.time()\nassert before <= made.at <= time.time()",
        "threading.Event().wait(0.05)",
        "with pytest.raises(TimeoutError):\n    done.result(timeout=1)",
        "child.wait(60)",
    ],
)
def test_what_is_no_time_is_allowed(text: str) -> None:
    """The order of instants, a pause, a wait that is meant to fail."""
    assert list(_faults(ast.parse(text))) == []
