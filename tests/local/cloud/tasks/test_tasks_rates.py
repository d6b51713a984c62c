"""How fast a queue lets its tasks go, over a clock that the test moves."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.cloud import tasks_v2

from local.cloud.serving.database import Database
from local.cloud.serving.post import Answer, DeliveryFaults
from local.cloud.tasks import delivery, policy
from local.cloud.tasks.store import Store, StoredTask

QUEUE = "projects/p/locations/l/queues/q"


class Clock:
    """Stands still but for what a test adds to `now`."""

    now = 1_700_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = time


class Line:
    """A queue whose tasks are noted when they leave, instead of being posted."""

    def __init__(self, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.left = clock, list[tuple[float, StoredTask]]()
        self.store = Store(Database(folder / "tasks.sqlite"))
        self.dispatcher = delivery.Dispatcher(self.store, lambda _audience, _email: "t", DeliveryFaults())
        monkeypatch.setattr(self.dispatcher, "_begin", self._begin)

    def _begin(self, task: StoredTask) -> None:
        self.left.append((self.clock.now, task))
        self.dispatcher._under_way[task.name] = task.queue

    def fill(self, tasks: int, **limits: float) -> None:
        settings = {"max_concurrent_dispatches": 1000, **limits}
        self.store.put_queue(
            tasks_v2.Queue(
                name=QUEUE,
                state=tasks_v2.Queue.State.RUNNING,
                rate_limits=settings,
                retry_config={
                    "max_attempts": 1,
                    "min_backoff": {"seconds": 1},
                    "max_backoff": {"seconds": 1},
                },
            )
        )
        for number in range(tasks):
            task = tasks_v2.Task(http_request={"url": "http://127.0.0.1:1/"})
            self.store.add(StoredTask(f"{QUEUE}/tasks/{number:03}", QUEUE, self.clock.now, task))

    def run(self, until: int, answer: Callable[[], Answer]) -> list[float]:
        """Let the clock go on until so many have left; the seconds after the first at which they did."""
        while len(self.left) < until:
            begun = len(self.left)
            wait = self.dispatcher._dispatch_due()
            for _, task in self.left[begun:]:
                del self.dispatcher._under_way[task.name]
                self.dispatcher._settle(task, answer())
            if len(self.left) == begun:
                assert wait
                self.clock.now += max(wait, 0.001)
        return [at - self.left[0][0] for at, _ in self.left]


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    clock = Clock()
    for module in (delivery, policy):
        monkeypatch.setattr(module, "time", clock)
    made = Line(tmp_path, clock, monkeypatch)
    yield made
    made.dispatcher.stop()


def test_dispatches_keep_to_the_rate(line: Line) -> None:
    """Eight tasks at five a second with a burst of one leave a fifth of a second apart."""
    line.fill(8, max_dispatches_per_second=5, max_burst_size=1)
    left = line.run(8, lambda: Answer(200, ""))
    assert left == pytest.approx([number / 5 for number in range(8)], abs=0.01)


def test_an_overloaded_handler_slows_its_queue(line: Line) -> None:
    """429 halves the rate again and again: after a burst of forty the next come at a 64th of 200 a second."""
    line.fill(50, max_dispatches_per_second=200, max_burst_size=40, max_concurrent_dispatches=1)
    left = line.run(44, lambda: Answer(429, ""))
    assert left[39] < 0.1
    assert [later - at for at, later in itertools.pairwise(left[40:44])] == pytest.approx(
        [64 / 200] * 3, rel=0.05
    )
