"""The two cookies of a browser's session.

`bridge_session` is the credential: no script can read it. `bridge_csrf` is what a page of ours reads and
echoes in a header; a page of another origin can do neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from shared.platform.edge import auth
from shared.platform.settings import settings


def of_session(session: auth.NewSession) -> list[dict[str, Any]]:
    """The cookies that begin a session, as arguments of `set_cookie`."""
    lasting = auth.SESSION_HOURS * 3600
    return [
        _cookie(auth.SESSION_COOKIE, session.token, lasting, httponly=True),
        _cookie(auth.CSRF_COOKIE, session.csrf, lasting, httponly=False),
    ]


def cleared() -> list[dict[str, Any]]:
    """The cookies that end it."""
    return [
        _cookie(auth.SESSION_COOKIE, "", 0, httponly=True),
        _cookie(auth.CSRF_COOKIE, "", 0, httponly=False),
    ]


def session_token(headers: Mapping[str, str]) -> str | None:
    """The session cookie of a request, if it has one."""
    try:
        jar = SimpleCookie(headers.get("Cookie", ""))
    except CookieError:
        return None
    morsel = jar.get(auth.SESSION_COOKIE)
    return morsel.value if morsel else None


def _cookie(name: str, value: str, lasting: int, *, httponly: bool) -> dict[str, Any]:
    return {
        "key": name,
        "value": value,
        "max_age": lasting,
        "path": "/",
        "httponly": httponly,
        "samesite": "Lax",
        "secure": settings().base_url.startswith("https://"),
    }
