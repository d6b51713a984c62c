"""The dashboard agent: chat and generation are the same turn, begun by two doors.

    message ─► session, connection ─► turn (agents) ─► provider ⇄ tools ─► … dashboard_created ─► complete

What a turn needs is put together again when another process takes it over: provider and model from the session, the
connection from the ask, the rest from the directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.agents.conversation import blocks, facts, sessions
from shared.agents.conversation.sessions import SessionManifest
from shared.agents.flow import ResumeTurn
from shared.agents.loop.agent import Agent
from shared.agents.loop.toolbox import Toolbox
from shared.agents.protocol.model import Provider, SystemBlock
from shared.agents.providers import choose
from shared.agents.turn.state import Ask, Turn
from shared.agents.turns import service as turns
from shared.analyst.builtin.desk import CONTEXT_BLOCK
from shared.catalog import service as catalog
from shared.connections import service as connections
from shared.platform.edge import Call, Event
from shared.platform.errors import ValidationFailed
from shared.platform.ids import TeamId, UserId
from shared.platform.paging import Page
from shared.platform.text import strict_json

ID = Annotated[str, StringConstraints(pattern=sessions.ID)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8_000)]
BLOCKS = (
    "system_prompt_dashboard_creation",
    "{dialect}_best_practices",
    "dashboard_layout_rules",
    "context_budget_policy",
)
"""Blocks of the prompt; what is said of SQL depends on the connection's dialect."""
SCHEMA_BLOCK = "{dialect}_schema_context"
MOST_SCHEMA = 24_000
"""Characters of the catalog's summary that stand in a prompt; the tools tell the rest."""


class ChatMessage(BaseModel):
    """A message to the agent. `session_id` stands in the path, or here for `POST /v1/chat`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: Words
    session_id: ID | None = None
    connection_id: ID | None = None
    tools: list[Annotated[str, StringConstraints(max_length=64)]] | None = Field(default=None, max_length=64)


class Generation(BaseModel):
    """A goal to make a dashboard for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection_id: ID
    user_prompt: Words
    session_id: ID | None = None


def chat(call: Call, said: ChatMessage) -> Iterator[Event | None]:
    """Answer a message of a conversation; raises before the first event what is wrong with the request."""
    session = sessions.get(call.teams, call.user, str(call.path.get("session_id") or said.session_id))
    connection = _connection(call.team, said.connection_id or session.connection_id)
    tools = _tools(session, said.tools)
    return _turn(call, session, Ask(said.message, connection, tools))


def generate(call: Call, wanted: Generation) -> Iterator[Event | None]:
    """Make a dashboard for a goal, in a conversation of its own unless one is named."""
    connection = _connection(call.team, wanted.connection_id)
    if wanted.session_id is None:
        provider, model = choose.chosen(None, None)
        session = sessions.create(
            call.team,
            call.user,
            id=call.new_id(),
            provider=provider,
            model=model,
            tools=None,
            connection_id=connection,
        )
    else:
        session = sessions.get(call.teams, call.user, wanted.session_id)
        if session.team_id != call.team:
            raise ValidationFailed(
                "The conversation belongs to another team than the connection.",
                field="session_id",
                reason="another team",
            )
    return _turn(
        call, session, Ask(wanted.user_prompt, connection, _tools(session, None), purpose="generate")
    )


def resume(step: ResumeTurn) -> None:
    """Look after a turn whose process may have died."""
    turns.resume(step, assemble)


def assemble(turn: Turn) -> Agent:
    """All that a turn works with."""
    from shared.analyst.builtin.provider import Builtin
    from shared.analyst.tools import offered

    session = sessions.get([turn.team], turn.user, turn.session_id)
    connection = connections.open_warehouse(turn.team, str(turn.ask.connection_id))
    toolbox = Toolbox(
        offered.tools(),
        connection_id=connection.id,
        catalog_version=connection.catalog_version,
        credentials_generation=connection.credentials_generation,
    )
    builtin: tuple[Provider, str] = (Builtin(), choose.BUILTIN_MODEL)
    remote = choose.configured() if session.provider != choose.BUILTIN else None
    context = SystemBlock(CONTEXT_BLOCK, _context(turn, connection.name, connection.warehouse.dialect.name))
    return Agent(
        provider=remote or builtin[0],
        model=session.model if remote else builtin[1],
        system=(context,)
        if remote is None
        else blocks.order((*_prompt(turn, connection.id, connection.warehouse.dialect.name), context)),
        toolbox=toolbox.offer(turn.ask.tools),
        fallback=builtin if remote else None,
        purpose=turn.ask.purpose,
        closing=_closing,
    )


def suggestions(team: TeamId, connection: str) -> list[str]:
    """First questions that the catalog of a connection can answer."""
    from shared.analyst.builtin import suggest
    from shared.analyst.builtin.view import Table, View, read_table

    opened = connections.open_warehouse(team, connection)
    listed = catalog.list_tables(team, opened.id)
    largest = sorted(listed, key=lambda entry: (-(entry.row_count or 0), entry.fully_qualified_name))[:30]
    shapes = catalog.shapes(team, opened.id, [entry.fully_qualified_name for entry in largest])
    tables: list[Table] = [
        read_table(
            shape.model_dump() | {
                "table": name,
                "dialect": opened.warehouse.dialect.name,
                "columns": [column.model_dump() | {"type": column.data_type} for column in shape.columns],
            }
        )
        for name, shape in sorted(shapes.items())
    ]  # fmt: skip
    return suggest.questions(View(tuple(tables)))


def _turn(call: Call, session: SessionManifest, ask: Ask) -> Iterator[Event | None]:
    team, user = TeamId(session.team_id), UserId(session.user_id)
    if ask.connection_id != session.connection_id and ask.connection_id is not None:
        sessions.use_connection(team, session.session_id, ask.connection_id)
    started = turns.start(
        team=team,
        user=user,
        session_id=session.session_id,
        turn_id=call.new_id(),
        ask=ask,
        credential=call.who.credential_id,
    )
    return turns.stream(started, assemble)


def _connection(team: TeamId, given: str | None) -> str:
    """The connection to use: the one that is named, else the team's only one. It must be validated."""
    if given is None:
        found = [
            line
            for line in connections.list_connections(team, Page(limit=50)).connections
            if line.status == "validated"
        ]
        if len(found) != 1:
            reason = "no connection is validated yet" if not found else "the team has several"
            raise ValidationFailed(
                f"Name the connection to work with: {reason}.", field="connection_id", reason=reason
            )
        return found[0].id
    return connections.open_warehouse(team, given).id


def _tools(session: SessionManifest, given: Sequence[str] | None) -> tuple[str, ...] | None:
    """The tools of the turn: the session's, narrowed by the message's."""
    from shared.analyst.tools import offered

    known = {tool.name for tool in offered.tools()}
    for name in (*(given or ()), *(session.tools or ())):
        if name not in known:
            raise ValidationFailed(
                f"There is no tool {name!r}. The tools are: {', '.join(sorted(known))}.",
                field="tools",
                reason="unknown tool",
            )
    if given is None:
        return None if session.tools is None else tuple(session.tools)
    return tuple(name for name in given if session.tools is None or name in session.tools)


def _context(turn: Turn, connection: str, dialect: str) -> str:
    from shared.analyst.tools.dashboards import CURRENT, current_dashboard

    lines = {"connection": connection, "dialect": dialect}
    known = facts.value(turn.team, turn.session_id, CURRENT, current_dashboard())
    if known is not None:
        lines["dashboard"] = str(known["slug"])
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


@cache
def _document_schema() -> str:
    """The document's JSON Schema, made from the model so that the two can't drift."""
    from shared.dashboards.document.model import Document

    return strict_json.dumps(Document.model_json_schema()).decode()


def _prompt(turn: Turn, connection: str, dialect: str) -> list[SystemBlock]:
    """The instructions of a model: prompt blocks, the document's schema, the catalog in short."""
    names = [name.format(dialect=dialect) for name in BLOCKS]
    found = [*blocks.active(names), SystemBlock("dashboard_yaml_schema", _document_schema(), "1h")]
    (template,) = blocks.active((SCHEMA_BLOCK.format(dialect=dialect),))
    summary = _catalog_in_short(turn.team, connection)
    found.append(SystemBlock(template.name, template.text.replace("{schema}", summary), template.cache))
    return found


def _catalog_in_short(team: TeamId, connection: str) -> str:
    lines: list[str] = []
    for entry in catalog.list_tables(team, connection):
        lines.append(
            f"{entry.fully_qualified_name} ({entry.row_count if entry.row_count is not None else '?'} rows)"
        )
    text = "\n".join(lines)
    return (
        text
        if len(text) <= MOST_SCHEMA
        else text[:MOST_SCHEMA].rsplit("\n", 1)[0] + "\n… use search_catalog for the rest"
    )


def _closing(emitted: Sequence[tuple[str, Mapping[str, Any]]]) -> Mapping[str, Any]:
    """The last dashboard that the turn made belongs to its last event."""
    made = [data for kind, data in emitted if kind == "dashboard_created"]
    return {"dashboard_slug": made[-1]["slug"]} if made else {}
