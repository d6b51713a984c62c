"""Cloud Tasks as a part of a process: its gRPC server, and the queues that callers count on."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.cloud import tasks_v2

from local.cloud.faults import grpc_faults
from local.cloud.tasks import policy
from local.cloud.tasks.api import CloudTasks, Unserved, handler
from local.cloud.tasks.store import Store


def server(port: int, service: CloudTasks) -> grpc.Server:
    """A gRPC server on loopback, ready to start. Raises OSError when the port is taken."""
    made = grpc.server(
        ThreadPoolExecutor(16),
        interceptors=[grpc_faults.ThreadedInterceptor(grpc_faults.FaultRules())],
        options=[("grpc.so_reuseport", 0)],
    )
    made.add_generic_rpc_handlers((handler(service), Unserved()))
    if made.add_insecure_port(f"127.0.0.1:{port}") == 0:
        raise OSError(f"port {port} is taken")
    return made


def ensure_queues(store: Store, location: str, names: Iterable[str]) -> None:
    """Create each of these queues, with the service's own limits, unless it exists."""
    for name in names:
        full = f"{location}/queues/{name}"
        if store.queue(full) is None:
            queue = policy.with_defaults(tasks_v2.Queue(name=full))
            queue.state = tasks_v2.Queue.State.RUNNING
            store.put_queue(queue)
