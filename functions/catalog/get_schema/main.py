"""GET /v1/onboarding/catalog/tables/{table_id}/schema: the columns of a table."""

from shared.catalog import service
from shared.catalog.model import Schema
from shared.platform.edge import Call, http
from shared.platform.paging import Page


@http(
    "GET",
    "/v1/onboarding/catalog/tables/{table_id}/schema",
    role="member",
    team=service.team_of_table,
    query=Page,
)
def get_schema(call: Call, page: Page) -> Schema:
    return service.schema_page(call.team, call.path["table_id"], page)
