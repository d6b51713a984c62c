"""`@task`, `@finalized`, `@scheduled`: steps, reached by a queue, an event or the clock.

A step may be delivered twice, at the same time, or after the worker that had it died. Its key comes
from its message; the ledger lets one attempt work at a time and none after it is done. The answer tells
the queue what to do: 2xx done (or refused for good: a dead letter was kept), 5xx repeat. A step whose job
was cancelled ends without effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from flask import Request, Response
from pydantic import BaseModel

from shared.platform import clock, lake, ledger, oidc, outbox, pg, recording, strict_json, tasks, telemetry
from shared.platform.edge import answers, intake, outside
from shared.platform.edge.declare import Declaration, attach, compile_path, describe
from shared.platform.errors import BridgeError, MalformedEvent, NotFound
from shared.platform.ids import is_id
from shared.platform.ledger import Letter
from shared.platform.messages import FINALIZED, Message
from shared.platform.settings import settings

F = TypeVar("F", bound=Callable[..., Any])
GaveUp = Callable[[Any, BridgeError], None]

LEASE_MARGIN_SECONDS = 30
MAX_MESSAGE = 256 * 1024


@dataclass(frozen=True)
class Finalized:
    """An object that has just been written whole."""

    bucket: str
    name: str
    generation: int
    size: int
    names: dict[str, str]
    """The parts of the object's name, by the names in the trigger's pattern."""


@dataclass(frozen=True)
class Tick:
    """One firing of a schedule."""

    at: datetime


def task(
    message: type[Message],
    *,
    once: str,
    timeout: int = 300,
    memory_mb: int = 512,
    attempts: int = 8,
    gave_up: GaveUp | None = None,
) -> Callable[[F], F]:
    """Declare a task step. `once` makes its key from the message's fields.

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
            attempts=attempts,
        )
        declaration = describe(wanted, handler)
        if message.step != declaration.name:
            raise TypeError(
                f"{message.__name__} is sent to {message.step}, but {declaration.name} receives it"
            )

        def read(request: Request) -> tuple[Message, str]:
            raw = intake.read_bytes(request, MAX_MESSAGE)
            strict_json.loads(raw)
            step = message.model_validate_json(raw)
            return step, once.format(**step.model_dump(mode="json"))

        return _entry(handler, declaration, _step_account, read, gave_up)

    return decorate


def finalized(
    pattern: str,
    *,
    timeout: int = 300,
    memory_mb: int = 512,
    attempts: int = 8,
    gave_up: GaveUp | None = None,
) -> Callable[[F], F]:
    """Declare an event step on objects of the bucket role that starts the pattern.

    Its key is bucket, name and generation: an overwrite is a new event, a redelivery is not.
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
            attempts=attempts,
        )
        declaration = describe(wanted, handler)

        def read(request: Request) -> tuple[Finalized, str]:
            event = _finalized_event(request, bucket_role, matcher)
            return event, outbox.event_key(vars(event))

        return _entry(handler, declaration, _events_account, read, gave_up)

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
            given = request.headers.get("X-CloudScheduler-ScheduleTime", "")
            try:
                at = datetime.fromisoformat(given.replace("Z", "+00:00")) if given else clock.now()
            except ValueError:
                raise MalformedEvent(
                    field="X-CloudScheduler-ScheduleTime", reason="not a timestamp"
                ) from None
            return Tick(at), given or clock.now().isoformat()

        return _entry(handler, declaration, _step_account, read, None)

    return decorate


@dataclass(frozen=True)
class Arrival:
    """One delivery of one step."""

    declaration: Declaration
    step: Any
    key: str
    message: str | None
    """The row of the outbox that it came from; None for what Eventarc or the clock delivers."""
    tries: int | None
    """How often the queue has tried before; None where it does not say, and the ledger counts."""
    give_up: bool
    """The queue has lost it too often: it comes for its end, not to be tried again."""

    @staticmethod
    def of(request: Request, declaration: Declaration, step: Any, key: str) -> Arrival:
        """What the delivery's headers say of it."""
        count = request.headers.get("X-CloudTasks-TaskRetryCount") or request.headers.get(
            "ce-deliveryattempt", ""
        )
        return Arrival(
            declaration,
            step,
            key,
            _message_of(request),
            int(count) if count.isascii() and count.isdigit() else None,
            outbox.GIVE_UP_HEADER in request.headers,
        )

    def is_last(self, attempt: ledger.Attempt) -> bool:
        """Whether the queue will not try again. The ledger's own count starts anew with a replay."""
        tried = attempt.tries if self.tries is None else self.tries + 1
        return tried >= self.declaration.attempts


def _entry(
    handler: F,
    declaration: Declaration,
    account: Callable[[], str],
    read: Callable[[Request], tuple[Any, str]],
    gave_up: GaveUp | None,
) -> F:
    def entry(request: Request) -> Response:
        with telemetry.request_context(
            declaration.name,
            None,
            request.headers.get("traceparent"),
            background=True,
        ) as root:
            try:
                if request.method != "POST":
                    raise NotFound
                oidc.verify(
                    request.headers.get("Authorization"),
                    audience=tasks.step_url(declaration.name),
                    account=account(),
                )
                try:
                    step, key = read(request)
                except Exception as error:
                    return root.answers(_refuse(request, declaration, error))
                _tell_age(root, request, declaration)
                _run(handler, Arrival.of(request, declaration, step, key), gave_up)
                return root.answers(answers.finish(request, Response(status=204)))
            except Exception as error:
                return root.answers(answers.fail(request, error))

    attach(entry, handler, declaration)
    outside.speak_for(declaration)
    return cast(F, entry)


def _run(handler: Callable[..., Any], arrival: Arrival, gave_up: GaveUp | None) -> None:
    declaration = arrival.declaration
    part = arrival.step.part() if isinstance(arrival.step, Message) else None
    attempt = ledger.claim(
        declaration.name, arrival.key, ledger.LEASE_SECONDS, message=arrival.message, part=part
    )
    if attempt is None:
        telemetry.log("step was already done", step=declaration.name)
        return
    try:
        with (
            telemetry.span("step.run", step=declaration.name),
            ledger.keeping(attempt, declaration.timeout + LEASE_MARGIN_SECONDS),
            ledger.working_on(attempt),
        ):
            if attempt.unwanted:
                raise ledger.JobCancelled
            if arrival.give_up:
                raise ledger.StepLost
            handler(arrival.step)
            if not attempt.finished:
                with ledger.finishing(None):
                    pass
    except ledger.LostLease:
        raise
    except Exception as error:
        if isinstance(error, ledger.JobCancelled) or ledger.is_cancelled(attempt):
            # Also what failed because it was stopped: nobody waits for this job's steps any more.
            telemetry.log("the step's job was cancelled", step=declaration.name)
            ledger.settle(attempt)
            return
        known = error if isinstance(error, BridgeError) else BridgeError()
        if not isinstance(error, BridgeError):
            telemetry.log_exception("an unexpected error ended the step", error, step=declaration.name)
        if known.retryable and not arrival.is_last(attempt):
            ledger.release(attempt)
            raise known from error
        _give_up(arrival, attempt, known, gave_up)


def _give_up(arrival: Arrival, attempt: ledger.Attempt, error: BridgeError, gave_up: GaveUp | None) -> None:
    """No further attempt will help: tell the user first, then keep the dead letter."""
    step, declaration = arrival.step, arrival.declaration
    telemetry.log("step is given up", "ERROR", step=declaration.name, code=error.code, error=error.message)
    if gave_up is not None:
        gave_up(step, error)
    payload = step.model_dump(mode="json") if isinstance(step, BaseModel) else vars(step)
    letter = Letter(
        step=declaration.name,
        key=attempt.key,
        kind=_KINDS[declaration.kind],
        queue=declaration.queue or "default",
        payload={"message": strict_json.loads(strict_json.dumps(payload))},
        code=error.code,
        message=error.message,
        part=attempt.part,
    )
    ledger.bury(attempt, letter)


_KINDS = {"task": "task", "finalized": "event", "scheduled": "scheduled"}


def _refuse(request: Request, declaration: Declaration, error: Exception) -> Response:
    """A delivery that can't be read will not be better next time: answer 2xx, leave a trace, echo nothing."""
    telemetry.log(
        "a malformed delivery was refused", "ERROR", step=declaration.name, error_type=type(error).__name__
    )
    reason = (
        error.message if isinstance(error, BridgeError) else f"not a valid message: {type(error).__name__}"
    )
    letter = Letter(
        step=declaration.name,
        key="",
        kind=_KINDS[declaration.kind],
        queue=declaration.queue or "default",
        payload={"bytes": request.content_length or 0},
        code=MalformedEvent.code,
        message=reason,
    )
    with pg.transaction() as tx:
        ledger.keep_letter(tx, letter)
        if (message := _message_of(request)) is not None:
            ledger.settle_message(tx, message)
    return answers.finish(request, Response(status=202))


def _finalized_event(request: Request, bucket_role: str, matcher: Any) -> Finalized:
    if request.headers.get("ce-type") != FINALIZED:
        raise MalformedEvent(field="ce-type", reason="not a finalize event")
    body = strict_json.loads(intake.read_bytes(request, MAX_MESSAGE))
    if not isinstance(body, dict):
        raise MalformedEvent(field="body", reason="not an object resource")
    bucket, name, generation = body.get("bucket"), body.get("name"), str(body.get("generation", ""))
    if not isinstance(bucket, str) or not isinstance(name, str) or not generation.isdigit():
        raise MalformedEvent(field="body", reason="bucket, name or generation is missing")
    if settings().role_of(bucket) != bucket_role:
        raise MalformedEvent(field="bucket", reason="another bucket's event")
    match = matcher.match("/" + name)
    if match is None:
        raise MalformedEvent(field="name", reason="outside this trigger's pattern")
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        telemetry.caused_by(metadata.get(lake.TRACEPARENT))
    return Finalized(bucket, name, int(generation), int(body.get("size", 0)), match.groupdict())


def _tell_age(root: telemetry.Request, request: Request, declaration: Declaration) -> None:
    """How long the delivery waited: since its task was due, its object was written, its minute came."""
    given = request.headers.get("X-CloudTasks-TaskETA") or request.headers.get("ce-time")
    given = given or request.headers.get("X-CloudScheduler-ScheduleTime")
    try:
        due = float(given or "")
    except ValueError:
        try:
            due = datetime.fromisoformat((given or "").replace("Z", "+00:00")).timestamp()
        except ValueError:
            return  # By hand, or by something that does not say.
    age = max(0.0, clock.now().timestamp() - due) * 1000
    root.attributes["queue_age_ms"] = round(age, 1)
    recording.measure(
        "bridge.queue.age", age, function=declaration.name, queue=declaration.queue or declaration.kind
    )


def _message_of(request: Request) -> str | None:
    """The row of the outbox that this delivery came from."""
    given = request.headers.get(outbox.MESSAGE_HEADER, "")
    return given if is_id(given) else None


def _step_account() -> str:
    return settings().step_service_account


def _events_account() -> str:
    return settings().events_service_account
