"""Dead letters: steps that were given up, seen and replayed by administrators of the platform.

A replay is a new message in the transaction that gives the dead step a fresh set of attempts and lets its
job go on: all of it or nothing, and once for each letter. What is shown of a payload is names, numbers and
ids; a person's choices and a warehouse's sentences may hold values of rows and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.platform import audit
from shared.platform.background import jobs, outbox
from shared.platform.clock import iso
from shared.platform.errors import Conflict, MalformedEvent
from shared.platform.ids import UserId, is_id
from shared.platform.ops.titles import known as titles
from shared.platform.paging import Page, cut
from shared.platform.postgres import pool, sql
from shared.platform.telemetry import context as telemetry

Q = sql.load(__file__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@#+-]{0,299}\Z")


class NotReplayable(Conflict):
    """This dead letter can't be replayed."""

    code = "NOT_REPLAYABLE"


class LetterPage(Page):
    """Which dead letters to list."""

    step: str | None = Field(default=None, max_length=120, description="Only of this step.")
    code: str | None = Field(default=None, max_length=120, description="Only with this error code.")
    replayed: bool | None = Field(default=None, description="Only those that were replayed, or were not.")


class DeadLetter(BaseModel):
    """A step that was given up."""

    id: str
    step: str
    kind: Literal["task", "event", "scheduled"]
    key: str
    error_code: str
    error_title: str
    payload: dict[str, Any]
    job_id: str | None
    trace_id: str
    created_at: str
    replayable: bool
    reason: str | None
    """Why it can't be replayed."""
    replayed_at: str | None
    replayed_by: str | None
    replay_message_id: str | None


class DeadLetters(BaseModel):
    """A page of dead letters, newest first."""

    dead_letters: list[DeadLetter]
    has_more: bool
    next_cursor: str | None


def list_page(page: LetterPage) -> DeadLetters:
    """A page of dead letters of every team, newest first."""
    at, id = page.after("instant", "id")
    with pool.transaction() as tx:
        rows = tx.all(
            Q.list_letters,
            step=page.step,
            code=page.code,
            replayed=page.replayed,
            after_at=at,
            after_id=id,
            limit=page.limit + 1,
            offset=page.offset,
        )
    shown, paging = cut(rows, page.limit, "created_at", "id")
    return DeadLetters(dead_letters=[_view(row) for row in shown], **paging)


def replay(id: str, *, user: UserId) -> DeadLetter:
    """Send the dead step again, with a fresh set of attempts; a repetition answers as the first did.

    Raises NotFound, and NotReplayable with the reason. A job that had ended goes on.
    """
    with pool.transaction() as tx:
        team = tx.one(Q.find_letter, id=id)["job_team"]
    with pool.transaction(team) as tx:
        letter = tx.one(Q.lock_letter, id=id)
        if letter["replayed_at"] is not None:
            return _view(letter)
        if (reason := _hindrance(letter)) is not None:
            raise NotReplayable(reason=reason)
        _revive(tx, letter)
        if letter["job_id"] is not None:
            if not jobs.reopen(
                tx, id=letter["job_id"], team=team, child=letter["job_child"], step=letter["step"]
            ):
                raise NotReplayable(reason="its job was cancelled, or is gone")
            audit.write(tx, team=team, actor=user, action="dead_letter.replayed", target=id)
        sent = outbox.send_again(tx, letter)
        done = tx.one(Q.mark_replayed, id=id, by=user, replay=sent)
    telemetry.log("a dead letter is replayed", "NOTICE", step=letter["step"], letter=id, by=user)
    return _view(done)


def _revive(tx: pool.Tx, letter: pool.Row) -> None:
    """Give the attempt back. One that is gone needs nothing: its message begins anew."""
    if tx.run(Q.revive_attempt, step=letter["step"], key=letter["key"]):
        return
    attempt = tx.find(Q.attempt_of, step=letter["step"], key=letter["key"])
    if attempt is not None:
        raise NotReplayable(reason=f"the step is {attempt['state']} by now")


def _hindrance(letter: Mapping[str, Any]) -> str | None:
    """Why a letter can't be replayed, or None."""
    if letter["error_code"] == MalformedEvent.code or "message" not in letter["payload"]:
        return "the delivery could not be read, and would not be read the next time either"
    return None


def _view(row: Mapping[str, Any]) -> DeadLetter:
    hindrance = _hindrance(row)
    return DeadLetter(
        id=row["id"],
        step=row["step"],
        kind=row["kind"],
        key=row["key"],
        error_code=row["error_code"],
        error_title=titles.title(row["error_code"]),
        payload=_shown(row["payload"].get("message", {})),
        job_id=row["job_id"],
        trace_id=row["trace_id"],
        created_at=str(iso(row["created_at"])),
        replayable=hindrance is None and row["replayed_at"] is None,
        reason=hindrance or ("it was replayed" if row["replayed_at"] else None),
        replayed_at=iso(row["replayed_at"]),
        replayed_by=row["replayed_by"],
        replay_message_id=row["replay_id"],
    )


def _shown(message: Mapping[str, Any]) -> dict[str, Any]:
    """The payload without what could be somebody's data: plain names, ids and numbers stay."""
    return {name: _plain(value) for name, value in message.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if is_id(value) or _NAME.match(value) else f"({len(value)} characters)"
    return f"({len(value)} {'fields' if isinstance(value, dict) else 'items'})"
