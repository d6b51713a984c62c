"""GET /v1/chat/sessions/current: the active conversation with the newest message."""

from shared.agents.conversation import sessions
from shared.agents.conversation.sessions import SessionManifest
from shared.platform.edge import Call, http


@http("GET", "/v1/chat/sessions/current", role="user")
def current_session(call: Call) -> SessionManifest:
    return sessions.current(call.teams, call.user)
