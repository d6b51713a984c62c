"""POST /v1/dashboards/generate: make a dashboard for a goal, streamed as the agent works."""

from collections.abc import Iterator

from shared.analyst import service
from shared.analyst.service import Generation
from shared.connections import service as connections
from shared.platform.edge import Call, Event, sse


@sse(
    "POST",
    "/v1/dashboards/generate",
    role="member",
    team=connections.team_of,
    body=Generation,
    once=True,
)
def generate(call: Call, wanted: Generation) -> Iterator[Event | None]:
    return service.generate(call, wanted)
