"""DELETE /v1/quotas/{team_id}/{name}: take a team's override away; the default holds again."""

from shared.platform.edge import Call, http
from shared.platform.ids import TeamId
from shared.platform.limits import service


@http("DELETE", "/v1/quotas/{team_id}/{name}", role="platform_admin", status=204)
def remove_quota(call: Call) -> None:
    service.remove_override(TeamId(call.path["team_id"]), call.path["name"], by=call.user)
