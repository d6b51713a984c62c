"""`python -m local.cloud.storage --port N --data DIR [--events-url URL]`: Cloud Storage for a laptop."""

import argparse
import logging
import os
import sys
from pathlib import Path

from local.cloud.serving.process import announce, on_stop
from local.cloud.storage.server import open_server


def main() -> None:
    """Serve until SIGTERM or SIGINT, then exit 0."""
    parser = argparse.ArgumentParser(prog="local.cloud.storage", description="Cloud Storage on the loopback.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="where buckets and objects are kept")
    parser.add_argument("--events-url", help="where object-finalize CloudEvents are posted")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="storage: %(levelname)s %(message)s")
    server = open_server(arguments.port, arguments.data, arguments.events_url)
    on_stop(server.shutdown)
    announce(f"http://127.0.0.1:{arguments.port}")
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    if server.storage.outbox is not None:
        server.storage.outbox.stop()
    server.storage.database.close()
    # Threads of open connections are daemons: nothing that was acknowledged is still in memory.
    os._exit(0)


if __name__ == "__main__":
    main()
