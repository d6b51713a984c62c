"""GET /v1/dashboards/{slug}: a dashboard as the page draws it, without its data."""

from shared.dashboards import service
from shared.dashboards.views import DashboardPage, InTeam
from shared.platform.edge import Call, http


@http("GET", "/v1/dashboards/{slug}", role="member", query=InTeam, team=service.by_slug)
def get(call: Call) -> DashboardPage:
    return service.get(call)
