"""The dispatcher: one thread decides what is due, a pool of threads delivers.

    due in SQLite ─► rate and concurrency of the queue ─► POST with X-CloudTasks-* and an ID token
        2xx  ─► delete, remember the name        no answer, other status ─► back off, or give up

Which tasks are under way is known in memory only: after a crash they are simply due again. That is the
at-least-once delivery that the cloud promises, too.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from google.cloud import tasks_v2
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, status_pb2

from local.cloud.serving.post import HELD_SECONDS, Answer, DeliveryFaults, send
from local.cloud.tasks.policy import Throttle, backoff, exhausted
from local.cloud.tasks.store import Store, StoredTask

MAX_THREADS = 64
DEFAULT_DEADLINE = 600.0
Mint = Callable[[str, str], str]
_log = logging.getLogger("tasks")


class Dispatcher:
    """Delivers the tasks of every queue until it is stopped."""

    def __init__(self, store: Store, mint: Mint, faults: DeliveryFaults) -> None:
        self._store, self._mint, self._faults = store, mint, faults
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="task")
        self._wake = threading.Condition()
        self._under_way: dict[str, str] = {}  # task name -> queue name
        self._throttles: dict[str, Throttle] = {}
        self._changed = True
        self._stopped = False
        self._thread = threading.Thread(target=self._loop, name="tasks", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Stop deciding; what is under way is delivered again after the next start."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def notice(self) -> None:
        """Something changed, such as a new task."""
        with self._wake:
            self._changed = True
            self._wake.notify_all()

    def under_way(self) -> dict[str, int]:
        """How many deliveries each queue has open."""
        with self._wake:
            names = list(self._under_way.values())
        return {name: names.count(name) for name in set(names)}

    def _loop(self) -> None:
        while True:
            wait = self._dispatch_due()
            with self._wake:
                if self._stopped:
                    return
                if not self._changed:
                    self._wake.wait(wait)
                if self._stopped:
                    return
                self._changed = False

    def _dispatch_due(self) -> float | None:
        """Start every delivery that may start; answers the seconds until the next one may, if known."""
        if self._faults.hold:
            return HELD_SECONDS
        waits: list[float] = []
        for queue in self._store.queues():
            wait = self._dispatch_queue(queue)
            if wait is not None:
                waits.append(wait)
        return min(waits, default=None)

    def _dispatch_queue(self, queue: tasks_v2.Queue) -> float | None:
        throttle = self._throttle(queue)
        busy = self._busy()
        mine = sum(1 for name in busy if name.startswith(f"{queue.name}/tasks/"))
        free = min(queue.rate_limits.max_concurrent_dispatches - mine, MAX_THREADS - len(busy))
        if free <= 0:
            return None  # A delivery that ends wakes the loop.
        tokens = throttle.available(time.monotonic())
        now = time.time()
        ready = list(self._store.due(queue.name, now, min(free, tokens) + 1, busy))
        for task in ready[: min(free, tokens)]:
            throttle.take()
            self._begin(task)
        if len(ready) > min(free, tokens):
            return throttle.wait() if tokens <= free else None
        later = self._store.next_due(queue.name, now)
        return None if later is None else max(0.0, later - now)

    def _throttle(self, queue: tasks_v2.Queue) -> Throttle:
        limits = queue.rate_limits
        throttle = self._throttles.get(queue.name)
        if throttle is None:
            throttle = Throttle(limits.max_dispatches_per_second, limits.max_burst_size)
            self._throttles[queue.name] = throttle
        throttle.reconfigure(limits.max_dispatches_per_second, limits.max_burst_size)
        return throttle

    def _busy(self) -> frozenset[str]:
        with self._wake:
            return frozenset(self._under_way)

    def _begin(self, task: StoredTask) -> None:
        with self._wake:
            if self._stopped:
                return
            self._under_way[task.name] = task.queue
        self._pool.submit(self._deliver, task)

    def _deliver(self, task: StoredTask) -> None:
        try:
            self._settle(task, self._attempt(task))
        except Exception:
            # A defect here must not stop the queue: the task stays and is tried again a little later.
            _log.exception("delivery of %s broke", task.name)
            self._store.update(replace(task, due=time.time() + 1.0))
        finally:
            with self._wake:
                self._under_way.pop(task.name, None)
            self.notice()

    def _attempt(self, task: StoredTask) -> Answer:
        request = task.task.http_request
        method = tasks_v2.HttpMethod(request.http_method).name
        deadline = task.task.dispatch_deadline
        seconds = deadline.total_seconds() if deadline else DEFAULT_DEADLINE
        headers = headers_of(task, self._mint)
        return send(method, request.url, headers, request.body, seconds, self._faults)

    def _settle(self, task: StoredTask, answer: Answer) -> None:
        queue = self._store.queue(task.queue)
        if queue is None:
            return
        throttle = self._throttle(queue)
        if answer.ok:
            throttle.faster()
            self._store.remove(task.name)
            return
        if answer.status in (429, 503):
            throttle.slower()
        now = time.time()
        tried = after_failure(task, queue.retry_config, answer, now)
        if exhausted(queue.retry_config, tried.attempts, tried.first_attempt or now, now):
            _log.warning("gave up on %s after %d attempts: %s", task.name, tried.attempts, tried.reason)
            self._store.remove(task.name)
            return
        self._store.update(tried)


def after_failure(task: StoredTask, retry: tasks_v2.RetryConfig, answer: Answer, now: float) -> StoredTask:
    """The task as it waits for its next attempt."""
    attempts = task.attempts + 1
    answered = answer.status is not None
    # Documented: the execution count leaves out failures due to 5xx answers.
    executed = answer.status is not None and answer.status < 500
    wait = max(backoff(retry, attempts), answer.retry_after or 0.0)
    message = tasks_v2.Task(task.task)
    message.dispatch_count, message.response_count = attempts, message.response_count + int(answered)
    attempt = tasks_v2.Attempt(
        schedule_time=_timestamp(task.due),
        dispatch_time=_timestamp(now),
        response_time=_timestamp(now) if answered else None,
        response_status=status_pb2.Status(
            code=code_pb2.UNKNOWN if answered else code_pb2.DEADLINE_EXCEEDED,
            message=f"HTTP status code {answer.status}" if answered else answer.reason,
        ),
    )
    message.last_attempt = attempt
    if task.attempts == 0:
        message.first_attempt = tasks_v2.Attempt(dispatch_time=_timestamp(now))
    message.schedule_time = _timestamp(now + wait)
    return replace(
        task,
        task=message,
        due=now + wait,
        attempts=attempts,
        executions=task.executions + int(executed),
        first_attempt=task.first_attempt or now,
        previous_status=answer.status,
        reason=f"HTTP status code {answer.status}" if answered else answer.reason,
    )


def headers_of(task: StoredTask, mint: Mint) -> dict[str, str]:
    """The request's headers as the service sends them; a caller can't set the service's own."""
    request = task.task.http_request
    given = {
        name: value for name, value in request.headers.items() if not name.lower().startswith("x-cloudtasks-")
    }
    if request.body and not any(name.lower() == "content-type" for name in given):
        given["Content-Type"] = "application/octet-stream"
    headers = given | {
        "User-Agent": "Google-Cloud-Tasks",
        "X-CloudTasks-QueueName": task.queue.rsplit("/", 1)[-1],
        "X-CloudTasks-TaskName": task.id,
        "X-CloudTasks-TaskRetryCount": str(task.attempts),
        "X-CloudTasks-TaskExecutionCount": str(task.executions),
        "X-CloudTasks-TaskETA": f"{task.due:.6f}",
    }
    if task.attempts:
        headers["X-CloudTasks-TaskPreviousResponse"] = str(task.previous_status or 0)
        headers["X-CloudTasks-TaskRetryReason"] = task.reason.replace("\r", " ").replace("\n", " ")
    if "oidc_token" in request:
        audience = request.oidc_token.audience or request.url
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = f"Bearer {mint(audience, request.oidc_token.service_account_email)}"
    return headers


def _timestamp(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(int(seconds * 1e6))
    return stamp
