"""DELETE /v1/flags/{team_id}/{name}: take a team's switch away; the environment's value holds again."""

from shared.platform.edge import Call, http
from shared.platform.ids import TeamId
from shared.platform.limits import service


@http("DELETE", "/v1/flags/{team_id}/{name}", role="platform_admin", status=204)
def remove_flag(call: Call) -> None:
    service.remove_switch(TeamId(call.path["team_id"]), call.path["name"], by=call.user)
