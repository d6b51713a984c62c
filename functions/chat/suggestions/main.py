"""GET /v1/chat/suggestions: first questions that the catalog of a connection can answer."""

from pydantic import BaseModel

from shared.analyst import service
from shared.catalog.model import Of
from shared.connections import service as connections
from shared.platform.edge import Call, http


class Suggestions(BaseModel):
    """Goals to begin with."""

    suggestions: list[str]


@http("GET", "/v1/chat/suggestions", role="member", team=connections.team_of, query=Of)
def suggestions(call: Call, asked: Of) -> Suggestions:
    return Suggestions(suggestions=service.suggestions(call.team, asked.connection_id))
