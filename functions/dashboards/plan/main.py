"""GET /v1/dashboards/{slug}/plan: what would be run for these filters, in which order."""

from shared.dashboards import planning, service
from shared.dashboards.views import FilterValues, PlanView
from shared.platform.edge import Call, http


@http("GET", "/v1/dashboards/{slug}/plan", role="member", query=FilterValues, team=service.team_of_slug)
def plan(call: Call, chosen: FilterValues) -> PlanView:
    return planning.show(call.team, service.head(call), chosen.model_extra or {})
