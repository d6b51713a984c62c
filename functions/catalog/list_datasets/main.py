"""GET /v1/onboarding/catalog/datasets: the datasets of a connection."""

from shared.catalog import service
from shared.catalog.model import Datasets, OfConnection
from shared.connections.service import team_of
from shared.platform.edge import Call, http


@http("GET", "/v1/onboarding/catalog/datasets", role="member", team=team_of, query=OfConnection)
def list_datasets(call: Call, page: OfConnection) -> Datasets:
    return service.datasets_page(call.team, page)
