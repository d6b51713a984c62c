"""The chain of a turn.

    POST …/stream, POST …/generate ─ turn row + lease + ResumeTurn (one transaction) ─► runs in the request
      └─ ResumeTurn (about 20 s later) ──► chat/resume_turn
           ├─ turn is over ───────► nothing
           ├─ lease is alive ─────► ResumeTurn (check + 1), when the lease could have ended
           └─ lease has ended ────► takes the turn over, from its journal
    DELETE …/{session_id} ─ PurgeSession ──► chat/purge_session: its objects leave the lake

A live turn re-arms its watch instead of answering 503: a queue slows down as a whole when a task
answers 503, and its limit of attempts would end a long turn.
"""

from shared.platform.background.messages import Message
from shared.platform.ids import TeamId


class ResumeTurn(Message, step="chat-resume-turn", queue="chat"):
    """Look after a turn: continue it if the process that had it is gone."""

    team: TeamId
    turn: str
    check: int = 0


class PurgeSession(Message, step="chat-purge-session", queue="chat"):
    """Remove the objects of a session that was deleted."""

    team: TeamId
    session: str
