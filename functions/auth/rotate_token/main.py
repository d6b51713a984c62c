"""POST /v1/auth/tokens/{token_id}/rotate: a new text for a token; the old one stops at once."""

from shared.platform.edge import Call, http, sealed
from shared.teams import identity
from shared.teams.model import IssuedToken


@http(
    "POST",
    "/v1/auth/tokens/{token_id}/rotate",
    role="user",
    scope="full",
    once=True,
    keeper=sealed,
)
def rotate_token(call: Call) -> IssuedToken:
    return identity.rotate_token(call.path["token_id"], who=call.who)
