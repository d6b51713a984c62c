"""Free ports for servers.

Not the kernel's choice (port 0): that comes from the range of outgoing connections, so between the look and
the server's start some client on this machine may be given the same port. And a port that was given out is
kept for its process until that ends: stacks and tests that start at one moment, or a server that is killed
and comes back, must not meet another who looked in between.
"""

import errno
import fcntl
import os
import random
import socket
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

_LOWEST, _HIGHEST = 10_000, 60_999
_KERNEL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 10_000

_lock = threading.Lock()
_ours: set[int] = set()


def free() -> int:
    """A port of the loopback address that nothing listens on, no outgoing connection and nobody else will be given.

    Raises OSError when there is none.
    """
    low, high = _outgoing()
    chooser = random.SystemRandom()
    for _ in range(_TRIES):
        port = chooser.randint(_LOWEST, _HIGHEST)
        if not low <= port <= high and claim(port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port between {_LOWEST} and {_HIGHEST}")


def claim(port: int) -> bool:
    """Keep this port for this process until it ends; False when something has it, this process included."""
    with _lock:
        if port in _ours or not is_free(port):
            return False
        try:
            # One byte of one file for each port. The kernel lets go when the process ends, however it ends.
            fcntl.lockf(_register(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except BlockingIOError:
            return False
        _ours.add(port)
        return True


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@lru_cache(maxsize=1)
def _register() -> int:
    """The file whose bytes stand for ports. Never closed: closing it once would let go of all."""
    path = Path(tempfile.gettempdir()) / f"bridge-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _outgoing() -> tuple[int, int]:
    try:
        low, high = map(int, _KERNEL.read_text().split())
    except (OSError, ValueError):
        return 32_768, 60_999
    # A kernel whose range covers everything leaves nothing to prefer.
    return (low, high) if low > _LOWEST + 5_000 or high < _HIGHEST - 5_000 else (0, 0)
