"""POST /v1/onboarding/catalog/discover: ask a connection for its datasets."""

from shared.catalog import service
from shared.catalog.model import Discovered, Of
from shared.connections.service import team_of
from shared.platform.edge import Call, http


@http("POST", "/v1/onboarding/catalog/discover", role="member", team=team_of, query=Of)
def discover(call: Call, of: Of) -> Discovered:
    return service.discover(call.team, of.connection_id)
