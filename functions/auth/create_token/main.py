"""POST /v1/auth/tokens: make a personal access token, shown this once."""

from shared.platform.edge import Call, created, http, sealed
from shared.teams import identity
from shared.teams.model import IssuedToken, NewToken


@http(
    "POST",
    "/v1/auth/tokens",
    role="user",
    scope="full",
    body=NewToken,
    once=True,
    keeper=sealed,
    status=201,
)
def create_token(call: Call, new: NewToken) -> IssuedToken:
    return created(identity.issue_token(new, who=call.who, id=call.new_id()))
