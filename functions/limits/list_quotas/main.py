"""GET /v1/quotas: a team's quotas, budgets and rates, with what is used of them."""

from shared.platform.edge import Call, http
from shared.platform.limits import service
from shared.platform.limits.views import OfTeam, Quotas


@http("GET", "/v1/quotas", role="member", query=OfTeam)
def list_quotas(call: Call) -> Quotas:
    return service.quotas(call.team)
