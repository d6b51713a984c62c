"""GET /v1/dashboards/{slug}/query/{query_id}/data: the rows of one query, paged."""

from typing import Any

from shared.dashboards import service, serving
from shared.dashboards.store import Head
from shared.dashboards.views import RowPage
from shared.platform.edge import Call, http


@http(
    "GET",
    "/v1/dashboards/{slug}/query/{query}/data",
    role="member",
    query=RowPage,
    team=service.by_slug,
    timeout=120,
    memory_mb=512,
)
def query_data(call: Call[Head], page: RowPage) -> dict[str, Any]:
    return serving.query_data(
        call,
        call.found,
        call.path["query"],
        page.model_extra or {},
        limit=page.limit,
        after=page.cursor,
    )
