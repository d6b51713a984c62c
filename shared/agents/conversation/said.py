"""What the person said in a conversation, by the server's own records: no model can add to it."""

from __future__ import annotations

from collections.abc import Iterator

from shared.agents import store
from shared.agents.conversation import log
from shared.platform.ids import TeamId, UserId
from shared.platform.postgres import pool

MOST_MESSAGES = 200
"""How far back a conversation's messages count."""


def by_person(team: TeamId, user: UserId, session_id: str, turn_id: str) -> Iterator[str]:
    """The message of this turn, then those before it, newest first."""
    with pool.transaction(team) as tx:
        session = store.get_session(tx, session_id, user)
        turn = store.find_turn(tx, turn_id)
    if turn is not None and turn["session_id"] == session_id and turn["ask"] is not None:
        yield str(turn["ask"]["message"])
    found = log.newest(session_id, int(session["log_chunk"]), limit=MOST_MESSAGES, role="user")
    for line in found.lines:
        if line["turn_id"] != turn_id:
            yield str(line["text"])


def this_message(team: TeamId, turn_id: str) -> str:
    """The message of a turn that runs; empty where it has none."""
    with pool.transaction(team) as tx:
        turn = store.find_turn(tx, turn_id)
    return "" if turn is None or turn["ask"] is None else str(turn["ask"]["message"])


def turn_before(team: TeamId, session_id: str, turn_id: str) -> str | None:
    """The turn of the conversation that came right before this one."""
    with pool.transaction(team) as tx:
        return store.find_turn_before(tx, team, session_id, turn_id)
