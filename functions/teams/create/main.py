"""POST /v1/onboarding/teams: make a team; the caller becomes its admin."""

from shared.platform.edge import Call, created, http
from shared.teams import service
from shared.teams.model import NewTeam, Team


@http(
    "POST",
    "/v1/onboarding/teams",
    role="user",
    body=NewTeam,
    once=True,
    status=201,
)
def create(call: Call, new: NewTeam) -> Team:
    return created(service.create(new, who=call.who, id=call.new_id()))
