"""GET /v1/dashboards/{slug}/data: everything that the page shows, from the cache where it can be."""

from shared.dashboards import service, serving
from shared.dashboards.store import Head
from shared.dashboards.views import FilterValues
from shared.platform.edge import Call, Reply, http


@http(
    "GET",
    "/v1/dashboards/{slug}/data",
    role="member",
    query=FilterValues,
    team=service.by_slug,
    timeout=120,
    memory_mb=512,
)
def data(call: Call[Head], chosen: FilterValues) -> Reply:
    return serving.data(call, call.found, chosen.model_extra or {})
