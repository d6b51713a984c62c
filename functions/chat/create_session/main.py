"""POST /v1/chat/sessions: begin a conversation."""

from shared.agents.conversation import sessions
from shared.agents.conversation.sessions import NewSession, SessionManifest
from shared.agents.providers import choose
from shared.platform.edge import Call, created, http


@http("POST", "/v1/chat/sessions", role="member", body=NewSession, once=True, status=201)
def create_session(call: Call, new: NewSession) -> SessionManifest:
    provider, model = choose.chosen(new.provider, new.model)
    return created(
        sessions.create(
            call.team, call.user, id=call.new_id(), provider=provider, model=model, tools=new.tools
        )
    )
