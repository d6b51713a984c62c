"""How a connection to Postgres is made: over what it travels, and as whom it signs in.

postgresql://role:password@host/db                                    TLS, the certificate names the host
postgresql://role:password@10.1.2.3/db?sslmode=verify-ca              TLS, signed by BRIDGE_DATABASE_CA
postgresql://account%40project.iam@10.1.2.3/db?sslmode=…&auth=iam     the same, without a password: Cloud SQL
                                                                      takes a token of the function's account
postgresql://role@/db?host=/cloudsql/…                                a socket; loopback is like one
"""

from __future__ import annotations

import ssl
import threading
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from shared.platform.errors import Unavailable
from shared.platform.settings import settings

CONNECT_SECONDS = 20
_SCOPE = "https://www.googleapis.com/auth/sqlservice.login"
_lock = threading.Lock()


def connect() -> Any:
    """A driver's connection. Raises Unavailable when there is none to be had."""
    from pg8000.native import Connection

    url = urlsplit(settings().database_url)
    options = {key: values[0] for key, values in parse_qs(url.query).items()}
    socket = options.get("host", "")
    local = not url.hostname or socket.startswith("/") or url.hostname in ("127.0.0.1", "localhost", "::1")
    try:
        return Connection(
            user=unquote(url.username or ""),
            password=_token() if options.get("auth") == "iam" else unquote(url.password or "") or None,
            host=url.hostname or "localhost",
            port=url.port or 5432,
            database=url.path.lstrip("/"),
            unix_sock=f"{socket}/.s.PGSQL.5432" if socket.startswith("/") else None,
            ssl_context=_tls(options.get("sslmode", "disable" if local else "verify-full")),
            timeout=CONNECT_SECONDS,
            application_name="bridge",
        )
    except Exception as error:
        raise Unavailable("The directory database is not reachable.", retry_after=1) from error


@lru_cache(maxsize=4)
def _tls(mode: str) -> ssl.SSLContext | Literal[False]:
    """How a connection is protected, by libpq's name for it. One context per process and mode."""
    if mode == "disable":
        return False  # None would try TLS, and believe any certificate.
    context = ssl.create_default_context(cadata=settings().database_ca)
    context.check_hostname = mode == "verify-full"
    return context


def _token() -> str:
    """An access token that can do nothing but sign in to databases; renewed some minutes before it ends."""
    from google.auth.transport.requests import Request

    with _lock:
        account = _account()
        if not account.valid:
            account.refresh(Request())
        return str(account.token)


@lru_cache(maxsize=1)
def _account() -> Any:
    import google.auth

    return google.auth.default(scopes=[_SCOPE])[0]
