"""Bearer tokens that a service account signs for itself (https://google.aip.dev/auth/4111).

google.auth's own classes for this look up a "regional access boundary" of the account in the background,
at another address and with the customer's token. These call nobody. Import this module lazily: it loads
google.auth.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from google.auth import credentials, crypt, jwt

LIFETIME = timedelta(minutes=50)


class SelfSigned(credentials.Credentials):  # type: ignore[misc]
    """Tokens of one account for one audience, made anew when they have nearly ended."""

    def __init__(self, account: str, private_key: str, key_id: str | None, *, audience: str) -> None:
        super().__init__()
        self._account, self._audience = account, audience
        self._signer = crypt.RSASigner.from_string(private_key, key_id)

    def refresh(self, request: Any) -> None:
        """Sign the next token; `request` is not used."""
        del request
        now = datetime.now(UTC)
        ends = now + LIFETIME
        claims = {
            "iss": self._account,
            "sub": self._account,
            "aud": self._audience,
            "iat": int(now.timestamp()),
            "exp": int(ends.timestamp()),
        }
        self.token = jwt.encode(self._signer, claims).decode()
        self.expiry = ends.replace(tzinfo=None)  # google.auth compares with naive UTC
