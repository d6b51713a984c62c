"""PUT /v1/quotas/{team_id}/{name}: give a team another limit, for a reason and until a time."""

from shared.platform.edge import Call, http
from shared.platform.ids import TeamId
from shared.platform.limits import service
from shared.platform.limits.views import NewOverride, Quota


@http("PUT", "/v1/quotas/{team_id}/{name}", role="platform_admin", body=NewOverride)
def set_quota(call: Call, new: NewOverride) -> Quota:
    return service.override(TeamId(call.path["team_id"]), call.path["name"], new, by=call.user)
