"""GET /v1/dashboards/{slug}/plan: what would be run for these filters, in which order."""

from shared.dashboards import planning, service
from shared.dashboards.store import Head
from shared.dashboards.views import FilterValues, PlanView
from shared.platform.edge import Call, http


@http("GET", "/v1/dashboards/{slug}/plan", role="member", query=FilterValues, team=service.by_slug)
def plan(call: Call[Head], chosen: FilterValues) -> PlanView:
    return planning.show(call.team, call.found, chosen.model_extra or {})
