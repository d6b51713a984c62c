"""POST /v1/chat/sessions/{session_id}/cancel: stop the running turn; what was streamed is kept."""

from shared.agents.turns import service as turns
from shared.agents.turns.service import CancelAccepted
from shared.platform.edge import Call, accepted, http


@http("POST", "/v1/chat/sessions/{session_id}/cancel", role="user", status=202)
def cancel_turn(call: Call) -> CancelAccepted:
    return accepted(CancelAccepted(turn_id=turns.cancel(call.teams, call.user, call.path["session_id"])))
