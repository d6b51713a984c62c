"""Ports are given out once, whoever asks at the same moment."""

import errno
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local import ports

HOLDER = """
import sys
from local import ports
ports._LOWEST, ports._HIGHEST, ports._outgoing = int(sys.argv[1]), int(sys.argv[2]), lambda: (0, 0)
print(sorted(ports.free() for _ in range(int(sys.argv[3]))), flush=True)
sys.stdin.read()
"""


@contextmanager
def _holder(low: int, high: int, count: int) -> Iterator[list[int]]:
    """Another process that asks for so many ports of a range and keeps them."""
    command = [sys.executable, "-c", HOLDER, str(low), str(high), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield [int(port) for port in child.stdout.readline().strip("[]\n").split(", ")]
        child.kill()


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> int:
    """The first of four ports that nobody has."""
    while True:
        first = ports.free()
        if all(ports.is_free(first + more) for more in range(1, 5)) and not ports._ours & set(
            range(first + 1, first + 5)
        ):
            break
    monkeypatch.setattr(ports, "_LOWEST", first + 1)
    monkeypatch.setattr(ports, "_HIGHEST", first + 4)
    monkeypatch.setattr(ports, "_outgoing", lambda: (0, 0))
    monkeypatch.setattr(ports, "_TRIES", 300)
    return first + 1


def test_two_who_ask_at_once_are_never_given_the_same_port(low: int) -> None:
    """Nobody listens yet on what the other was given, and still it is the other's."""
    with _holder(low, low + 3, 3) as theirs:
        assert len(set(theirs)) == 3
        assert {ports.free()} == set(range(low, low + 4)) - set(theirs)
        with pytest.raises(OSError, match="no free port") as refused:
            ports.free()
        assert refused.value.errno == errno.EADDRINUSE


def test_what_a_killed_process_held_is_free_again(low: int) -> None:
    """No lock outlives its process, and no child inherits it."""
    with _holder(low, low + 3, 4) as theirs:
        assert not any(map(ports.claim, theirs))
    assert all(map(ports.claim, theirs))


def test_one_process_is_given_a_port_once(low: int) -> None:
    """Five servers of one fixture ask before any of them listens."""
    assert {ports.free() for _ in range(4)} == set(range(low, low + 4))
    assert not ports.claim(low)
