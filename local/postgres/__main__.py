"""Run PostgreSQL on a loopback port, over a data folder that survives any way of stopping."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from local.cloud.serving.process import announce, on_stop
from local.postgres import binaries, cluster


def main() -> int:
    """Make the cluster when it is missing, serve it, stop it fast when told."""
    parser = argparse.ArgumentParser(prog="python -m local.postgres", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()

    options.data.mkdir(parents=True, exist_ok=True)
    who = binaries.account()
    if who.switches:
        options.data.chmod(0o711)
    try:
        place = binaries.place(options.data.resolve(), who)
        made = cluster.Cluster(binaries.usable(binaries.bin_dir(), place, who), place, who)
    except (PermissionError, FileNotFoundError) as error:
        print(f"postgres: {error}", file=sys.stderr)
        return 1
    # The passwords stay in the data folder even when the cluster can't.
    cluster.create(made, cluster.passwords(options.data))

    stopping = threading.Event()
    server = cluster.start(made, options.port)

    def stop() -> None:
        stopping.set()
        server.send_signal(signal.SIGINT)  # Fast shutdown: sessions end, nothing committed is lost.

    on_stop(stop)
    announce(f"127.0.0.1:{options.port}")
    code = server.wait()
    if stopping.is_set():
        return 0
    print(f"postgres ended by itself with code {code}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
