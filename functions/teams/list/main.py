"""GET /v1/onboarding/teams: the caller's teams."""

from shared.platform.edge import Call, http
from shared.platform.paging import Page
from shared.teams import service
from shared.teams.model import Teams


@http("GET", "/v1/onboarding/teams", role="user", query=Page)
def list(call: Call, page: Page) -> Teams:
    return service.list_teams(call.who, page)
