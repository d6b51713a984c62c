"""What the agent may write over: a model's word is never enough, whoever controls the model.

    a new dashboard ────────────────────────────────────────────► saved
    one that this conversation made, or is bound to ────────────► saved
    one that the person named in their own words (`naming`) ────► saved
    any other ─► nothing is saved; the person is asked what would change
                   └─ the next message says yes ─► this very document is saved, over this very generation

All of it is read from the server's own records: the rows, the facts of the conversation, and what the person
wrote. A tool that writes asks here first; it is the only place that says yes.
"""

from __future__ import annotations

import hashlib
from typing import Any

from shared.agents.conversation import facts, said, sessions
from shared.agents.protocol.model import ToolContext, ToolFailed
from shared.analyst.tools import naming
from shared.dashboards import indexing, reading, service
from shared.dashboards import store as dashboards
from shared.dashboards.document import changes
from shared.dashboards.document.model import Document
from shared.platform.errors import NotFound
from shared.platform.postgres import pool
from shared.platform.text import strict_json

OURS = "own_dashboard"
"""The kind of fact that a dashboard, by its id, was made in a conversation, or changed in it with consent."""
ASKED = "asked_to_replace"
"""The kind of fact that a turn asked the person whether a dashboard may be replaced, and with what."""
QUESTION = "question"
"""The kind of fact that a turn asked the person something else."""
YES, NO = "Yes, replace it", "No, keep it"
MOST_CHANGES = 6


def key(text: str) -> str:
    """Under which a fact about the thing of this name or id is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def require(context: ToolContext, document: Document, *, save: str, expected: int | None) -> None:
    """Raise ToolFailed unless the conversation may save this document under its slug, as the save of this id.

    Where the person must be asked, they are: the question is in the turn's stream. A save that expects no
    generation makes a dashboard or is refused by the service: nothing can be written over by it.
    """
    with pool.transaction(context.team) as tx:
        row = dashboards.find(tx, context.team, document.slug)
        done = dashboards.find_version(tx, context.team, save)
    if expected is None:
        # Before it is there: who takes the turn over must know whose it is. The id is this save's own.
        note_ours(context, indexing.dashboard_id(save))
    elif done is not None or row is None:
        return  # A repetition of what was allowed; or there is nothing to write over, which the service says.
    else:
        service.require_owner(row, context.user, admin=False)
        if not (_is_ours(context, row) or _is_named(context, row) or _is_confirmed(context, row, document)):
            _ask(context, row, document)


def note_ours(context: ToolContext, dashboard: str) -> None:
    """Remember that the conversation made this dashboard, or changed it with the person's consent."""
    facts.record(context.team, context.session_id, OURS, key(dashboard))


def question_is_open(context: ToolContext) -> bool:
    """Whether this turn has asked the person whether something may be replaced. Notes that it asks something
    now.
    """
    asked = facts.value(context.team, context.session_id, ASKED, key(context.turn_id))
    if asked is None:
        facts.record(context.team, context.session_id, QUESTION, key(context.turn_id))
    return asked is not None


def _is_ours(context: ToolContext, row: pool.Row) -> bool:
    session = sessions.get([context.team], context.user, context.session_id)
    if session.dashboard_id == row["id"]:
        return True
    return facts.value(context.team, context.session_id, OURS, key(row["id"])) is not None


def _is_named(context: ToolContext, row: pool.Row) -> bool:
    spoken = said.by_person(context.team, context.user, context.session_id, context.turn_id)
    return any(naming.names(message, row["slug"], row["title"]) for message in spoken)


def _is_confirmed(context: ToolContext, row: pool.Row, document: Document) -> bool:
    """Whether the turn before asked about exactly this, and the person's message is a yes."""
    before = said.turn_before(context.team, context.session_id, context.turn_id)
    if before is None or not naming.agrees(said.this_message(context.team, context.turn_id)):
        return False
    return facts.value(context.team, context.session_id, ASKED, key(before)) == _wish(row, document)


def _wish(row: pool.Row, document: Document) -> dict[str, Any]:
    content = strict_json.canonical(reading.as_data(document)).decode()
    return {"dashboard": row["id"], "generation": int(row["object_generation"]), "document": key(content)}


def _ask(context: ToolContext, row: pool.Row, document: Document) -> None:
    """Put the one question of the turn to the person, and refuse."""
    name, turn = f"{row['title']} (/dash/{row['slug']})", key(context.turn_id)
    asked = facts.value(context.team, context.session_id, ASKED, turn)
    wish = _wish(row, document)
    other = facts.value(context.team, context.session_id, QUESTION, turn)
    refused = (
        f"Nothing was saved: {name} was not made in this conversation, "
        "and the person has not named it as one to change."
    )
    if other is not None or asked not in (None, wish):
        raise ToolFailed(
            f"{refused} They have been asked something else in this turn; end it, and save once they have "
            "answered.",
            code="CONFIRMATION_NEEDED",
        )
    lines = _changes(context, row, document)
    facts.record(context.team, context.session_id, ASKED, turn, wish)
    question = f"Shall {name} be replaced? What would change: {'; '.join(lines)}."
    context.emit(
        "question",
        {
            "question": question,
            "options": [YES, NO],
            "replaces": {"slug": row["slug"], "title": row["title"]},
        },
    )
    raise ToolFailed(
        f"{refused} They are being asked now: end the turn without another question. After a yes, save "
        "exactly this document in the next turn; or save it under another slug.",
        code="CONFIRMATION_NEEDED",
        details={"slug": row["slug"], "title": row["title"], "changes": lines},
    )


def _changes(context: ToolContext, row: pool.Row, document: Document) -> list[str]:
    try:
        text, _ = service.text_of(context.team, row["slug"])
    except NotFound:
        return ["its document is gone, and this one takes its place"]
    lines = changes.summarize(reading.parse(text).document, document)
    more = len(lines) - MOST_CHANGES
    return lines if more <= 0 else [*lines[:MOST_CHANGES], f"and {more} more"]
