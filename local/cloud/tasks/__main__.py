"""python -m local.cloud.tasks --port N --data DIR [--identity DIR] [--queue projects/P/locations/L/queues/Q]...

Cloud Tasks alone. On a laptop it runs inside `local.dispatch`, beside what else calls functions.
"""

import argparse
import logging
import sys
import threading
from pathlib import Path

from local.cloud import identity
from local.cloud.serving.database import Database
from local.cloud.serving.post import DeliveryFaults
from local.cloud.serving.process import announce, leave, on_stop
from local.cloud.tasks.api import CloudTasks
from local.cloud.tasks.delivery import Dispatcher
from local.cloud.tasks.server import ensure_queues, server
from local.cloud.tasks.store import Store


def main() -> int:
    """Serve until told to stop."""
    options = _options()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    home: Path = options.identity or options.data
    identity.ensure(home)
    database = Database(options.data / "tasks.sqlite")
    store = Store(database)
    for name in options.queue:
        location, _, queue = name.rpartition("/queues/")
        ensure_queues(store, location, [queue])
    dispatcher = Dispatcher(
        store, lambda audience, email: identity.token(home, audience, email), DeliveryFaults()
    )
    try:
        rpc = server(options.port, CloudTasks(store, dispatcher))
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    stopped = threading.Event()
    on_stop(stopped.set)
    rpc.start()
    dispatcher.start()
    announce(f"127.0.0.1:{options.port}")
    stopped.wait()
    dispatcher.stop()
    rpc.stop(0.2).wait()
    database.close()
    leave()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.cloud.tasks", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder for tasks.sqlite")
    parser.add_argument("--identity", type=Path, help="the folder that holds identity/ (default: --data)")
    parser.add_argument("--queue", action="append", default=[], help="a queue to create unless it exists")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
