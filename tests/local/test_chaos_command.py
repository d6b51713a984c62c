"""`python -m local chaos` injects faults into running servers, which real clients then meet."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage, tasks_v2
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)

from local.patience import until
from tests.local.dispatching import LOCATION, Dispatch, Receiver, dispatching, receiving
from tests.local.grpc_serving import Serving, serving

QUEUE = f"{LOCATION}/queues/default"
NO_SECRET = "projects/bridge-local/secrets/none"
Chaos = Callable[..., subprocess.CompletedProcess[str]]


class World:
    """Storage, secrets and dispatch, and a stack.json that says where they are."""

    def __init__(self, home: Path, store: Serving, secrets: Serving, dispatch: Dispatch) -> None:
        self.home, self.dispatch = home, dispatch
        self.storage = storage.Client(
            project="bridge-local",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"http://{store.address}"},
        )
        self.channel = grpc.insecure_channel(secrets.address)
        self.secrets = SecretManagerServiceClient(
            transport=SecretManagerServiceGrpcTransport(channel=self.channel)
        )
        ports = {
            "storage": store.port, "bigquery": store.port, "firestore": secrets.port, "kms": secrets.port,
            "secrets": secrets.port, "dispatch": dispatch.port, "tasks": dispatch.grpc_port,
        }  # fmt: skip
        (home / "stack.json").write_text(json.dumps({"ports": ports}))

    def chaos(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local", "chaos", *arguments, "--home", str(self.home)]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    with (
        serving("local.cloud.storage", folder / "storage") as store,
        serving("local.cloud.secrets", folder / "secrets") as secrets,
        dispatching(folder / "dispatch", "--queue", "default") as dispatch,
    ):
        world = World(folder, store, secrets, dispatch)
        yield world
        world.channel.close()


@pytest.fixture
def world(servers: World) -> Iterator[World]:
    yield servers
    assert servers.chaos("all", "calm").returncode == 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def _create(world: World, receiver: Receiver, name: str, **options: Any) -> tasks_v2.Task:
    task = {"name": f"{QUEUE}/tasks/{name}", "http_request": {"url": receiver.url(), "body": name.encode()}}
    return world.dispatch.client().create_task(parent=QUEUE, task=task, **options)


def test_a_refused_call_does_nothing(world: World) -> None:
    """`refuse --status 429 --times 1` over HTTP: the bucket is not made, and the next call makes it."""
    assert world.chaos("storage", "refuse", "--status", "429", "--times", "1").stdout == "refuse: storage\n"
    with pytest.raises(exceptions.TooManyRequests):
        world.storage.create_bucket("refused", retry=None)
    world.storage.create_bucket("refused", retry=None)


def test_an_applied_call_happens_although_its_answer_is_lost(world: World) -> None:
    """`applied` over HTTP: the caller sees a broken connection, the object is there."""
    bucket = world.storage.create_bucket("applied")
    world.chaos("storage", "applied", "--match", "upload", "--times", "1")
    with pytest.raises((exceptions.GoogleAPICallError, OSError)):
        bucket.blob("x").upload_from_string(b"there", retry=None)
    assert bucket.blob("x").download_as_bytes() == b"there"


def test_latency_delays_the_calls_that_match(world: World) -> None:
    """`latency --match` over gRPC: reading a secret takes longer than this client waits, nothing else does."""
    world.chaos("secrets", "latency", "--seconds", "5", "--match", "AccessSecretVersion$")
    with pytest.raises(exceptions.DeadlineExceeded):
        world.secrets.access_secret_version(name=f"{NO_SECRET}/versions/1", retry=None, timeout=0.4)
    with pytest.raises(exceptions.NotFound):
        world.secrets.add_secret_version(parent=NO_SECRET, payload={"data": b"x"})


def test_a_status_becomes_the_code_of_grpc(world: World) -> None:
    """`refuse --status 429` is RESOURCE_EXHAUSTED there."""
    world.chaos("secrets", "refuse", "--status", "429", "--times", "1")
    with pytest.raises(exceptions.ResourceExhausted):
        world.secrets.access_secret_version(name=f"{NO_SECRET}/versions/1", retry=None)


def test_a_task_can_be_created_although_the_caller_was_told_otherwise(
    world: World, receiver: Receiver
) -> None:
    """`tasks applied`: DEADLINE_EXCEEDED, and yet the task comes; a second try finds its name taken."""
    world.chaos("tasks", "applied", "--match", "CreateTask$", "--times", "1")
    with pytest.raises(exceptions.DeadlineExceeded):
        _create(world, receiver, "once", retry=None)
    with pytest.raises(exceptions.AlreadyExists):
        _create(world, receiver, "once", retry=None)
    until(world.dispatch.idle)
    assert receiver.bodies() == [b"once"]


def test_deliveries_come_twice_or_not_at_all(world: World, receiver: Receiver) -> None:
    """`delivery duplicate` hands a task over twice, `delivery hold` keeps the next one until it is calm."""
    world.chaos("delivery", "duplicate")
    _create(world, receiver, "twice")
    until(world.dispatch.idle)
    assert receiver.bodies() == [b"twice", b"twice"]
    world.chaos("delivery", "hold")
    _create(world, receiver, "held")
    time.sleep(0.5)
    assert b"held" not in receiver.bodies()
    world.chaos("delivery", "calm")
    until(lambda: b"held" in receiver.bodies())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("storage", "duplicate"),
            "storage: there is no duplicate; there are latency, refuse, applied and calm",
        ),
        (
            ("delivery", "latency"),
            "delivery: there is no latency; there are applied, duplicate, reorder, hold",
        ),
        (("all", "refuse"), "all: only calm"),
        (("moon", "calm"), "invalid choice: 'moon'"),
        (("storage", "refuse", "--times", "0"), "must be 1 or more"),
        (("storage", "refuse", "--match", "("), "is not a regular expression"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(
    arguments: tuple[str, ...], complaint: str, world: World
) -> None:
    """The place and the faults that it has are named, and the exit code is 2."""
    answer = world.chaos(*arguments)
    assert answer.returncode == 2
    assert complaint in answer.stderr


def test_without_a_stack_there_is_no_fault(tmp_path: Path) -> None:
    """A folder where no stack has run is named."""
    command = [sys.executable, "-m", "local", "chaos", "all", "calm", "--home", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, f"no stack has run in {tmp_path}" in answer.stderr) == (1, True)
