"""GET /v1/dashboards: the dashboards of a team."""

from shared.dashboards import service
from shared.dashboards.views import Dashboards, ListFilter
from shared.platform.edge import Call, http


@http("GET", "/v1/dashboards", "/v1/teams/{team_id}/dashboards", role="member", query=ListFilter)
def list(call: Call, only: ListFilter) -> Dashboards:
    return service.list_dashboards(call.team, only)
