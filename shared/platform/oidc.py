"""Who calls a step: the OIDC token of Cloud Tasks, Cloud Scheduler or Eventarc, verified here.

IAM checks the same at the door in the cloud; a step does not rely on it, because an open ingress is one
wrong flag away.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from shared.platform import clock
from shared.platform.errors import Unauthenticated, Unavailable
from shared.platform.settings import settings

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
CERTS_FRESH_SECONDS = 3600.0


def verify(authorization: str | None, *, audience: str, account: str) -> None:
    """Accept a token for this audience from this service account; raise Unauthenticated otherwise."""
    from google.auth import exceptions, jwt

    if not authorization or not authorization.startswith("Bearer "):
        raise Unauthenticated("A service token is required.")
    token = authorization.removeprefix("Bearer ")
    try:
        claims = _decode(token, audience, jwt)
    except (ValueError, exceptions.GoogleAuthError) as error:
        raise Unauthenticated(
            "The service token is not valid.", reason="signature, audience or expiry"
        ) from error
    if claims.get("iss") not in ISSUERS:
        raise Unauthenticated("The service token is not valid.", reason="issuer")
    if claims.get("email") != account or claims.get("email_verified") is not True:
        raise Unauthenticated("The service token is not valid.", reason="account")


def _decode(token: str, audience: str, jwt: Any) -> dict[str, Any]:
    try:
        return dict(jwt.decode(token, certs=_certs().get(), audience=audience, clock_skew_in_seconds=10))
    except ValueError:
        # The issuer may have rotated its keys since we fetched them: one fresh look, then it is final.
        if not _certs().refresh_if_older_than(30):
            raise
        return dict(jwt.decode(token, certs=_certs().get(), audience=audience, clock_skew_in_seconds=10))


class _Certs:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: dict[str, str] = {}
        self._fetched = float("-inf")

    def get(self) -> dict[str, str]:
        self.refresh_if_older_than(CERTS_FRESH_SECONDS)
        return self._value

    def refresh_if_older_than(self, seconds: float) -> bool:
        with self._lock:
            if clock.monotonic() - self._fetched < seconds:
                return False
            import requests

            try:
                response = requests.get(settings().oidc_certs_url, timeout=5)
                response.raise_for_status()
                self._value = response.json()
            except (requests.RequestException, ValueError) as error:
                raise Unavailable("The keys of the token issuer are not reachable.") from error
            self._fetched = clock.monotonic()
            return True


@lru_cache(maxsize=1)
def _certs() -> _Certs:
    return _Certs()
