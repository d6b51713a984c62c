"""Rows of users, teams, memberships and access tokens."""

from __future__ import annotations

from shared.platform.ids import TeamId, UserId, new_id
from shared.platform.paging import Page
from shared.platform.postgres import pool, sql

Q = sql.load(__file__)


def upsert_user(tx: pool.Tx, *, email: str, name: str) -> pool.Row:
    """The person of this e-mail, made when new."""
    return tx.one(Q.upsert_user, id=new_id(), email=email, name=name)


def list_memberships(tx: pool.Tx, user: UserId) -> list[pool.Row]:
    """All teams of the person that the transaction sees, by name."""
    return tx.all(Q.list_memberships, user=user)


def list_teams(tx: pool.Tx, user: UserId, page: Page) -> list[pool.Row]:
    """A page of the person's teams, by name, with one row more than the limit."""
    name, id = page.after("text", "id")
    return tx.all(
        Q.list_teams,
        user=user,
        after_name=name,
        after_id=id,
        limit=page.limit + 1,
        offset=page.offset,
    )


def count_made(tx: pool.Tx, user: UserId) -> int:
    """How many teams there are that the person made; they make no other until this transaction ends."""
    tx.one(Q.lock_maker, user=user)
    return int(tx.one(Q.count_made, user=user)["made"])


def slugs_like(tx: pool.Tx, slug: str) -> set[str]:
    """Slugs that are this one or continue it, among the teams that the transaction sees."""
    return {row["slug"] for row in tx.all(Q.own_slugs_like, slug=slug)}


def add_team(tx: pool.Tx, *, id: TeamId, name: str, slug: str, by: UserId) -> bool:
    """Insert the team; False when an earlier attempt at this request did."""
    return tx.find(Q.add_team, id=id, name=name, slug=slug, by=by) is not None


def find_team(tx: pool.Tx, team: TeamId) -> pool.Row | None:
    """The team, if the transaction sees it."""
    return tx.find(Q.find_team, team=team)


def get_team(tx: pool.Tx, team: TeamId) -> pool.Row:
    """The team; raises NotFound."""
    return tx.one(Q.find_team, team=team)


def add_member(tx: pool.Tx, *, team: TeamId, user: UserId, role: str) -> None:
    """Make the person a member; a member stays what they are."""
    tx.run(Q.add_member, team=team, user=user, role=role)


def count(tx: pool.Tx, team: TeamId) -> pool.Row:
    """How many members and connections the team has."""
    return tx.one(Q.count_team, team=team)


def list_tokens(tx: pool.Tx, user: UserId, page: Page) -> list[pool.Row]:
    """A page of the person's live tokens, newest first, with one row more than the limit."""
    at, id = page.after("instant", "id")
    return tx.all(
        Q.list_tokens,
        user=user,
        after_at=at,
        after_id=id,
        limit=page.limit + 1,
        offset=page.offset,
    )


def is_token_of_team(tx: pool.Tx, *, id: str, user: UserId, team: TeamId) -> bool:
    """Whether this token of the person is confined to the team."""
    return tx.find(Q.find_token_of_team, id=id, user=user, team=team) is not None


def revoke_token(tx: pool.Tx, *, id: str, user: UserId) -> bool:
    """Revoke a token of this person; False when they have none of that id."""
    return tx.run(Q.revoke_token, id=id, user=user) > 0
