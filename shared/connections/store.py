"""Rows of connections."""

from __future__ import annotations

from shared.platform.ids import TeamId, UserId
from shared.platform.paging import Page
from shared.platform.postgres import pool, sql

Q = sql.load(__file__)


def add(
    tx: pool.Tx, *, id: str, team: TeamId, name: str, type: str, uri: str, generation: int, user: UserId
) -> bool:
    """Insert; False where an earlier attempt at this request did. Raises UniqueViolation of
    `connections_team_id_name_key` where the team has a connection of this name.
    """
    added = tx.run(
        Q.add_connection,
        id=id,
        team=team,
        name=name,
        type=type,
        uri=uri,
        generation=generation,
        user=user,
    )
    return added > 0


def get(tx: pool.Tx, team: TeamId, id: str) -> pool.Row:
    """The connection; raises NotFound."""
    return tx.one(Q.find_connection, id=id, team=team)


def find(tx: pool.Tx, team: TeamId, id: str) -> pool.Row | None:
    """The connection, or None."""
    return tx.find(Q.find_connection, id=id, team=team)


def find_by_name(tx: pool.Tx, team: TeamId, name_or_id: str) -> pool.Row | None:
    """The connection of this id or name, or None."""
    return tx.find(Q.find_connection_by_name, team=team, given=name_or_id)


def team_of(tx: pool.Tx, id: str) -> TeamId:
    """The team of a connection, among the teams of the transaction; raises NotFound."""
    return TeamId(tx.one(Q.team_of_connection, id=id)["team_id"])


def team_of_deleted(tx: pool.Tx, id: str) -> TeamId:
    """The team that had and deleted the connection; raises NotFound."""
    return TeamId(tx.one(Q.team_of_deleted_connection, id=id)["team_id"])


def existing(tx: pool.Tx, team: TeamId, ids: list[str]) -> set[str]:
    """Which of these connections the team has."""
    return {str(row["id"]) for row in tx.all(Q.existing_connections, team=team, ids=ids)}


def page(tx: pool.Tx, team: TeamId, page: Page) -> list[pool.Row]:
    """A page of the team's connections, newest first, with one row more than the limit."""
    at, id = page.after("instant", "id")
    return tx.all(
        Q.list_connections,
        team=team,
        after_at=at,
        after_id=id,
        limit=page.limit + 1,
        offset=page.offset,
    )


def count_catalog(tx: pool.Tx, team: TeamId, id: str) -> pool.Row:
    """How many datasets and tables the catalog holds of this connection."""
    return tx.one(Q.count_catalog, team=team, id=id)


def record_validation(
    tx: pool.Tx, *, team: TeamId, id: str, generation: int, status: str, error: str | None
) -> bool:
    """Write the outcome; False when the credentials are others by now."""
    return (
        tx.run(Q.record_validation, team=team, id=id, generation=generation, status=status, error=error) > 0
    )


def rotate(tx: pool.Tx, *, team: TeamId, id: str, uri: str, generation: int) -> bool:
    """Point at the new credentials; False when newer ones are there already."""
    return tx.run(Q.rotate_credentials, team=team, id=id, uri=uri, generation=generation) > 0


def remove(tx: pool.Tx, team: TeamId, id: str) -> bool:
    """Delete the connection and, by cascade, its catalog; False when it was gone."""
    return tx.run(Q.delete_connection, team=team, id=id) > 0
