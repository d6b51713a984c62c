"""One set of servers a run: each is started when the first test asks for it, and shared by all workers.

    controller   Keeper ─ starts ─► postgres, storage, firestore, kms, tasks …       until the run ends
    worker       asked("postgres") ─► where it is          space() ─► a place of its own on all of them

What keeps tests apart is not another server but a name: a space has a database (a copy of a migrated one), buckets of a
prefix and a project in Firestore and Cloud Tasks. A server that can't start is told to every worker that asks.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

from local import ports
from tests.servers import ROOT, CannotStart, launch

KEY = "projects/bridge-local/locations/us-central1/keyRings/bridge/cryptoKeys/credentials"
QUEUES = ("catalog", "connections", "dashboards", "chat", "default")
BUCKETS = ("credentials", "catalog", "sessions", "dashboards", "cache", "assets")
NOBODY = "http://127.0.0.1:1/_fn/{name}"
ADDRESS = "BRIDGE_TEST_KEEPER"
"""The variable that leads a worker to the keeper of its run."""


class Keeper:
    """The servers of a run, and the thread that starts them and tells where they are."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="bridge-tests-"))
        # Postgres runs as its own user where we are root: it must be able to pass through.
        self.home.chmod(0o711)
        self._running: list[subprocess.Popen[str]] = []
        self._told: dict[str, tuple[bool, Any]] = {}
        self._listener = Listener(str(self.home / "keeper"), "AF_UNIX", backlog=64)
        self._thread = threading.Thread(target=self._serve, name="keeper", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What a worker must know."""
        return str(self.home / "keeper")

    def stop(self) -> None:
        """Stop what was started, the last one first."""
        with Client(self.address, "AF_UNIX") as line:
            line.send("")
        self._thread.join()
        self._listener.close()
        for child in reversed(self._running):
            child.terminate()
        for child in self._running:
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def _serve(self) -> None:
        while True:
            with self._listener.accept() as line:
                name = line.recv()
                if not name:
                    return
                if name not in self._told:
                    self._told[name] = self._started(name)
                line.send(self._told[name])

    def _started(self, name: str) -> tuple[bool, Any]:
        try:
            return True, SERVERS[name](self)
        except (CannotStart, OSError, subprocess.CalledProcessError) as error:
            return False, f"{name}: {error}"

    def launch(self, module: str, *options: str) -> tuple[int, Path]:
        """A server on a free port over a folder of its own."""
        port, data = ports.free(), self.home / module.rpartition(".")[2]
        self._running.append(launch(module, "--port", str(port), "--data", str(data), *options))
        return port, data


def _postgres(keeper: Keeper) -> dict[str, Any]:
    """A cluster whose one database is migrated, and is only copied."""
    from local.postgres import cluster

    port, data = keeper.launch("local.postgres")
    passwords = cluster.passwords(data)
    subprocess.run(
        [sys.executable, "-m", "migrations", "up"],
        cwd=ROOT,
        env=os.environ
        | {"MIGRATIONS_DATABASE_URL": cluster.url(cluster.OWNER, passwords[cluster.OWNER], port)},
        check=True,
        capture_output=True,
    )
    return {"port": port, "passwords": passwords}


def _http(module: str) -> Callable[[Keeper], str]:
    return lambda keeper: f"http://127.0.0.1:{keeper.launch(module)[0]}"


def _grpc(module: str, *options: str) -> Callable[[Keeper], str]:
    return lambda keeper: f"127.0.0.1:{keeper.launch(module, *options)[0]}"


SERVERS: dict[str, Callable[[Keeper], Any]] = {
    "postgres": _postgres,
    "storage": _http("local.cloud.storage"),
    "firestore": _grpc("local.cloud.firestore"),
    "kms": _grpc("local.cloud.kms", "--ensure-key", KEY),
    "tasks": _grpc("local.cloud.tasks"),
}


def asked(name: str) -> Any:
    """Where a server of the run is. Raises CannotStart with the reason that it gave."""
    with Client(os.environ[ADDRESS], "AF_UNIX") as line:
        line.send(name)
        well, told = line.recv()
    if not well:
        raise CannotStart(told)
    return told


# Spaces ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Space:
    """A place of its own on the servers of the run."""

    name: str
    environment: dict[str, str]
    """What the product's settings need to be there."""
    owner: str
    """The database's address as the owner of the schema."""


def space() -> Space:
    """A new one: an empty directory, empty buckets, queues and documents."""
    name = f"bridge-{uuid.uuid4().hex[:8]}"
    app, owner = database(name)
    storage, tasks = asked("storage"), asked("tasks")
    for role in BUCKETS:
        _bucket(storage, name, role)
    _queues(tasks, name)
    accounts = {role: f"{role}@bridge-local.iam.gserviceaccount.com" for role in ("steps", "events")}
    environment = {
        "BRIDGE_ENV": "local",
        "BRIDGE_BASE_URL": "http://127.0.0.1:1",
        "BRIDGE_STEP_URL": NOBODY,
        "GOOGLE_CLOUD_PROJECT": name,
        "DATABASE_URL": app,
        "BRIDGE_BUCKET_PREFIX": name,
        "BRIDGE_KMS_KEY": KEY,
        "BRIDGE_STEP_SERVICE_ACCOUNT": accounts["steps"],
        "BRIDGE_EVENTS_SERVICE_ACCOUNT": accounts["events"],
        "STORAGE_EMULATOR_HOST": storage,
        "FIRESTORE_EMULATOR_HOST": asked("firestore"),
        "KMS_EMULATOR_HOST": asked("kms"),
        "CLOUD_TASKS_EMULATOR_HOST": tasks,
    }
    return Space(name, environment, owner)


def database(name: str) -> tuple[str, str]:
    """A copy of the migrated database; the addresses of the application and of the owner."""
    from pg8000.native import Connection

    from local.postgres import cluster

    where = asked("postgres")
    passwords = where["passwords"]
    copied = name.replace("-", "_")
    with contextlib.closing(
        Connection("postgres", "127.0.0.1", "postgres", where["port"], passwords["postgres"])
    ) as server:
        # Copies of one template wait for each other here instead of failing.
        server.run("SELECT pg_advisory_lock(1)")
        server.run(f"CREATE DATABASE {copied} TEMPLATE {cluster.DATABASE} OWNER {cluster.OWNER}")
        server.run(f"REVOKE ALL ON DATABASE {copied} FROM PUBLIC")
        server.run(f"GRANT CONNECT, TEMPORARY ON DATABASE {copied} TO {cluster.APP}")
    urls = [
        cluster.url(role, passwords[role], where["port"]).rpartition("/")[0] + f"/{copied}"
        for role in (cluster.APP, cluster.OWNER)
    ]
    return urls[0], urls[1]


def _bucket(storage: str, prefix: str, role: str) -> None:
    """One bucket, versioned as the stack makes it: the first test to need one must not decide for all."""
    from local.stack import services

    body = {"name": f"{prefix}-{role}", "versioning": {"enabled": role in services.VERSIONED}}
    request = urllib.request.Request(
        f"{storage}/storage/v1/b?project={prefix}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).read()


def _queues(address: str, project: str) -> None:
    """The queues of the product, whose deliveries reach nobody."""
    import grpc
    from google.cloud import tasks_v2
    from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

    parent = f"projects/{project}/locations/us-central1"
    with grpc.insecure_channel(address) as channel:
        client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
        for name in QUEUES:
            client.create_queue(parent=parent, queue={"name": f"{parent}/queues/{name}"})


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """A keeper for the block, where none is yet; workers of the block's processes find it."""
    if ADDRESS in os.environ:
        yield
        return
    keeper = Keeper()
    os.environ[ADDRESS] = keeper.address
    try:
        yield
    finally:
        del os.environ[ADDRESS]
        keeper.stop()
