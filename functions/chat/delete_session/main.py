"""DELETE /v1/chat/sessions/{session_id}: delete a conversation and its messages."""

from shared.agents.conversation import sessions
from shared.platform.edge import Call, http


@http("DELETE", "/v1/chat/sessions/{session_id}", role="user", status=204)
def delete_session(call: Call) -> None:
    sessions.delete(call.teams, call.user, call.path["session_id"])
