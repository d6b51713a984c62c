"""POST /v1/auth/logout: revoke the session or token that the caller came with."""

from shared.platform.edge import Call, http, no_content
from shared.teams import cookies, identity


@http("POST", "/v1/auth/logout", role="user", scope="read", status=204)
def logout(call: Call) -> None:
    identity.sign_out(call.who)
    return no_content(cookies.cleared())  # type: ignore[no-any-return]
