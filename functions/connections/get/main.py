"""GET /v1/onboarding/connections/{connection_id}: state, last validation, size of the catalog."""

from shared.connections import service
from shared.connections.model import ConnectionDetails
from shared.platform.edge import Call, http


@http("GET", "/v1/onboarding/connections/{connection_id}", role="member", team=service.team_of)
def get(call: Call) -> ConnectionDetails:
    return service.get(call.team, call.path["connection_id"])
