"""One delivery of one step: who may deliver it, one attempt at a time, and what the queue is told.

A step may be delivered twice, at the same time, or after the worker that had it died. Its key comes
from its message; the ledger lets one attempt work at a time and none after it is done. The answer tells
the queue what to do: 2xx done (or refused for good: a dead letter was kept), 5xx repeat. A step whose job
was cancelled ends without effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Request, Response
from pydantic import BaseModel

from shared.platform import deadline
from shared.platform.background import ledger, outbox
from shared.platform.background.ledger import Letter
from shared.platform.background.messages import Message
from shared.platform.cloud import identity, queues
from shared.platform.edge import answers, outside
from shared.platform.edge.declare import Declaration, attach
from shared.platform.errors import BridgeError, MalformedEvent, NotFound
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from shared.platform.steps.arrival import Arrival, NotWaitedFor, message_of, tell_age
from shared.platform.telemetry import context as telemetry
from shared.platform.text import strict_json

F = TypeVar("F", bound=Callable[..., Any])
GaveUp = Callable[[Any, BridgeError], None]

LEASE_MARGIN_SECONDS = 30


def entry(
    handler: F,
    declaration: Declaration,
    account: Callable[[], str],
    read: Callable[[Request], tuple[Any, str]],
    gave_up: GaveUp | None,
) -> F:
    """The function that answers a step's deliveries; `read` gives its message and its key."""

    def deliver(request: Request) -> Response:
        with (
            deadline.over(declaration.timeout),
            telemetry.request_context(
                declaration.name,
                None,
                request.headers.get("traceparent"),
                background=True,
            ) as root,
        ):
            try:
                if request.method != "POST":
                    raise NotFound
                identity.verify(
                    request.headers.get("Authorization"),
                    audience=queues.step_url(declaration.name),
                    account=account(),
                    platform_audience=declaration.kind == "finalized",
                )
                try:
                    step, key = read(request)
                except NotWaitedFor:
                    return root.answers(answers.finish(request, Response(status=204)))
                except (BridgeError, ValueError, TypeError, KeyError) as error:
                    if isinstance(error, BridgeError) and error.retryable:
                        raise  # It broke off on its way, say: the next delivery may be whole.
                    return root.answers(_refuse(request, declaration, error))
                tell_age(root, request, declaration)
                _run(handler, Arrival.of(request, declaration, step, key), gave_up)
                return root.answers(answers.finish(request, Response(status=204)))
            except Exception as error:
                return root.answers(answers.fail(request, error))

    attach(deliver, handler, declaration)
    outside.speak_for(declaration)
    return cast(F, deliver)


def _run(handler: Callable[..., Any], arrival: Arrival, gave_up: GaveUp | None) -> None:
    declaration = arrival.declaration
    part = arrival.step.part() if isinstance(arrival.step, Message) else None
    attempt = ledger.claim(
        declaration.name, arrival.key, ledger.TERMS.seconds, message=arrival.message, part=part
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
    """No further attempt will help: tell the user first, then keep the dead letter.

    Only by who still has the step: one that stalled must not fail the work that another goes on with.
    """
    step, declaration = arrival.step, arrival.declaration
    ledger.confirm(attempt)
    telemetry.log("step is given up", "ERROR", step=declaration.name, code=error.code, error=error.message)
    if gave_up is not None:
        with ledger.keeping(attempt, declaration.timeout + LEASE_MARGIN_SECONDS):
            gave_up(step, error)
    payload = step.model_dump(mode="json") if isinstance(step, BaseModel) else vars(step)
    letter = Letter(
        step=declaration.name,
        key=attempt.key,
        kind=_KINDS[declaration.kind],
        queue=declaration.queue or outbox.DEFAULT_QUEUE,
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
        queue=declaration.queue or outbox.DEFAULT_QUEUE,
        payload={"bytes": request.content_length or 0},
        code=MalformedEvent.code,
        message=reason,
    )
    message, id = message_of(request), new_id()

    def keep() -> None:
        with pool.transaction() as tx:
            ledger.keep_letter(tx, letter, id=id)
            if message is not None:
                ledger.settle_message(tx, message)

    pool.surely(keep)
    return answers.finish(request, Response(status=202))
