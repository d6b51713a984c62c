"""DELETE /v1/auth/tokens/{token_id}: revoke one of the caller's access tokens."""

from shared.platform.edge import Call, http
from shared.teams import identity


@http("DELETE", "/v1/auth/tokens/{token_id}", role="user", scope="full", status=204)
def revoke_token(call: Call) -> None:
    identity.revoke_token(call.path["token_id"], who=call.who)
