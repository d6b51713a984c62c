"""POST /v1/auth/dev/login: sign in by e-mail, on a laptop only."""

from shared.platform.edge import Call, http, with_cookies
from shared.teams import cookies, identity
from shared.teams.model import DevLogin, SignedIn


@http("POST", "/v1/auth/dev/login", role="public", body=DevLogin, local_only=True, rate="login")
def dev_login(_call: Call, login: DevLogin) -> SignedIn:
    user, session = identity.sign_in(login)
    return with_cookies(SignedIn(user=user, csrf_token=session.csrf), cookies.of_session(session))
