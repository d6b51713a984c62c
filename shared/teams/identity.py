"""People signing in and out, and the tokens of their scripts."""

from __future__ import annotations

from datetime import timedelta

from shared.platform import clock
from shared.platform.clock import iso
from shared.platform.edge import auth
from shared.platform.errors import Forbidden, NotFound
from shared.platform.ids import TeamId, UserId
from shared.platform.paging import Page, cut
from shared.platform.postgres import pool
from shared.teams import service, store
from shared.teams.model import (
    AccessToken,
    AccessTokens,
    DevLogin,
    IssuedToken,
    Me,
    NewToken,
    User,
)


def sign_in(login: DevLogin) -> tuple[User, auth.NewSession]:
    """Begin a session for whoever has this e-mail. The caller has made sure that they do."""
    with pool.transaction() as tx:
        row = store.upsert_user(tx, email=login.email, name=login.name)
        session = auth.open_session(tx, UserId(row["id"]))
    return User(**row), session


def sign_out(who: auth.Principal) -> None:
    """Revoke the session, or the token, that the caller came with."""
    with pool.transaction() as tx:
        if who.kind == "session":
            auth.end_session(tx, who)
        else:
            store.revoke_token(tx, id=who.credential_id, user=who.user_id)


def me(who: auth.Principal, *, session_token: str | None) -> Me:
    """The caller and their teams; for a browser also the value that its changes must echo."""
    return Me(
        user=User(id=who.user_id, email=who.email, name=who.name),
        teams=service.memberships(who),
        csrf_token=auth.csrf_for(session_token) if session_token and who.kind == "session" else None,
    )


def issue_token(new: NewToken, *, who: auth.Principal, id: str) -> IssuedToken:
    """Make an access token; its text is in this answer and nowhere else.

    Raises NotFound for a team that is not the caller's, Forbidden where the new token would reach further
    than the one that makes it.
    """
    team = None if new.team_id is None else TeamId(new.team_id)
    if team is not None and team not in who.teams:
        raise NotFound
    if who.only_team is not None and team is None:
        raise Forbidden(
            "A token of one team makes tokens of that team alone.", field="team_id", reason="team"
        )
    expires_at = clock.now() + timedelta(days=new.expires_in_days)
    scopes = [scope for scope in auth.SCOPES if scope in new.scopes]

    def insert() -> str:
        with pool.transaction() as tx:
            return auth.issue_token(
                tx,
                id=id,
                user=who.user_id,
                name=new.name,
                scopes=tuple(scopes),
                expires_at=expires_at,
                lifetime_days=new.expires_in_days,
                only_team=team,
            )

    text = pool.surely(insert)
    return IssuedToken(
        id=id, token=text, name=new.name, scopes=list(scopes), team_id=team, expires_at=iso(expires_at)
    )


def rotate_token(id: str, *, who: auth.Principal) -> IssuedToken:
    """Exchange the text of a live token of the caller. Name, scopes, team and lifetime stay. Raises NotFound."""

    def exchange() -> tuple[str, pool.Row] | None:
        with pool.transaction() as tx:
            _reachable(tx, id, who)
            return auth.rotate_token(tx, id=id, user=who.user_id)

    rotated = pool.surely(exchange)
    if rotated is None:
        raise NotFound
    text, row = rotated
    return IssuedToken(
        id=row["id"],
        token=text,
        name=row["name"],
        scopes=row["scopes"],
        team_id=row["only_team"],
        expires_at=iso(row["expires_at"]),
    )


def list_tokens(who: auth.Principal, page: Page) -> AccessTokens:
    """A page of the caller's live tokens, newest first."""
    with pool.transaction() as tx:
        rows, paging = cut(store.list_tokens(tx, who.user_id, page), page.limit, "created_at", "id")
    tokens = [
        AccessToken(
            id=row["id"],
            name=row["name"],
            scopes=row["scopes"],
            team_id=row["only_team"],
            created_at=iso(row["created_at"]),
            expires_at=iso(row["expires_at"]),
            last_used_at=iso(row["last_used_at"]),
        )
        for row in rows
    ]
    return AccessTokens(tokens=tokens, **paging)


def revoke_token(id: str, *, who: auth.Principal) -> None:
    """Revoke a token of the caller; it is refused from the next call on. Raises NotFound."""
    with pool.transaction() as tx:
        _reachable(tx, id, who)
        if not store.revoke_token(tx, id=id, user=who.user_id):
            raise NotFound


def _reachable(tx: pool.Tx, id: str, who: auth.Principal) -> None:
    """A token of one team has no say over tokens that reach further; raises NotFound."""
    if who.only_team is not None and not store.is_token_of_team(
        tx, id=id, user=who.user_id, team=who.only_team
    ):
        raise NotFound
