"""GET /v1/flags: which features a team has."""

from shared.platform.edge import Call, http
from shared.platform.limits import service
from shared.platform.limits.views import Flags, OfTeam


@http("GET", "/v1/flags", role="member", query=OfTeam)
def list_flags(call: Call) -> Flags:
    return service.list_flags(call.team)
