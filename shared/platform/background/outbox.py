"""Messages that leave with the rows that caused them.

A message is a row in the transaction that decided to send it. After the commit it is handed to Cloud
Tasks at once; if the process dies in between, a scheduled drainer hands over what was left. The task's
name is made from the row's id, so a hand-over that happens twice is one task (Cloud Tasks remembers
names for an hour to a day; the ledger covers the rest).

A finalize event can leave from here too, as Eventarc would have delivered it, and a tick as Cloud Scheduler
would: that is how dead ones are replayed and a forgotten event told again. Each delivery names its row, and the attempt that it leads to is
noted there, so that what was handed over and never came to an end is found (`platform.ops.requeue`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from shared.platform import clock, threads
from shared.platform.background.messages import FINALIZED, Message, Part
from shared.platform.cloud import queues
from shared.platform.ids import new_id
from shared.platform.postgres import pool, sql
from shared.platform.registry.gathered import BUCKETS
from shared.platform.settings import settings
from shared.platform.telemetry import context as telemetry

Q = sql.load(__file__)

DRAIN_BATCH = 200
DEFAULT_QUEUE = "default"
"""What has no queue of its own: ticks of the clock, events of buckets that name none."""
CLAIM_SECONDS = 60.0
"""For how long a row is left to the drainer that took it."""
PATIENT_SECONDS = 5.0
"""A message that is due at least this much later does not hold up the request that sends it."""
MOST_RESENDS = 3
"""How often a message that was lost is sent again. The time after, its step is told to give it up."""
MESSAGE_HEADER, GIVE_UP_HEADER = "X-Bridge-Message", "X-Bridge-Give-Up"
SCHEDULE_HEADER = "X-CloudScheduler-ScheduleTime"
"""Which tick it is, in the words of Cloud Scheduler: also the key of the step."""


def send(tx: pool.Tx, message: Message, *, delay_seconds: float = 0) -> str:
    """Promise the message in this transaction; answers the outbox id."""
    return send_all(tx, [message], delay_seconds=delay_seconds)[0]


def send_all(tx: pool.Tx, messages: list[Message], *, delay_seconds: float = 0) -> list[str]:
    """Promise many messages with one statement; answers their outbox ids in order."""
    if not messages:
        return []
    not_before = clock.now() + timedelta(seconds=delay_seconds)
    outgoing = [
        _row(message.step, message.queue, message.model_dump(mode="json"), part=message.part())
        for message in messages
    ]
    return _promise(tx, outgoing, not_before, patient=delay_seconds >= PATIENT_SECONDS)


def send_event(tx: pool.Tx, step: str, event: dict[str, Any], *, part: Part | None = None) -> str:
    """Promise a finalize event (`bucket`, `name`, `generation`, `size`) to a step, as Eventarc delivers it."""
    queue = queue_of_events(event["bucket"])
    row = _row(step, queue, event, kind="event", key=event_key(event), part=part)
    return _promise(tx, [row], clock.now(), patient=False)[0]


def send_again(tx: pool.Tx, letter: pool.Row) -> str:
    """Promise what a dead letter holds, as a new message; answers its outbox id."""
    part = Part(letter["job_team"], letter["job_id"]) if letter["job_id"] else None
    payload = letter["payload"]["message"]
    if letter["kind"] == "scheduled":
        tick = _row(
            letter["step"], letter["queue"], {"at": letter["key"]}, kind="scheduled", key=letter["key"]
        )
        return _promise(tx, [tick], clock.now(), patient=False)[0]
    if letter["kind"] == "event":
        event = {name: payload[name] for name in ("bucket", "name", "generation", "size")}
        return send_event(tx, letter["step"], event, part=part)
    row = _row(letter["step"], letter["queue"], payload, part=part)
    return _promise(tx, [row], clock.now(), patient=False)[0]


def event_key(event: dict[str, Any]) -> str:
    """The key of a finalize event's step: an overwrite is a new event, a redelivery is not."""
    return f"{event['bucket']}/{event['name']}#{event['generation']}"


def queue_of_events(bucket: str) -> str:
    """The queue that carries the events of a bucket: the one that it was declared with."""
    role = settings().role_of(bucket)
    return DEFAULT_QUEUE if role is None else BUCKETS[role]


def hand_over_again(rows: list[pool.Row]) -> int:
    """Hand over rows that are claimed already; answers how many."""
    return _hand_over(rows)


def dedup_of(row: pool.Row) -> str:
    """What names the row's task: a message that is sent again is a new task."""
    return f"{row['id']}/{row['resends']}" if row["resends"] else str(row["id"])


def drain() -> int:
    """Hand over what an instance promised but did not send; answers how many."""
    with pool.transaction() as tx:
        left = tx.all(Q.claim_unsent, batch=DRAIN_BATCH, lease=CLAIM_SECONDS)
    return _hand_over(left)


def _row(
    step: str,
    queue: str,
    payload: Any,
    *,
    kind: str = "task",
    key: str | None = None,
    part: Part | None = None,
) -> pool.Row:
    return {
        "id": new_id(),
        "step": step,
        "queue": queue,
        "kind": kind,
        "key": key,
        "payload": payload,
        "traceparent": telemetry.traceparent(),
        "job_team": part.team if part else None,
        "job_id": part.job if part else None,
    }


def _promise(tx: pool.Tx, outgoing: list[pool.Row], not_before: datetime, *, patient: bool) -> list[str]:
    tx.run(Q.put_in_outbox, rows=outgoing, not_before=not_before)
    rows = [{**row, "not_before": not_before, "resends": 0} for row in outgoing]
    tx.after_commit(lambda: (_send_soon if patient else _send_now)(rows))
    return [str(row["id"]) for row in outgoing]


def _headers(row: pool.Row) -> dict[str, str]:
    """What the delivery says of itself; an event's headers are those of a CloudEvent."""
    headers = {"traceparent": row["traceparent"], MESSAGE_HEADER: str(row["id"])}
    if row["resends"] > MOST_RESENDS:
        headers[GIVE_UP_HEADER] = "1"
    if row["kind"] == "event":
        event = row["payload"]
        headers |= {
            "ce-specversion": "1.0",
            "ce-id": str(row["id"]),
            "ce-type": FINALIZED,
            "ce-source": f"//storage.googleapis.com/projects/_/buckets/{event['bucket']}",
            "ce-subject": f"objects/{quote(event['name'])}",
        }
    if row["kind"] == "scheduled":
        headers[SCHEDULE_HEADER] = row["payload"]["at"]
    return headers


def _send_now(rows: list[pool.Row]) -> None:
    _hand_over(rows)


def _send_soon(rows: list[pool.Row]) -> None:
    """Hand over beside the request: nobody waits for a message that is not due yet."""

    def work() -> None:
        try:
            _hand_over(rows)
        except Exception as error:
            telemetry.log_exception("a hand-over failed; it is repeated by schedule", error)

    threads.start("outbox", work)


def _hand_over(rows: list[pool.Row]) -> int:
    """Hand over in order; answers how many. Stops where the queue can't be reached (Unavailable).

    One that the queue refuses does not hold up those behind it: it stays unsent, is tried again with its
    turn, and is given up in the end as what was lost is (`platform.ops.requeue`).
    """
    sent: list[str] = []
    try:
        for row in rows:
            try:
                queues.create(
                    queue=row["queue"],
                    step=row["step"],
                    dedup=dedup_of(row),
                    payload=row["payload"],
                    not_before=row["not_before"],
                    headers=_headers(row),
                    account="events" if row["kind"] == "event" else "steps",
                )
            except queues.Refused as error:
                telemetry.log_exception(
                    "the queue refuses a message", error, step=row["step"], queue=row["queue"]
                )
                continue
            sent.append(str(row["id"]))
    finally:
        if sent:
            with pool.transaction() as tx:
                tx.run(Q.mark_sent, ids=sent)
    return len(sent)
