"""`@task`, `@finalized`, `@scheduled`: steps, reached by a queue, an event or the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from string import Formatter
from typing import Any, TypeVar

from flask import Request

from shared.platform import clock
from shared.platform.background import outbox, pace
from shared.platform.background.messages import Finalized, Message, Tick
from shared.platform.edge import intake
from shared.platform.edge.declare import Declaration, compile_path, describe
from shared.platform.errors import MalformedEvent
from shared.platform.settings import settings
from shared.platform.steps.arrival import MAX_MESSAGE, finalized_event
from shared.platform.steps.running import GaveUp, entry
from shared.platform.text import strict_json

F = TypeVar("F", bound=Callable[..., Any])


def task(
    message: type[Message],
    *,
    once: str,
    timeout: int = 300,
    memory_mb: int = 512,
    retry_seconds: int = pace.RETRY_SECONDS,
    gave_up: GaveUp | None = None,
) -> Callable[[F], F]:
    """Declare a task step. `once` makes its key from the message's fields: `{scan}/{dataset}`.

    It is tried again for at least `retry_seconds` where a try fails in a way that a repetition may cure.
    `gave_up(message, error)` runs when no further attempt will: it tells the user (fails the job).
    """

    def decorate(handler: F) -> F:
        wanted = Declaration(
            kind="task",
            timeout=timeout,
            memory_mb=memory_mb,
            once=once,
            message=message,
            queue=message.queue,
            retry_seconds=retry_seconds,
            attempts=pace.QUEUES.tries(retry_seconds),
        )
        declaration = describe(wanted, handler)
        if message.step != declaration.name:
            raise TypeError(
                f"{message.__name__} is sent to {message.step}, but {declaration.name} receives it"
            )
        _check_key(once, message)

        def read(request: Request) -> tuple[Message, str]:
            raw = intake.read_bytes(request, MAX_MESSAGE)
            strict_json.loads(raw)
            step = message.model_validate_json(raw)
            return step, once.format(**step.model_dump(mode="json"))

        return entry(handler, declaration, _step_account, read, gave_up)

    return decorate


def _check_key(once: str, message: type[Message]) -> None:
    """Refuse a key that could not be made from a message, or that all messages would share."""
    parts = list(Formatter().parse(once))
    names = [name for _, name, _, _ in parts if name is not None]
    if unknown := [name for name in names if name not in message.model_fields]:
        raise TypeError(f"once={once!r} names {unknown[0]!r}, which is no field of {message.__name__}")
    if not names or any(spec or conversion for _, _, spec, conversion in parts):
        raise TypeError(f"once={once!r} must be made of fields of {message.__name__} as they are: '{{job}}'")


def finalized(
    pattern: str,
    *,
    timeout: int = 300,
    memory_mb: int = 512,
    retry_seconds: int = pace.RETRY_SECONDS,
    gave_up: GaveUp | None = None,
) -> Callable[[F], F]:
    """Declare an event step on objects of the bucket role that starts the pattern.

    Its key is bucket, name and generation: an overwrite is a new event, a redelivery is not. It is tried again for at
    least `retry_seconds`.
    """
    bucket_role, _, name_pattern = pattern.partition("/")
    matcher = compile_path("/" + name_pattern)

    def decorate(handler: F) -> F:
        wanted = Declaration(
            kind="finalized",
            timeout=timeout,
            memory_mb=memory_mb,
            once="{bucket}/{name}#{generation}",
            bucket=bucket_role,
            pattern=name_pattern,
            retry_seconds=retry_seconds,
            attempts=pace.EVENTS.tries(retry_seconds),
        )
        declaration = describe(wanted, handler)

        def read(request: Request) -> tuple[Finalized, str]:
            event = finalized_event(request, bucket_role, matcher)
            return event, outbox.event_key(vars(event))

        return entry(handler, declaration, _events_account, read, gave_up)

    return decorate


def scheduled(cron: str, *, timeout: int = 300, memory_mb: int = 256) -> Callable[[F], F]:
    """Declare a scheduled step (cron, UTC). One attempt works for each scheduled minute."""

    def decorate(handler: F) -> F:
        wanted = Declaration(
            kind="scheduled",
            timeout=timeout,
            memory_mb=memory_mb,
            once="{scheduled_time}",
            schedule=cron,
            attempts=1,
        )
        declaration = describe(wanted, handler)

        def read(request: Request) -> tuple[Tick, str]:
            given = request.headers.get(outbox.SCHEDULE_HEADER) or clock.now().isoformat()
            try:
                at = datetime.fromisoformat(given.replace("Z", "+00:00"))
            except ValueError:
                raise MalformedEvent(field=outbox.SCHEDULE_HEADER, reason="not a timestamp") from None
            if at.tzinfo is None:
                raise MalformedEvent(field=outbox.SCHEDULE_HEADER, reason="without a zone")
            return Tick(at), given

        return entry(handler, declaration, _step_account, read, None)

    return decorate


def _step_account() -> str:
    return settings().step_service_account


def _events_account() -> str:
    return settings().events_service_account
