"""GET /v1/onboarding/catalog/search: tables by words in names and descriptions."""

from shared.catalog import service
from shared.catalog.model import Hits, Search
from shared.platform.edge import Call, http


@http("GET", "/v1/onboarding/catalog/search", role="member", query=Search)
def search(call: Call, asked: Search) -> Hits:
    return service.search(call.team, asked)
