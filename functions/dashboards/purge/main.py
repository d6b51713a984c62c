"""POST /v1/dashboards/{slug}/purge: drop a dashboard's cached results."""

from shared.dashboards import service, warming
from shared.dashboards.store import Head
from shared.dashboards.views import InTeam, Purged
from shared.platform.edge import Call, http


@http("POST", "/v1/dashboards/{slug}/purge", role="admin", query=InTeam, team=service.by_slug)
def purge(call: Call[Head]) -> Purged:
    warming.purge(call.team, call.found["id"])
    return Purged(purged=True)
