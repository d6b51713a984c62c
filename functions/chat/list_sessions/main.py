"""GET /v1/chat/sessions: the caller's conversations, newest message first."""

from shared.agents.conversation import sessions
from shared.agents.conversation.sessions import SessionList, SessionPage
from shared.platform.edge import Call, http


@http("GET", "/v1/chat/sessions", role="user", query=SessionPage)
def list_sessions(call: Call, page: SessionPage) -> SessionList:
    return sessions.list_page(call.teams, call.user, page)
