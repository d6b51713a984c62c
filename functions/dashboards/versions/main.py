"""GET /v1/dashboards/{slug}/versions: the history of a dashboard, with what changed."""

from shared.dashboards import service
from shared.dashboards.store import Head
from shared.dashboards.views import History, Versions
from shared.platform.edge import Call, http


@http("GET", "/v1/dashboards/{slug}/versions", role="member", query=History, team=service.by_slug)
def versions(call: Call[Head], page: History) -> Versions:
    return service.list_versions(call.team, call.found["id"], page)
