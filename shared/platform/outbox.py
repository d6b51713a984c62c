"""Messages that leave with the rows that caused them.

A message is a row in the transaction that decided to send it. After the commit it is handed to Cloud
Tasks at once; if the process dies in between, a scheduled drainer hands over what was left. The task's
name is made from the row's id, so a hand-over that happens twice is one task (Cloud Tasks remembers
names for about an hour; the ledger covers the rest).
"""

from __future__ import annotations

import contextvars
import threading
from datetime import timedelta

from shared.platform import clock, pg, sql, tasks, telemetry
from shared.platform.ids import new_id
from shared.platform.messages import Message

Q = sql.load(__file__)

DRAIN_BATCH = 200
PATIENT_SECONDS = 5.0
"""A message that is due at least this much later does not hold up the request that sends it."""


def send(tx: pg.Tx, message: Message, *, delay_seconds: float = 0) -> str:
    """Promise the message in this transaction; answers the outbox id."""
    return send_all(tx, [message], delay_seconds=delay_seconds)[0]


def send_all(tx: pg.Tx, messages: list[Message], *, delay_seconds: float = 0) -> list[str]:
    """Promise many messages with one statement; answers their outbox ids in order."""
    if not messages:
        return []
    not_before = clock.now() + timedelta(seconds=delay_seconds)
    outgoing = [
        {
            "id": new_id(),
            "step": message.step,
            "queue": message.queue,
            "payload": message.model_dump(mode="json"),
            "traceparent": telemetry.traceparent(),
        }
        for message in messages
    ]
    tx.run(Q.put_in_outbox, rows=outgoing, not_before=not_before)
    ids = [str(row["id"]) for row in outgoing]
    rows = [{**row, "not_before": not_before} for row in outgoing]
    tx.after_commit(lambda: (_send_soon if delay_seconds >= PATIENT_SECONDS else _send_now)(rows))
    return ids


def drain() -> int:
    """Hand over what an instance promised but did not send; answers how many."""
    with pg.transaction() as tx:
        left = tx.all(Q.claim_unsent, batch=DRAIN_BATCH)
    return _hand_over(left)


def _send_now(rows: list[pg.Row]) -> None:
    _hand_over(rows)


def _send_soon(rows: list[pg.Row]) -> None:
    """Hand over beside the request: nobody waits for a message that is not due yet."""

    def work() -> None:
        try:
            _hand_over(rows)
        except Exception as error:
            telemetry.log_exception("a hand-over failed; it is repeated by schedule", error)

    threading.Thread(target=contextvars.copy_context().run, args=(work,), name="outbox", daemon=True).start()


def _hand_over(rows: list[pg.Row]) -> int:
    sent: list[str] = []
    try:
        for row in rows:
            tasks.create(
                queue=row["queue"],
                step=row["step"],
                dedup=str(row["id"]),
                payload=row["payload"],
                not_before=row["not_before"],
                traceparent=row["traceparent"],
            )
            sent.append(str(row["id"]))
    finally:
        if sent:
            with pg.transaction() as tx:
                tx.run(Q.mark_sent, ids=sent)
    return len(sent)
