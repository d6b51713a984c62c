"""POST /v1/onboarding/catalog/scan: read the shape of a connection's datasets."""

from shared.catalog import scan as chain
from shared.catalog.model import NewScan
from shared.connections.service import team_of
from shared.platform.background.jobs import JobAccepted
from shared.platform.edge import Call, accepted, http


@http(
    "POST",
    "/v1/onboarding/catalog/scan",
    role="member",
    team=team_of,
    body=NewScan,
    once=True,
    status=202,
)
def scan(call: Call, new: NewScan) -> JobAccepted:
    return accepted(chain.start(new, team=call.team, user=call.user, id=call.new_id()))
