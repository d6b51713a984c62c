"""One instance that spends against a rate limit as fast as it can: `python instance.py WHO SECONDS WINDOW`.

Prints `ready`, waits for a line, then works, and prints one wall-clock time for each request let through.
"""

from __future__ import annotations

import random
import sys
import threading
import time

from shared.platform.errors import RateLimited
from shared.platform.limits import rates


def main() -> None:
    """Work as told."""
    who, seconds = sys.argv[1], float(sys.argv[2])
    # The same arithmetic over a shorter window, so that the test sees several of them.
    rates.SLOTS += int(sys.argv[3]) - rates.WINDOW_SECONDS
    rates.WINDOW_SECONDS = int(sys.argv[3])
    # On a busy machine Firestore is slow, not away.
    rates.PATIENCE_SECONDS = rates.FIRST_PATIENCE_SECONDS = 60.0
    print("ready", flush=True)
    sys.stdin.readline()
    passed: list[float] = []
    end = time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < end:
            try:
                rates.spend("rate_read", who)
                passed.append(time.time())
                time.sleep(random.uniform(0, 0.01))
            except RateLimited:
                time.sleep(random.uniform(0.02, 0.08))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print("\n".join(repr(at) for at in passed))


if __name__ == "__main__":
    main()
