"""Find what both queues forgot: messages that were handed over and never came to an end.

    sent ─ silent for 15 min ─► still in the queue? ── yes ─► look again later
                                     └─ no ─► sent again, at most 3 times (15 min, 30 min, 1 h, 2 h apart)
                                                 └─ lost again ─► sent once more, to be given up: its step
                                                    tells the user, lands its child, keeps a dead letter
                                                       └─ lost again ─► buried here, its job fails

A step whose lease lives is never touched: every change asks the ledger in its own statement. A resend is
harmless even if the queue did have the message after all: the ledger lets one of them work. A job that
runs without any message or attempt of its own fails with a cause, whatever became of its steps.
"""

from __future__ import annotations

from shared.platform.background import jobs, ledger, outbox
from shared.platform.background.messages import Part
from shared.platform.cloud import queues
from shared.platform.errors import Unavailable
from shared.platform.postgres import pool, sql
from shared.platform.telemetry import context as telemetry

Q = sql.load(__file__)

SILENCE_SECONDS = 15 * 60.0
"""Longer than any queue waits between two attempts (5 minutes) and any step may take (10 minutes)."""
LOOK_SECONDS = 10 * 60.0
IDLE_SECONDS = 3 * 3600.0
"""A job that nothing has moved for this long has lost its steps."""
BATCH = 200
MOST_JOBS = 100


def run() -> dict[str, int]:
    """One look at everything that is under way; answers what was done."""
    counts = {"settled": _settle(), "waiting": 0, "sent_again": 0, "given_up": 0, "buried": 0, "revived": 0}
    with pool.transaction() as tx:
        stalled = tx.all(Q.claim_stalled, silence=SILENCE_SECONDS, look=LOOK_SECONDS, batch=BATCH)
    for looked, message in enumerate(stalled):
        if (done := _look_after(message)) is None:
            # Each further question would wait as long for no answer, and jobs could not be looked at any more.
            counts["waiting"] += len(stalled) - looked
            break
        counts[done] += 1
    counts["jobs_failed"] = _fail_stalled_jobs()
    severity = (
        "WARNING"
        if any(counts[name] for name in ("sent_again", "given_up", "buried", "jobs_failed"))
        else "INFO"
    )
    telemetry.log("looked for messages without an end", severity, **counts)
    return counts


def _settle() -> int:
    total = 0
    while True:
        with pool.transaction() as tx:
            settled = tx.run(Q.settle_ended, batch=BATCH)
        total += settled
        if settled < BATCH:
            return total


def _look_after(message: pool.Row) -> str | None:
    """Decide for one message; answers what was done, or None where the queue can't be asked."""
    try:
        waits = queues.waits(queue=message["queue"], step=message["step"], dedup=outbox.dedup_of(message))
    except Unavailable:
        return None
    if waits:
        return "waiting"
    if message["resends"] > outbox.MOST_RESENDS:
        return "buried" if _bury(message) else "revived"
    with pool.transaction() as tx:
        row = tx.find(Q.send_again, id=message["id"], resends=message["resends"], lease=outbox.CLAIM_SECONDS)
    if row is None:
        return "revived"
    telemetry.log(
        "a message without an end is sent again", "WARNING", step=row["step"], resends=row["resends"]
    )
    try:
        outbox.hand_over_again([row])
    except Unavailable:
        telemetry.log("a hand-over failed; the drainer repeats it", "WARNING", step=row["step"])
    return "given_up" if row["resends"] > outbox.MOST_RESENDS else "sent_again"


def _bury(message: pool.Row) -> bool:
    """Not even its giving up came to an end: keep the letter and fail the job, in one transaction."""
    part = Part(message["job_team"], message["job_id"]) if message["job_id"] else None
    lost = ledger.StepLost()
    with pool.transaction(part.team if part else None) as tx:
        if tx.find(Q.settle_lost, id=message["id"]) is None:
            return False
        if message["key"] is not None:
            tx.run(Q.bury_lost_attempt, step=message["step"], key=message["key"])
        ledger.keep_letter(
            tx,
            ledger.Letter(
                step=message["step"],
                key=message["key"] or "",
                kind=message["kind"],
                queue=message["queue"],
                payload={"message": message["payload"]},
                code=lost.code,
                message=lost.message,
                part=part,
                trace_id=message["traceparent"].split("-")[1],
            ),
        )
        if part is not None:
            problem = {"code": lost.code, "message": lost.message, "step": message["step"]}
            jobs.finish(tx, id=part.job, team=part.team, error=problem)
    telemetry.log("a message is lost for good", "ERROR", step=message["step"], code=lost.code)
    return True


def _fail_stalled_jobs() -> int:
    with pool.transaction() as tx:
        stalled = tx.all(Q.stalled_jobs, idle=IDLE_SECONDS, most=MOST_JOBS)
    failed = 0
    problem = {"code": jobs.JobStalled.code, "message": jobs.JobStalled.title()}
    for job in stalled:
        with pool.transaction(job["team_id"]) as tx:
            done = tx.find(
                Q.fail_stalled_job, id=job["job_id"], team=job["team_id"], error=problem, idle=IDLE_SECONDS
            )
        if done is not None:
            failed += 1
            telemetry.log(
                "a job without a living step is failed", "ERROR", kind=job["kind"], job=job["job_id"]
            )
    return failed
