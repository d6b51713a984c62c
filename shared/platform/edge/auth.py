"""Who is asking: a browser's session cookie or a script's access token, resolved to one Principal.

Only hashes are stored. The teams and roles come with the principal in one statement, read anew at each
request, so removing a member or revoking a token takes effect at the next call.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from shared.platform.errors import Conflict, CsrfRejected, Unauthenticated
from shared.platform.ids import TeamId, UserId, new_id
from shared.platform.postgres import pool, sql

Q = sql.load(__file__)

SESSION_COOKIE, CSRF_COOKIE, CSRF_HEADER = "bridge_session", "bridge_csrf", "X-Bridge-CSRF"
TOKEN_PREFIX = "brg_"  # noqa: S105 - a public prefix that lets scanners recognise a leaked token
SESSION_HOURS = 24 * 14
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

Role = Literal["member", "admin"]
Scope = Literal["read", "write", "admin", "full"]
"""What an access token may do, each including those before it: look; change as a member; change as an admin;
everything its owner may, also make other tokens. What the owner may not do, no scope allows."""
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Principal:
    """A signed-in person or their script."""

    user_id: UserId
    email: str
    name: str
    scopes: tuple[str, ...]
    teams: Mapping[TeamId, Role]
    credential_id: str
    kind: Literal["session", "token"]
    sha: str = field(repr=False, default="")
    """By which the credential is found again while a stream lasts."""
    only_team: TeamId | None = None
    """The one team that a token is confined to; `teams` then holds no other."""

    @property
    def reach(self) -> str:
        """How far the credential reaches: its kind, the most that its scopes allow, its one team.

        What was answered to one reach is no answer for another, though both are the same person's.
        """
        most = next((scope for scope in reversed(SCOPES) if self.has_scope(scope)), "none")
        return f"{self.kind}:{most}:{self.only_team or '*'}"

    def has_scope(self, needed: Scope) -> bool:
        """Whether one of the scopes is the needed one or includes it."""
        most = max((SCOPES.index(scope) for scope in self.scopes if scope in SCOPES), default=-1)
        return most >= SCOPES.index(needed)


@dataclass(frozen=True)
class NewSession:
    """Secrets of a session that just began; shown to the browser once."""

    token: str
    csrf: str


def principal(
    *, method: str, authorization: str | None, cookies: Mapping[str, str], csrf: str | None
) -> Principal:
    """The caller; raises Unauthenticated, or CsrfRejected for a browser's change without the header."""
    if authorization:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.startswith(TOKEN_PREFIX):
            raise Unauthenticated(reason="the Authorization header must be: Bearer brg_…")
        return _resolve("token", token)
    session = cookies.get(SESSION_COOKIE)
    if not session:
        raise Unauthenticated
    found = _resolve("session", session)
    if method not in SAFE_METHODS and not _equal(csrf_for(session), csrf or ""):
        raise CsrfRejected
    return found


def csrf_for(session_token: str) -> str:
    """The value that a page of this session must echo; it can't be made without the cookie."""
    return hmac.new(session_token.encode(), b"bridge-csrf", hashlib.sha256).hexdigest()[:40]


def open_session(tx: pool.Tx, user: UserId) -> NewSession:
    """Begin a browser session."""
    token = secrets.token_urlsafe(32)
    tx.run(Q.open_auth_session, id=new_id(), user=user, sha=_sha(token), hours=SESSION_HOURS)
    return NewSession(token, csrf_for(token))


def end_session(tx: pool.Tx, who: Principal) -> None:
    """Revoke the session that this principal came with."""
    tx.run(Q.end_auth_session, id=who.credential_id, user=who.user_id)


def issue_token(
    tx: pool.Tx,
    *,
    id: str,
    user: UserId,
    name: str,
    scopes: tuple[str, ...],
    expires_at: datetime | None,
    lifetime_days: int | None = None,
    only_team: TeamId | None = None,
) -> str:
    """Make a personal access token; the text is returned once and only its hash kept.

    One of the same id whose text was never shown (its request died) gets this text. Raises Conflict where that
    one was revoked since.
    """
    token = _new_text()
    made = tx.run(
        Q.add_access_token,
        id=id,
        user=user,
        name=name,
        sha=_sha(token),
        scopes=list(scopes),
        expires_at=expires_at,
        lifetime=lifetime_days,
        only_team=only_team,
    )
    if not made:
        raise Conflict("The token of this idempotency key was revoked; use another key.")
    return token


def rotate_token(tx: pool.Tx, *, id: str, user: UserId) -> tuple[str, pool.Row] | None:
    """Another text for a live token of this person, and the token's row; None where there is none.

    There is one hash, so the old text stops as the new one begins.
    """
    token = _new_text()
    row = tx.find(Q.rotate_access_token, id=id, user=user, sha=_sha(token))
    return None if row is None else (token, row)


def confirm(who: Principal) -> None:
    """Raise Unauthenticated unless the credential holds and still reaches every team that it did."""
    again = _principal(who.kind, who.sha)
    if not set(who.teams.items()) <= set(again.teams.items()):
        raise Unauthenticated("Your access has changed; connect again.")


def _new_text() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def _resolve(kind: Literal["session", "token"], token: str) -> Principal:
    if len(token) > 200:
        raise Unauthenticated
    return _principal(kind, _sha(token))


def _principal(kind: Literal["session", "token"], sha: str) -> Principal:
    with pool.transaction() as tx:
        row = tx.find(Q.principal, kind=kind, sha=sha)
    if row is None:
        raise Unauthenticated("The session or token is not valid any more.")
    return Principal(
        user_id=UserId(row["user_id"]),
        email=row["email"],
        name=row["name"],
        scopes=tuple(row["scopes"]),
        teams={TeamId(team): role for team, role in row["teams"].items()},
        credential_id=row["credential_id"],
        kind=kind,
        sha=sha,
        only_team=None if row["only_team"] is None else TeamId(row["only_team"]),
    )


def _equal(ours: str, theirs: str) -> bool:
    """Without telling by its time how much was right. A header may hold any byte; as texts only ASCII is compared."""
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogateescape"))


def _sha(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
