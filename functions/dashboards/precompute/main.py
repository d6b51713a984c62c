"""POST /v1/dashboards/{slug}/precompute: warm a dashboard's cache now."""

from shared.dashboards import service, warming
from shared.dashboards.views import InTeam, Warmed
from shared.platform.edge import Call, http


@http(
    "POST",
    "/v1/dashboards/{slug}/precompute",
    role="admin",
    query=InTeam,
    team=service.team_of_slug,
    once="{user}/{idempotency_key}",
    timeout=300,
    memory_mb=512,
)
def precompute(call: Call) -> Warmed:
    return warming.precompute(call.team, service.head(call), patience=call.remaining())
