"""GET /v1/chat/sessions/{session_id}/turns/{turn_id}/events: a turn's events, what was missed and then live."""

from collections.abc import Iterator

from shared.agents.turns import service as turns
from shared.platform.edge import Call, Event, sse


@sse("GET", "/v1/chat/sessions/{session_id}/turns/{turn_id}/events", role="user")
def turn_events(call: Call) -> Iterator[Event | None]:
    after = turns.last_event_id(call.headers)
    return turns.follow(call.teams, call.user, call.path["session_id"], call.path["turn_id"], after)
