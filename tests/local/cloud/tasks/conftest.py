"""One dispatch process for the file's tests; each test gets a queue and a receiver of its own."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.cloud import tasks_v2

from tests.local.dispatching import LOCATION, Dispatch, Receiver, dispatching, receiving


@pytest.fixture(scope="session")
def dispatch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatch]:
    with dispatching(tmp_path_factory.mktemp("dispatch")) as process:
        yield process


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def client(dispatch: Dispatch) -> tasks_v2.CloudTasksClient:
    return dispatch.client()


@pytest.fixture
def make_queue(client: tasks_v2.CloudTasksClient) -> Callable[..., tasks_v2.Queue]:
    def make(**settings: Any) -> tasks_v2.Queue:
        name = f"{LOCATION}/queues/q-{uuid.uuid4().hex[:8]}"
        return client.create_queue(parent=LOCATION, queue={"name": name, **settings})

    return make


@pytest.fixture
def queue(make_queue: Callable[..., tasks_v2.Queue]) -> str:
    return str(make_queue(retry_config={"min_backoff": {"nanos": 50_000_000}, "max_attempts": 5}).name)
