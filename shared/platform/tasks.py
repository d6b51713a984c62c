"""Cloud Tasks: hand a payload to a queue that will call a step with our identity."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Any

from shared.platform import clock, strict_json
from shared.platform.errors import Unavailable
from shared.platform.settings import settings

DISPATCH_DEADLINE_SECONDS = 900


def step_url(step: str) -> str:
    """The address of a function; also the audience that its tokens must name."""
    return settings().step_url.replace("{name}", step)


def create(
    *, queue: str, step: str, dedup: str, payload: Any, not_before: datetime | None, traceparent: str
) -> None:
    """Create the task, or find that it exists. Raises Unavailable when the queue can't be reached."""
    from google.api_core.exceptions import AlreadyExists, GoogleAPICallError, RetryError
    from google.cloud import tasks_v2
    from google.protobuf import duration_pb2, timestamp_pb2

    config = settings()
    parent = f"projects/{config.project}/locations/{config.region}/queues/{queue}"
    task = tasks_v2.Task(
        name=f"{parent}/tasks/{step}-{hashlib.sha256(dedup.encode()).hexdigest()[:32]}",
        http_request=tasks_v2.HttpRequest(
            url=step_url(step),
            http_method=tasks_v2.HttpMethod.POST,
            headers={"Content-Type": "application/json", "traceparent": traceparent},
            body=strict_json.dumps(payload),
            oidc_token=tasks_v2.OidcToken(
                service_account_email=config.step_service_account, audience=step_url(step)
            ),
        ),
        dispatch_deadline=duration_pb2.Duration(seconds=DISPATCH_DEADLINE_SECONDS),
    )
    if not_before is not None and not_before > clock.now():
        when = timestamp_pb2.Timestamp()
        when.FromDatetime(not_before)
        task.schedule_time = when
    try:
        _client().create_task(parent=parent, task=task, timeout=10)
    except AlreadyExists:
        return
    except (GoogleAPICallError, RetryError) as error:
        raise Unavailable("The task queue is not reachable.") from error


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
