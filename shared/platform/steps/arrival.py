"""What a delivery says: the step's message, how often it came, how long it waited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Request

from shared.platform import clock
from shared.platform.background import ledger, outbox
from shared.platform.background.messages import FINALIZED, Finalized
from shared.platform.cloud import objects
from shared.platform.edge import intake
from shared.platform.edge.declare import Declaration
from shared.platform.errors import MalformedEvent
from shared.platform.ids import is_id
from shared.platform.settings import settings
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry import recording
from shared.platform.text import numerals, strict_json

MAX_MESSAGE = 256 * 1024


class NotWaitedFor(Exception):
    """The event is of an object whose name the step's pattern does not have."""


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
            message_of(request),
            numerals.whole(count, 2**31 - 1),
            outbox.GIVE_UP_HEADER in request.headers,
        )

    def is_last(self, attempt: ledger.Attempt) -> bool:
        """Whether the queue will not try again. The ledger's own count starts anew with a replay."""
        tried = attempt.tries if self.tries is None else self.tries + 1
        return tried >= self.declaration.attempts


def finalized_event(request: Request, bucket_role: str, matcher: Any) -> Finalized:
    """The object that Eventarc tells of; raises MalformedEvent for what is not this trigger's.

    Eventarc filters by bucket alone, so each step on a bucket hears of all its objects: NotWaitedFor for others'.
    """
    if request.headers.get("ce-type") != FINALIZED:
        raise MalformedEvent(field="ce-type", reason="not a finalize event")
    body = strict_json.loads(intake.read_bytes(request, MAX_MESSAGE))
    if not isinstance(body, dict):
        raise MalformedEvent(field="body", reason="not an object resource")
    bucket, name = body.get("bucket"), body.get("name")
    generation, size = (numerals.whole(str(body.get(field, 0))) for field in ("generation", "size"))
    if not isinstance(bucket, str) or not isinstance(name, str) or not generation or size is None:
        raise MalformedEvent(field="body", reason="bucket, name, generation or size is missing")
    if settings().role_of(bucket) != bucket_role:
        raise MalformedEvent(field="bucket", reason="another bucket's event")
    match = matcher.match("/" + name)
    if match is None:
        raise NotWaitedFor
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        telemetry.caused_by(metadata.get(objects.TRACEPARENT))
    return Finalized(bucket, name, generation, size, match.groupdict())


def tell_age(root: telemetry.Request, request: Request, declaration: Declaration) -> None:
    """How long the delivery waited: since its task was due, its object was written, its minute came."""
    given = request.headers.get("X-CloudTasks-TaskETA") or request.headers.get("ce-time")
    given = given or request.headers.get(outbox.SCHEDULE_HEADER) or ""
    due = numerals.real(given)
    if due is None:
        try:
            due = datetime.fromisoformat(given.replace("Z", "+00:00")).timestamp()
        except (ValueError, OverflowError):
            return  # By hand, or by something that does not say.
    age = max(0.0, clock.now().timestamp() - due) * 1000
    root.attributes["queue_age_ms"] = round(age, 1)
    recording.measure(
        "bridge.queue.age", age, function=declaration.name, queue=declaration.queue or declaration.kind
    )


def message_of(request: Request) -> str | None:
    """The row of the outbox that this delivery came from."""
    given = request.headers.get(outbox.MESSAGE_HEADER, "")
    return given if is_id(given) else None
