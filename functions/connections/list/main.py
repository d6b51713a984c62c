"""GET /v1/onboarding/connections: a team's connections, newest first."""

from shared.connections import service
from shared.connections.model import Connections, OfTeam
from shared.platform.edge import Call, http


@http("GET", "/v1/onboarding/connections", role="member", query=OfTeam)
def list(call: Call, page: OfTeam) -> Connections:
    return service.list_connections(call.team, page)
