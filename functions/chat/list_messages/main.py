"""GET /v1/chat/sessions/{session_id}/messages: messages from the lake, newest first."""

from shared.agents.conversation import sessions
from shared.agents.conversation.sessions import MessageList, MessagePage
from shared.platform.edge import Call, http


@http("GET", "/v1/chat/sessions/{session_id}/messages", role="user", query=MessagePage, memory_mb=512)
def list_messages(call: Call, page: MessagePage) -> MessageList:
    return sessions.messages(call.teams, call.user, call.path["session_id"], page)
