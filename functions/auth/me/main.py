"""GET /v1/auth/me: the caller, their teams and roles."""

from shared.platform.edge import Call, http
from shared.teams import cookies, identity
from shared.teams.model import Me


@http("GET", "/v1/auth/me", role="user")
def me(call: Call) -> Me:
    return identity.me(call.who, session_token=cookies.session_token(call.headers))
