"""POST /v1/auth/logout: revoke the session or token that the caller came with."""

from shared.platform.edge import Call, Reply, http
from shared.teams import cookies, identity


@http("POST", "/v1/auth/logout", role="user", scope="read", status=204)
def logout(call: Call) -> None:
    identity.sign_out(call.who)
    return Reply(None, 204, cookies=cookies.cleared())  # type: ignore[return-value]
