"""One light process for everything that calls functions by itself: Cloud Tasks, Eventarc, Scheduler.

They share one identity (the ID tokens), one SQLite file and one set of delivery faults; each is a module of its own.
"""

import argparse
import logging
import sys
from pathlib import Path

from local.cloud import identity
from local.cloud.serving.database import Database
from local.cloud.serving.post import DeliveryFaults
from local.cloud.serving.process import announce, leave, on_stop
from local.cloud.tasks.api import CloudTasks
from local.cloud.tasks.delivery import Dispatcher
from local.cloud.tasks.server import ensure_queues, server
from local.cloud.tasks.store import Store
from local.dispatch import face
from local.dispatch.events import Target, Trigger
from local.dispatch.schedules import Scheduler
from local.manifest import Watched
from local.traces.store import Traces


def main() -> int:
    """Serve until told to stop."""
    options = _options()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    database = Database(options.data / "dispatch.sqlite")
    home: Path = options.identity or options.data
    identity.ensure(home)

    def mint(audience: str, email: str) -> str:
        return identity.token(home, audience, email)

    faults, manifest = DeliveryFaults(), Watched(options.manifest)
    store = Store(database)
    ensure_queues(store, options.location, options.queue)
    dispatcher = Dispatcher(store, mint, faults)
    target = Target(options.step_url, options.events_account, options.bucket_prefix)
    trigger = Trigger(database, manifest, target, mint, faults, options.event_attempts)
    scheduler = Scheduler(manifest, options.step_url, options.step_account, mint, faults)

    try:
        rpc = server(options.grpc_port, CloudTasks(store, dispatcher))
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    traces = Traces()
    if options.traces_port:
        traces.listen(options.traces_port)
    parts = face.Parts(
        store, dispatcher, trigger, scheduler, faults, lambda: identity.certificates(home), traces
    )
    web = face.server(options.port, parts)

    def stop() -> None:
        for part in (scheduler, trigger, dispatcher):
            part.stop()
        rpc.stop(0.2)
        web.shutdown()

    on_stop(stop)
    rpc.start()
    for part in (dispatcher, trigger):
        part.start()
    if not options.no_clock:
        scheduler.start()
    announce(f"127.0.0.1:{options.port} grpc 127.0.0.1:{options.grpc_port}")
    web.serve_forever(poll_interval=0.1)
    web.server_close()
    database.close()
    leave()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.dispatch", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="HTTP: events, clock, certificates, state")
    parser.add_argument("--grpc-port", type=int, required=True, help="gRPC: Cloud Tasks")
    parser.add_argument("--traces-port", type=int, help="UDP: a span of a function in each datagram")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--identity", type=Path, help="the folder that holds identity/ (default: --data)")
    parser.add_argument("--manifest", type=Path, default=Path("functions/manifest.json"))
    parser.add_argument("--step-url", default="http://127.0.0.1:8080/_fn/{name}")
    parser.add_argument("--step-account", default="steps@bridge-local.iam.gserviceaccount.com")
    parser.add_argument("--events-account", default="events@bridge-local.iam.gserviceaccount.com")
    parser.add_argument("--bucket-prefix", default="bridge-local")
    parser.add_argument("--location", default="projects/bridge-local/locations/us-central1")
    parser.add_argument("--queue", action="append", default=[], help="a queue to create unless it exists")
    parser.add_argument(
        "--event-attempts", type=int, default=20, help="deliveries before an event is a dead letter"
    )
    parser.add_argument("--no-clock", action="store_true", help="fire schedules only on demand")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
