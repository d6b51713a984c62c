"""The gRPC face of Cloud Tasks: the methods of google.cloud.tasks.v2 over the client's own types."""

import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.cloud import tasks_v2
from google.protobuf import empty_pb2

from local.cloud.serving.post import is_loopback
from local.cloud.tasks import policy
from local.cloud.tasks.delivery import Dispatcher
from local.cloud.tasks.store import NameTaken, Store, StoredTask

SERVICE = "google.cloud.tasks.v2.CloudTasks"
_QUEUE = re.compile(r"projects/[^/]+/locations/[^/]+/queues/[A-Za-z0-9-]{1,100}")
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")
_MAX_BYTES = 1_048_576
_MAX_AHEAD = 30 * 86_400
_PAGE = 1000


class Refusal(Exception):
    """A request that the service answers with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def _invalid(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def _missing(what: str, name: str) -> Refusal:
    return Refusal(grpc.StatusCode.NOT_FOUND, f"{what} does not exist: {name}")


class CloudTasks:
    """Each method takes a request and answers a message, or raises Refusal."""

    def __init__(self, store: Store, dispatcher: Dispatcher) -> None:
        self._store, self._dispatcher = store, dispatcher

    def create_queue(self, request: tasks_v2.CreateQueueRequest) -> tasks_v2.Queue:
        queue = _checked(request.queue)
        if queue.name.rsplit("/queues/", 1)[0] != request.parent:
            raise _invalid("queue.name: must lie in `parent`")
        if self._store.queue(queue.name):
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Queue already exists: {queue.name}")
        queue.state = tasks_v2.Queue.State.RUNNING
        self._store.put_queue(queue)
        return queue

    def create_task(self, request: tasks_v2.CreateTaskRequest) -> tasks_v2.Task:
        queue = self._queue(request.parent)
        now = time.time()
        task = _accepted(request.task, queue.name, now)
        stored = StoredTask(task.name, queue.name, _due(task, now), task)
        try:
            self._store.add(stored)
        except NameTaken:
            raise Refusal(
                grpc.StatusCode.ALREADY_EXISTS,
                "The task cannot be created because a task with this name existed too recently: "
                f"{task.name.rsplit('/', 1)[-1]}",
            ) from None
        self._dispatcher.notice()
        return _view(task, request.response_view)

    def get_task(self, request: tasks_v2.GetTaskRequest) -> tasks_v2.Task:
        stored = self._store.task(request.name)
        if stored is None:
            raise _missing("Task", request.name)
        return _view(stored.task, request.response_view)

    def list_tasks(self, request: tasks_v2.ListTasksRequest) -> tasks_v2.ListTasksResponse:
        queue = self._queue(request.parent)
        size = min(request.page_size or _PAGE, _PAGE)
        found = self._store.page(queue.name, request.page_token, size + 1)
        token = found[size - 1].name if len(found) > size else ""
        tasks = [_view(stored.task, request.response_view) for stored in found[:size]]
        return tasks_v2.ListTasksResponse(tasks=tasks, next_page_token=token)

    def delete_task(self, request: tasks_v2.DeleteTaskRequest) -> empty_pb2.Empty:
        if not self._store.remove(request.name):
            raise _missing("Task", request.name)
        return empty_pb2.Empty()

    def _queue(self, name: str) -> tasks_v2.Queue:
        queue = self._store.queue(name)
        if queue is None:
            raise _missing("Queue", name)
        return queue


def _checked(queue: tasks_v2.Queue) -> tasks_v2.Queue:
    if not _QUEUE.fullmatch(queue.name):
        raise _invalid(
            "queue.name: must be projects/P/locations/L/queues/Q; Q of letters, digits and hyphens"
        )
    try:
        return policy.with_defaults(tasks_v2.Queue(queue))
    except policy.BadQueue as error:
        raise _invalid(str(error)) from None


def _accepted(given: tasks_v2.Task, queue: str, now: float) -> tasks_v2.Task:
    """The task as it is stored: named, timed, checked."""
    task = tasks_v2.Task(given)
    if "http_request" not in task or not task.http_request.url:
        raise _invalid(
            "task.http_request.url: required; App Engine targets are not supported by the local server"
        )
    if not task.http_request.url.startswith("http://") or not is_loopback(task.http_request.url):
        raise _invalid(
            "task.http_request.url: the local server delivers only to http:// on loopback addresses"
        )
    if "oauth_token" in task.http_request:
        raise _invalid("task.http_request.oauth_token: not supported by the local server; use oidc_token")
    if not task.name:
        task.name = f"{queue}/tasks/{secrets.randbits(63):019d}"
    prefix, _, task_id = task.name.rpartition("/tasks/")
    if prefix != queue or not _TASK_ID.fullmatch(task_id):
        raise _invalid("task.name: must be QUEUE/tasks/ID; ID of letters, digits, hyphens and underscores")
    if task.http_request.http_method == tasks_v2.HttpMethod.HTTP_METHOD_UNSPECIFIED:
        task.http_request.http_method = tasks_v2.HttpMethod.POST
    if task.http_request.body and task.http_request.http_method not in (
        tasks_v2.HttpMethod.POST,
        tasks_v2.HttpMethod.PUT,
        tasks_v2.HttpMethod.PATCH,
    ):
        raise _invalid("task.http_request.body: only allowed with POST, PUT and PATCH")
    if "oidc_token" in task.http_request and not task.http_request.oidc_token.service_account_email:
        raise _invalid("task.http_request.oidc_token.service_account_email: required")
    deadline = task.dispatch_deadline
    if deadline and not 15 <= deadline.total_seconds() <= 1800:
        raise _invalid("task.dispatch_deadline: must be between 15 s and 30 min")
    if _due(task, now) > now + _MAX_AHEAD:
        raise _invalid("task.schedule_time: must be at most 30 days from now")
    pb = tasks_v2.Task.pb(task)
    pb.create_time.FromMicroseconds(int(now * 1e6))
    if not pb.HasField("schedule_time"):
        pb.schedule_time.FromMicroseconds(int(now * 1e6))
    if not pb.HasField("dispatch_deadline"):
        pb.dispatch_deadline.FromSeconds(600)
    if pb.ByteSize() > _MAX_BYTES:
        raise _invalid(
            f"task: larger than {_MAX_BYTES} bytes; put the payload in Cloud Storage and send its name"
        )
    return task


def _due(task: tasks_v2.Task, now: float) -> float:
    pb = tasks_v2.Task.pb(task)
    return max(now, pb.schedule_time.ToMicroseconds() / 1e6) if pb.HasField("schedule_time") else now


def _view(task: tasks_v2.Task, view: tasks_v2.Task.View) -> tasks_v2.Task:
    shown = tasks_v2.Task(task)
    if view == tasks_v2.Task.View.FULL:
        shown.view = tasks_v2.Task.View.FULL
    else:
        shown.view = tasks_v2.Task.View.BASIC
        shown.http_request.body = b""
    return shown


class Unserved(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The last handler of a server: says of any other method that it is not supported, by its name."""

    def service(self, details: Any) -> Any:
        message = f"{details.method} is not supported by the local Cloud Tasks."

        def refuse(_request: bytes, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, message)

        return grpc.unary_unary_rpc_method_handler(refuse)


def handler(service: CloudTasks) -> grpc.GenericRpcHandler:
    """The generic handler: no generated server code, the client's types are the protocol."""
    methods: Sequence[tuple[str, type[Any], Callable[[Any], Any]]] = (
        ("CreateQueue", tasks_v2.CreateQueueRequest, service.create_queue),
        ("CreateTask", tasks_v2.CreateTaskRequest, service.create_task),
        ("GetTask", tasks_v2.GetTaskRequest, service.get_task),
        ("ListTasks", tasks_v2.ListTasksRequest, service.list_tasks),
        ("DeleteTask", tasks_v2.DeleteTaskRequest, service.delete_task),
    )
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            name: grpc.unary_unary_rpc_method_handler(
                _answering(method), request_deserializer=kind.deserialize, response_serializer=_serialize
            )
            for name, kind, method in methods
        },
    )


def _answering(method: Callable[[Any], Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(request)
        except Refusal as refusal:
            return context.abort(refusal.code, refusal.message)

    return answer


def _serialize(message: Any) -> bytes:
    # google.protobuf.Empty is a plain message; everything else here is proto-plus.
    if isinstance(message, empty_pb2.Empty):
        serialized: bytes = message.SerializeToString()
    else:
        serialized = type(message).serialize(message)
    return serialized
