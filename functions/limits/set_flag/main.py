"""PUT /v1/flags/{team_id}/{name}: switch a feature for a team, for a reason and until a time."""

from shared.platform.edge import Call, http
from shared.platform.ids import TeamId
from shared.platform.limits import service
from shared.platform.limits.views import Flag, NewFlag


@http("PUT", "/v1/flags/{team_id}/{name}", role="platform_admin", body=NewFlag)
def set_flag(call: Call, new: NewFlag) -> Flag:
    return service.switch(TeamId(call.path["team_id"]), call.path["name"], new, by=call.user)
