"""What Cloud Run does with the caller's ID token before a private service sees the request.

It checks signature, expiry and audience, and takes the signature away, so that the service can't use the token
against others (https://cloud.google.com/run/docs/troubleshooting#signature-removed). A token that arrives without
its signature was made by nobody, and is refused.

One difference: what Cloud Run would refuse goes through unchanged here, as it would with an open ingress. So each
step's own check is what our tests meet.
"""

import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.auth import exceptions, jwt

from local.cloud import identity

REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
_STEPS = ("task", "finalized", "scheduled")
_HEADER = "HTTP_AUTHORIZATION"


class NoSignature(Exception):
    """The caller's token came without its signature."""


class Front:
    """The check of one stack's tokens; `home` holds the issuer's key, `step_url` is a function's address."""

    def __init__(self, home: Path, step_url: str) -> None:
        self._home, self._step_url = home, step_url

    def admit(self, kind: str, name: str, environ: dict[str, Any]) -> dict[str, Any]:
        """The request as the container sees it. Raises NoSignature."""
        header = environ.get(_HEADER, "")
        if kind not in _STEPS or not header.startswith("Bearer "):
            return environ
        token = header.removeprefix("Bearer ")
        head, _, signature = token.rpartition(".")
        if signature == REMOVED:
            raise NoSignature
        audiences = (self._step_url.replace("{name}", name), identity.run_address(name))
        if not _checked(str(self._home), token, audiences):
            return environ
        return environ | {_HEADER: f"Bearer {head}.{REMOVED}"}


@lru_cache(maxsize=1024)
def _valid_until(home: str, token: str, audiences: tuple[str, ...]) -> int:
    """When a token ends that is good for one of the audiences; 0 for one that is not."""
    try:
        claims = jwt.decode(token, certs=identity.certificates(Path(home)), audience=list(audiences))
    except (ValueError, exceptions.GoogleAuthError):
        return 0
    return int(claims["exp"])


def _checked(home: str, token: str, audiences: tuple[str, ...]) -> bool:
    return _valid_until(home, token, audiences) > time.time()
