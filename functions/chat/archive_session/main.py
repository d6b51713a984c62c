"""POST /v1/chat/sessions/{session_id}/archive: take a conversation out of `current`."""

from shared.agents.conversation import sessions
from shared.platform.edge import Call, http


@http("POST", "/v1/chat/sessions/{session_id}/archive", role="user", status=204)
def archive_session(call: Call) -> None:
    sessions.archive(call.teams, call.user, call.path["session_id"])
