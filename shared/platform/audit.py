"""The append-only record of changes to membership, connections, credentials, policies, limits and links."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import BaseModel, Field

from shared.platform.clock import iso
from shared.platform.ids import new_id
from shared.platform.paging import Instant, Page, cut
from shared.platform.postgres import pool, sql
from shared.platform.telemetry import context as telemetry
from shared.platform.text import strict_json

Q = sql.load(__file__)


class AuditFilter(Page):
    """Which entries."""

    team_id: str | None = Field(default=None, max_length=36, description="Needed by who has several teams.")
    action: str | None = Field(default=None, max_length=80, description="Such as connection.created.")
    actor: str | None = Field(default=None, max_length=80, description="The id of who did it.")
    target: str | None = Field(
        default=None, max_length=200, description="The id or name of what was changed."
    )
    since: Instant | None = Field(default=None, alias="from", description="At or after this instant.")
    before: Instant | None = Field(default=None, alias="to", description="Before this instant.")


class AuditEntry(BaseModel):
    """One change. What was changed is kept as hashes: they tell whether two states were equal."""

    id: str
    actor: str
    action: str
    target: str
    reason: str | None
    before_sha256: str | None
    after_sha256: str | None
    correlation_id: str
    created_at: str | None


class AuditEntries(BaseModel):
    """A page of the audit log, newest first."""

    entries: list[AuditEntry]
    has_more: bool
    next_cursor: str | None


def write(
    tx: pool.Tx,
    *,
    team: str,
    actor: str,
    action: str,
    target: str,
    before: Any = None,
    after: Any = None,
    reason: str | None = None,
) -> None:
    """Add one line in the transaction of the change. Values are kept as hashes only; a reason is kept as it is."""
    tx.run(
        Q.write_audit,
        id=new_id(),
        team=team,
        actor=actor,
        action=action,
        target=target,
        before=_sha(before),
        after=_sha(after),
        reason=reason,
        correlation_id=telemetry.context().correlation_id,
    )


def page(team: str, only: AuditFilter) -> AuditEntries:
    """A page of a team's entries, newest first."""
    at, id = only.after("instant", "id")
    with pool.transaction(team) as tx:
        rows = tx.all(
            Q.list_audit,
            team=team,
            action=only.action,
            actor=only.actor,
            target=only.target,
            since=only.since,
            before=only.before,
            after_at=at,
            after_id=id,
            most=only.limit + 1,
            offset=only.offset,
        )
    kept, paging = cut(rows, only.limit, "created_at", "id")
    entries = [AuditEntry(**row | {"created_at": iso(row["created_at"])}) for row in kept]
    return AuditEntries(entries=entries, **paging)


def _sha(value: Any) -> str | None:
    return None if value is None else hashlib.sha256(strict_json.canonical(value)).hexdigest()
