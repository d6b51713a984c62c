"""GET /v1/auth/tokens: the caller's live access tokens, without their text."""

from shared.platform.edge import Call, http
from shared.platform.paging import Page
from shared.teams import identity
from shared.teams.model import AccessTokens


@http("GET", "/v1/auth/tokens", role="user", query=Page)
def list_tokens(call: Call, page: Page) -> AccessTokens:
    return identity.list_tokens(call.who, page)
