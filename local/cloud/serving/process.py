"""What every server of the laptop's cloud does as a process: die with its parent, stop when told."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(with_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to send `with_signal` to this process when the thread that started it ends.

    Even a stack killed by SIGKILL then leaves no server behind. Linux only: elsewhere a killed stack
    can leave orphans, which `python -m local status` shows.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)


def announce(address: str) -> None:
    """The one line on standard output that tells the stack: serving."""
    print(f"ready {address}", flush=True)


def on_stop(stop: Callable[[], None]) -> None:
    """Run `stop` once, on its own thread, at the first SIGTERM or SIGINT.

    A signal handler runs between two instructions of the main thread, where taking a lock that this
    thread already holds would hang; a thread of its own has no such danger.
    """
    called = threading.Event()

    def handle(_signal: int, _frame: object) -> None:
        if not called.is_set():
            called.set()
            threading.Thread(target=stop, name="stop").start()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def leave() -> None:
    """End this process without waiting for threads that still deliver: what they carry is kept on disk."""
    sys.stdout.flush()
    sys.stderr.flush()
    if threading.active_count() > 1:
        os._exit(0)
