"""GET /v1/onboarding/catalog/tables: the tables of a dataset."""

from shared.catalog import service
from shared.catalog.model import OfDataset, Tables
from shared.platform.edge import Call, http


@http(
    "GET",
    "/v1/onboarding/catalog/tables",
    "/v1/onboarding/catalog/datasets/{dataset_id}/tables",
    role="member",
    team=service.team_of_dataset,
    query=OfDataset,
)
def list_tables(call: Call, page: OfDataset) -> Tables:
    return service.tables_page(call.team, service.dataset_of(call), page)
