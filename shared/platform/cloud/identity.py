"""Who calls a step: the ID token of Cloud Tasks, Cloud Scheduler or Eventarc, checked here.

    signed                     keys of the issuer ─► signature, expiry, audience ┐
    …SIGNATURE_REMOVED_BY_GOOGLE  claims alone ─► expiry, audience ─────────────┴─► issuer ─► account

Cloud Run checks the token of a private service against IAM and then takes its signature away, so that the
service can't use it against others (https://cloud.google.com/run/docs/troubleshooting#signature-removed).
Nobody can check the signature of such a token any more: it is accepted only where the configuration says
that Cloud Run stands in front (BRIDGE_TOKENS_CHECKED), and its claims must still be right.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from shared.platform import clock
from shared.platform.cloud.issuer_keys import ASK_SECONDS, IssuerKeys
from shared.platform.errors import Unauthenticated, Unavailable
from shared.platform.settings import settings

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
SKEW_SECONDS = 10
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"


def verify(
    authorization: str | None, *, audience: str, account: str, platform_audience: bool = False
) -> None:
    """Accept a token for this audience from this service account; raise Unauthenticated otherwise.

    `platform_audience`: the sender addressed the service by a name that Cloud Run gave it and that the service
    doesn't know (Eventarc: `https://<name>-<hash>-<region>.a.run.app`). What Cloud Run checked is enough then.
    """
    if not authorization or not authorization.startswith("Bearer "):
        raise Unauthenticated("A service token is required.")
    token = authorization.removeprefix("Bearer ")
    if token.rpartition(".")[2] == REMOVED:
        claims = _claims_checked_by_platform(token, None if platform_audience else audience)
    else:
        claims = _claims_of_signed(token, audience)
    if claims.get("iss") not in ISSUERS:
        raise Unauthenticated("The service token is not valid.", reason="issuer")
    if claims.get("email") != account or claims.get("email_verified") is not True:
        raise Unauthenticated("The service token is not valid.", reason="account")


def _claims_checked_by_platform(token: str, audience: str | None) -> dict[str, Any]:
    """The claims of a token whose signature Cloud Run has checked and removed."""
    if not settings().tokens_checked:
        raise Unauthenticated(
            "The service token is not valid.",
            reason="its signature was removed, and BRIDGE_TOKENS_CHECKED is off",
        )
    try:
        _, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        begun, ends = int(claims["iat"]), int(claims["exp"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Unauthenticated("The service token is not valid.", reason="its claims can't be read") from error
    now = clock.now().timestamp()
    if not begun - SKEW_SECONDS <= now <= ends + SKEW_SECONDS:
        raise Unauthenticated("The service token is not valid.", reason="expiry")
    if audience is not None and claims.get("aud") != audience:
        raise Unauthenticated("The service token is not valid.", reason="audience")
    return dict(claims)


def _claims_of_signed(token: str, audience: str) -> dict[str, Any]:
    from google.auth import exceptions, jwt

    try:
        kid = jwt.decode_header(token).get("kid")
        certs = _certs().get(kid if isinstance(kid, str) else None)
        return dict(jwt.decode(token, certs=certs, audience=audience, clock_skew_in_seconds=SKEW_SECONDS))
    except (ValueError, RecursionError, exceptions.GoogleAuthError) as error:
        raise Unauthenticated(
            "The service token is not valid.", reason="signature, audience or expiry"
        ) from error


@lru_cache(maxsize=1)
def _certs() -> IssuerKeys:
    return IssuerKeys(_ask)


def _ask() -> Mapping[str, str]:
    import requests

    try:
        response = requests.get(settings().oidc_certs_url, timeout=ASK_SECONDS)
        response.raise_for_status()
        keys = response.json()
    except (requests.RequestException, ValueError) as error:
        raise Unavailable("The keys of the token issuer are not reachable.") from error
    if not isinstance(keys, dict) or not keys or not all(isinstance(pem, str) for pem in keys.values()):
        raise Unavailable("The token issuer answers something else than keys.")
    return keys
