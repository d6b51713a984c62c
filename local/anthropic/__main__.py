"""`python -m local.anthropic --port N --data DIR [--key KEY]`: the Messages API, played from DIR/script.json."""

import argparse
import os
import sys
from pathlib import Path

from local.anthropic.server import Server
from local.cloud.serving.process import announce, on_stop


def main() -> None:
    """Serve until SIGTERM or SIGINT, then exit 0."""
    parser = argparse.ArgumentParser(prog="local.anthropic", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--data", type=Path, required=True, help="script.json is read here, requests.jsonl kept"
    )
    parser.add_argument("--key", help="the only API key that is accepted; default: any")
    options = parser.parse_args()
    server = Server(options.port, options.data, options.key)
    on_stop(server.shutdown)
    announce(f"http://127.0.0.1:{options.port}")
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
