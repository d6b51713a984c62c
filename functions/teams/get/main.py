"""GET /v1/onboarding/teams/{team_id}: a team with its settings and counts."""

from shared.platform.edge import Call, http
from shared.teams import service
from shared.teams.model import TeamDetails


@http("GET", "/v1/onboarding/teams/{team_id}", role="member")
def get(call: Call) -> TeamDetails:
    return service.get(call.team, role=call.role or "member")
