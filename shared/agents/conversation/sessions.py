"""Conversations: who has them, what they cost, where their messages lie. Only the owner sees one."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.agents import store
from shared.agents.conversation import log
from shared.agents.flow import PurgeSession
from shared.platform import paging
from shared.platform.background import outbox
from shared.platform.clock import iso
from shared.platform.cloud import objects
from shared.platform.edge import Call
from shared.platform.errors import NotFound
from shared.platform.ids import TeamId, UserId
from shared.platform.postgres import pool

Status = Literal["active", "archived", "error"]
ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
PURGE_DELAY_SECONDS = 30.0
"""A runner that has not yet noticed the deletion may still be writing an object."""


class NewSession(BaseModel):
    """The body of `POST /v1/chat/sessions`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team_id: str | None = Field(default=None, pattern=ID, description="Needed by members of several teams.")
    provider: str | None = Field(default=None, max_length=40, description="Default: the configured one.")
    model: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,99}$")
    tools: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]] | None = Field(
        default=None,
        max_length=64,
        description="Only these tools are offered; default: all that you may use.",
    )


class SessionManifest(BaseModel):
    """A session as it is answered; the messages are in the lake."""

    session_id: str
    team_id: str
    user_id: str
    connection_id: str | None
    dashboard_id: str | None
    gcs_path: str
    gcs_messages_uri: str
    summary: str | None
    provider: str
    model: str
    tools: list[str] | None
    total_tokens: int
    total_cost_usd: float
    status: Status
    created_at: str
    updated_at: str
    last_message_at: str


class SessionList(BaseModel):
    """A page of sessions, newest message first."""

    sessions: list[SessionManifest]
    has_more: bool
    next_cursor: str | None


class SessionPage(paging.Page):
    """Which sessions to list."""

    status: Status | None = Field(default=None, description="Only sessions in this state.")


class MessagePage(paging.Query):
    """Which messages to read."""

    limit: int = Field(default=50, ge=1, le=1000, description="Most messages to answer.")
    offset: int = Field(default=0, ge=0, le=1_000_000, description="Messages to skip, from the newest.")
    role: Literal["user", "assistant", "tool"] | None = Field(default=None, description="Only this role.")


class MessageView(BaseModel):
    """One line of the message log."""

    model_config = ConfigDict(extra="allow")

    id: str
    turn_id: str
    role: Literal["user", "assistant", "tool"]
    created_at: str
    text: str
    content: list[dict[str, Any]]


class MessageList(BaseModel):
    """Messages, newest first; `warnings` says what could not be read."""

    messages: list[MessageView]
    total_count: int
    has_more: bool
    warnings: list[dict[str, str]]


def create(
    team: TeamId,
    user: UserId,
    *,
    id: str,
    provider: str,
    model: str,
    tools: Iterable[str] | None = None,
    connection_id: str | None = None,
) -> SessionManifest:
    """Begin a conversation; the same id again answers the first one."""

    def insert() -> SessionManifest:
        with pool.transaction(team) as tx:
            store.add_session(
                tx,
                id=id,
                team=team,
                user=user,
                connection=connection_id,
                provider=provider,
                model=model,
                tools=None if tools is None else sorted(set(tools)),
                uri=objects.uri("sessions", log.chunk_name(id, 1)),
            )
            return _manifest(store.get_session(tx, id, user))

    return pool.surely(insert)


def get(teams: list[TeamId], user: UserId, session_id: str) -> SessionManifest:
    """The session; raises NotFound for anyone but its owner."""
    with pool.transaction(teams) as tx:
        return _manifest(store.get_session(tx, session_id, user))


def current(teams: list[TeamId], user: UserId) -> SessionManifest:
    """The active session with the newest message; raises NotFound where there is none."""
    with pool.transaction(teams) as tx:
        rows = store.list_sessions(tx, user, status="active", after=[None, None], most=1)
    if not rows:
        raise NotFound("You have no active conversation.")
    return _manifest(rows[0])


def list_page(teams: list[TeamId], user: UserId, page: SessionPage) -> SessionList:
    """The user's own sessions, newest message first."""
    with pool.transaction(teams) as tx:
        rows = store.list_sessions(
            tx,
            user,
            status=page.status,
            after=page.after("instant", "id"),
            most=page.limit + 1,
            offset=page.offset,
        )
    shown, paged = paging.cut(rows, page.limit, "last_message_at", "id")
    return SessionList(sessions=[_manifest(row) for row in shown], **paged)


def messages(teams: list[TeamId], user: UserId, session_id: str, page: MessagePage) -> MessageList:
    """Messages of a session from the lake, newest first."""
    with pool.transaction(teams) as tx:
        row = store.get_session(tx, session_id, user)
    counts = {role: int(row[f"{role}_messages"]) for role in log.ROLES}
    total = sum(counts.values()) if page.role is None else counts[page.role]
    found = log.newest(
        session_id, int(row["log_chunk"]), limit=page.limit, offset=page.offset, role=page.role
    )
    return MessageList(
        messages=[MessageView.model_validate(line) for line in found.lines],
        total_count=total,
        has_more=page.offset + len(found.lines) < total,
        warnings=found.warnings,
    )


def archive(teams: list[TeamId], user: UserId, session_id: str) -> None:
    """Take the session out of `current`; it stays readable."""
    with pool.transaction(teams) as tx:
        if not store.archive_session(tx, session_id, user):
            raise NotFound


def delete(teams: list[TeamId], user: UserId, session_id: str) -> None:
    """Delete the session; its objects follow by a step. A running turn finds out at its next write."""
    with pool.transaction(teams) as tx:
        team = store.remove_session(tx, session_id, user)
        outbox.send(
            tx, PurgeSession(team=TeamId(team), session=session_id), delay_seconds=PURGE_DELAY_SECONDS
        )


def purge(step: PurgeSession) -> None:
    """Remove what a deleted session left in the lake; a repetition finds less to do."""
    for stored in objects.listing("sessions", objects.safe_name(step.session) + "/"):
        objects.delete("sessions", stored.name)


def team_of(call: Call) -> TeamId:
    """The team of the session that a request names in its path or body; NotFound for anyone but the owner."""
    session_id = call.path.get("session_id") or getattr(call.body, "session_id", None)
    if session_id is None:
        raise NotFound
    with pool.transaction(call.teams) as tx:
        return TeamId(store.get_session(tx, str(session_id), call.user)["team_id"])


def link_dashboard(tx: pool.Tx | None, team: TeamId, session_id: str, dashboard_id: str) -> None:
    """Point the session at the dashboard that it made, in the caller's transaction if there is one."""
    if tx is not None:
        store.link_dashboard(tx, team, session_id, dashboard_id)
        return
    with pool.transaction(team) as own:
        store.link_dashboard(own, team, session_id, dashboard_id)


def use_connection(team: TeamId, session_id: str, connection_id: str) -> None:
    """Remember which connection the conversation is about."""
    with pool.transaction(team) as tx:
        store.use_connection(tx, team, session_id, connection_id)


def _manifest(row: pool.Row) -> SessionManifest:
    return SessionManifest(
        session_id=row["id"],
        team_id=row["team_id"],
        user_id=row["user_id"],
        connection_id=row["connection_id"],
        dashboard_id=row["dashboard_id"],
        gcs_path=row["gcs_messages_uri"],
        gcs_messages_uri=row["gcs_messages_uri"],
        summary=row["summary"],
        provider=row["provider"],
        model=row["model"],
        tools=row["tools"],
        total_tokens=int(row["total_tokens"]),
        total_cost_usd=float(Decimal(row["total_cost_usd"]).quantize(Decimal("0.0001"))),
        status=row["status"],
        created_at=str(iso(row["created_at"])),
        updated_at=str(iso(row["updated_at"])),
        last_message_at=str(iso(row["last_message_at"])),
    )
