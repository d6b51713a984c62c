"""Free ports for servers.

Not the kernel's choice (port 0): that comes from the range of outgoing connections, so between the look and
the server's start some client on this machine may be given the same port.
"""

import random
import socket
from pathlib import Path

_LOWEST, _HIGHEST = 10_000, 60_999
_KERNEL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free() -> int:
    """A port of the loopback address that nothing listens on and no outgoing connection will be given."""
    low, high = _outgoing()
    chooser = random.SystemRandom()
    while True:
        port = chooser.randint(_LOWEST, _HIGHEST)
        if not low <= port <= high and is_free(port):
            return port


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _outgoing() -> tuple[int, int]:
    try:
        low, high = map(int, _KERNEL.read_text().split())
    except (OSError, ValueError):
        return 32_768, 60_999
    # A kernel whose range covers everything leaves nothing to prefer.
    return (low, high) if low > _LOWEST + 5_000 or high < _HIGHEST - 5_000 else (0, 0)
