"""Cloud Tasks: hand a payload to a queue that will call a step with our identity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from shared.platform import clock, deadline
from shared.platform.errors import Unavailable
from shared.platform.settings import settings
from shared.platform.text import strict_json

DISPATCH_DEADLINE_SECONDS = 900
TIMEOUT_SECONDS = 10


class Refused(Exception):
    """The queue takes others, but not this message as it is: too large, or for a queue that is not there."""


def step_url(step: str) -> str:
    """The address of a function; also the audience that its tokens must name."""
    return settings().step_url.replace("{name}", step)


def create(
    *,
    queue: str,
    step: str,
    dedup: str,
    payload: Any,
    not_before: datetime | None,
    headers: Mapping[str, str],
    account: Literal["steps", "events"] = "steps",
) -> None:
    """Create the task, or find that it exists.

    Raises Unavailable when the queue can't be reached, and Refused when it takes others but not this one.

    `account` is whose identity the delivery carries: a step takes messages from one and events from the other.
    """
    from google.api_core import exceptions
    from google.cloud import tasks_v2
    from google.protobuf import duration_pb2, timestamp_pb2

    config = settings()
    parent = _parent(queue)
    emails = {"steps": config.step_service_account, "events": config.events_service_account}
    task = tasks_v2.Task(
        name=_name(queue, step, dedup),
        http_request=tasks_v2.HttpRequest(
            url=step_url(step),
            http_method=tasks_v2.HttpMethod.POST,
            headers={"Content-Type": "application/json", **headers},
            body=strict_json.dumps(payload),
            oidc_token=tasks_v2.OidcToken(service_account_email=emails[account], audience=step_url(step)),
        ),
        dispatch_deadline=duration_pb2.Duration(seconds=DISPATCH_DEADLINE_SECONDS),
    )
    if not_before is not None and not_before > clock.now():
        when = timestamp_pb2.Timestamp()
        when.FromDatetime(not_before)
        task.schedule_time = when
    try:
        # Once: what is not handed over now is handed over by schedule, and a request may be waiting.
        _client().create_task(parent=parent, task=task, retry=None, timeout=deadline.within(TIMEOUT_SECONDS))
    except exceptions.AlreadyExists:
        return
    except (exceptions.TooManyRequests, exceptions.Cancelled) as error:
        raise Unavailable("The task queue takes no more at this moment.", retry_after=1) from error
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        # That is about us, and so about every message.
        raise Unavailable("The task queue does not accept this service.", retry_after=60) from error
    except exceptions.ClientError as error:
        raise Refused(str(error)[:200]) from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError) as error:
        raise Unavailable("The task queue is not reachable.") from error


def waits(*, queue: str, step: str, dedup: str) -> bool:
    """Whether the queue still has the task: not delivered yet, or to be repeated. Raises Unavailable."""
    from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError

    try:
        _client().get_task(name=_name(queue, step, dedup), **deadline.patience(TIMEOUT_SECONDS))
    except NotFound:
        return False
    except (GoogleAPICallError, RetryError) as error:
        raise Unavailable("The task queue is not reachable.") from error
    return True


def _parent(queue: str) -> str:
    config = settings()
    return f"projects/{config.project}/locations/{config.region}/queues/{queue}"


def _name(queue: str, step: str, dedup: str) -> str:
    return f"{_parent(queue)}/tasks/{step}-{hashlib.sha256(dedup.encode()).hexdigest()[:32]}"


@lru_cache(maxsize=1)
def _client() -> Any:
    from google.cloud import tasks_v2

    emulator = settings().tasks_emulator
    if emulator is None:
        return tasks_v2.CloudTasksClient()
    import grpc
    from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

    return tasks_v2.CloudTasksClient(
        transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(emulator))
    )
