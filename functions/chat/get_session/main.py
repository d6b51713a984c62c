"""GET /v1/chat/sessions/{session_id}: a conversation's manifest with its totals."""

from shared.agents.conversation import sessions
from shared.agents.conversation.sessions import SessionManifest
from shared.platform.edge import Call, http


@http("GET", "/v1/chat/sessions/{session_id}", role="user")
def get_session(call: Call) -> SessionManifest:
    return sessions.get(call.teams, call.user, call.path["session_id"])
