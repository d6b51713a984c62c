"""POST /v1/chat/sessions/{session_id}/stream: say something to the agent and watch it work."""

from collections.abc import Iterator

from shared.agents.conversation import sessions
from shared.analyst import service
from shared.analyst.service import ChatMessage
from shared.platform.edge import Call, Event, sse


@sse(
    "POST",
    "/v1/chat/sessions/{session_id}/stream",
    "/v1/chat",
    role="member",
    team=sessions.team_of,
    body=ChatMessage,
    once=True,
)
def stream(call: Call, said: ChatMessage) -> Iterator[Event | None]:
    return service.chat(call, said)
