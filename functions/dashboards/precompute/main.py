"""POST /v1/dashboards/{slug}/precompute: warm a dashboard's cache now."""

from shared.dashboards import service, warming
from shared.dashboards.store import Head
from shared.dashboards.views import InTeam, Warmed
from shared.platform.edge import Call, http


@http(
    "POST",
    "/v1/dashboards/{slug}/precompute",
    role="admin",
    query=InTeam,
    team=service.by_slug,
    once=True,
    timeout=300,
    memory_mb=512,
)
def precompute(call: Call[Head]) -> Warmed:
    return warming.precompute(call.team, call.found, patience=call.remaining())
