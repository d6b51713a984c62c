"""Connections: made, tried, opened, rotated, deleted.

The object with the credentials is written before the row that points at it and removed before it, so a
row never points at what was not yet there, and what is left after a crash is a sealed object that
nothing points at.
"""

from __future__ import annotations

from shared.connections import credentials, store
from shared.connections.declared import ConnectionNotValidated, CredentialsRotated
from shared.connections.flow import ValidateConnection
from shared.connections.model import (
    CatalogCounts,
    Connection,
    ConnectionDetails,
    Connections,
    NewConnection,
    NewCredentials,
    OpenConnection,
)
from shared.platform import audit
from shared.platform.background import jobs, ledger, outbox
from shared.platform.background.jobs import JobAccepted
from shared.platform.clock import iso
from shared.platform.edge import Call
from shared.platform.errors import BridgeError, NotFound, SlugTaken
from shared.platform.ids import TeamId, UserId
from shared.platform.paging import Page, cut
from shared.platform.postgres import pool
from shared.warehouses import registry
from shared.warehouses.contract import Warehouse
from shared.warehouses.dialect import Dialect

VALIDATE = "validate_connection"


def create(new: NewConnection, *, team: TeamId, user: UserId, id: str) -> Connection:
    """Store the credentials sealed and the connection as pending; nothing is dialled yet."""
    fields = credentials.read(new.connection_type, new.credentials)
    with pool.transaction(team) as tx:
        named = store.find_by_name(tx, team, new.name)
        if named is not None and named["name"] == new.name and named["id"] != id:
            raise _name_taken(new.name)
    stored = credentials.store(team, id, fields, replace=False)

    def insert() -> Connection:
        with pool.meaning(connections_team_id_name_key=_name_taken(new.name)), pool.transaction(team) as tx:
            made = store.add(
                tx,
                id=id,
                team=team,
                name=new.name,
                type=new.connection_type,
                uri=stored.uri,
                generation=stored.generation,
                user=user,
            )
            if made:
                audit.write(tx, team=team, actor=user, action="connection.created", target=id, after=new.name)
            return _view(store.get(tx, team, id))

    try:
        return pool.surely(insert)
    except SlugTaken:
        credentials.forget(team, id)
        raise


def request_validation(team: TeamId, connection: str, *, user: UserId, job: str) -> JobAccepted:
    """Promise the step that tries the credentials; the same job again promises no other. Raises NotFound."""

    def promise() -> None:
        with pool.transaction(team) as tx:
            store.get(tx, team, connection)
            if jobs.open_job(tx, id=job, team=team, kind=VALIDATE, user=user, total=1, subject=connection):
                outbox.send(tx, ValidateConnection(team=team, connection=connection, job=job))

    pool.surely(promise)
    return JobAccepted(job_id=job)


def validate(step: ValidateConnection) -> None:
    """Use every permission that Bridge needs and record the outcome with the job's end.

    A refusal by the warehouse is an outcome; an unreachable one is bad luck that the queue repeats.
    """
    with pool.transaction(step.team) as tx:
        jobs.start(tx, id=step.job, team=step.team)
        row = store.find(tx, step.team, step.connection)
    if row is None:
        with ledger.finishing(step.team) as tx:
            jobs.finish(
                tx, id=step.job, team=step.team, error=_problem(NotFound("The connection was deleted."))
            )
        return
    failure: BridgeError | None = None
    try:
        _warehouse(step.team, row).check()
    except BridgeError as error:
        if error.retryable:
            raise
        failure = error
    _record(step, int(row["credentials_generation"]), failure)


def validation_failed(step: ValidateConnection, error: BridgeError) -> None:
    """No further attempt will be made: say so on the connection and end its job."""
    with pool.transaction(step.team) as tx:
        row = store.find(tx, step.team, step.connection)
        if row is not None:
            store.record_validation(
                tx,
                team=step.team,
                id=step.connection,
                generation=int(row["credentials_generation"]),
                status="failed",
                error=error.message,
            )
        jobs.finish(tx, id=step.job, team=step.team, error=_problem(error))


def get(team: TeamId, id: str) -> ConnectionDetails:
    """A connection with its last validation and the size of its catalog; raises NotFound."""
    with pool.transaction(team) as tx:
        row, counts = store.get(tx, team, id), store.count_catalog(tx, team, id)
    return ConnectionDetails(
        **_view(row).model_dump(), catalog_version=row["catalog_version"], catalog=CatalogCounts(**counts)
    )


def list_connections(team: TeamId, page: Page) -> Connections:
    """A page of the team's connections, newest first."""
    with pool.transaction(team) as tx:
        rows, paging = cut(store.page(tx, team, page), page.limit, "created_at", "id")
    return Connections(connections=[_view(row) for row in rows], **paging)


def rotate(team: TeamId, id: str, new: NewCredentials, *, user: UserId) -> Connection:
    """Replace the credentials; the connection must be validated again. The old version stays in the bucket."""
    with pool.transaction(team) as tx:
        row = store.get(tx, team, id)
    fields = credentials.read(row["connection_type"], new.credentials)
    stored = credentials.store(team, id, fields, replace=True)
    with pool.transaction(team) as tx:
        store.rotate(tx, team=team, id=id, uri=stored.uri, generation=stored.generation)
        audit.write(
            tx,
            team=team,
            actor=user,
            action="credentials.rotated",
            target=id,
            before=int(row["credentials_generation"]),
            after=stored.generation,
        )
        return _view(store.get(tx, team, id))


def delete(team: TeamId, id: str, *, user: UserId) -> None:
    """Delete the credentials, the connection and its catalog; a repetition changes nothing."""
    credentials.forget(team, id)
    with pool.transaction(team) as tx:
        if store.remove(tx, team, id):
            audit.write(tx, team=team, actor=user, action="connection.deleted", target=id)


def find_by_name(tx: pool.Tx, team: TeamId, name_or_id: str) -> pool.Row | None:
    """The row of the team's connection of this name or id, or None."""
    return store.find_by_name(tx, team, name_or_id)


def dialect_of(team: TeamId, name_or_id: str) -> Dialect | None:
    """The dialect of the team's connection of this name or id; None where there is no such connection."""
    with pool.transaction(team) as tx:
        row = store.find_by_name(tx, team, name_or_id)
    return None if row is None else registry.dialect(row["connection_type"])


def open_warehouse(team: TeamId, id: str, *, allow_unvalidated: bool = False) -> OpenConnection:
    """The connection, ready to be queried; raises NotFound or ConnectionNotValidated."""
    with pool.transaction(team) as tx:
        row = store.get(tx, team, id)
    if row["status"] != "validated" and not allow_unvalidated:
        raise ConnectionNotValidated(
            f"Validate the connection {row['name']!r} first.", reason=f"it is {row['status']}"
        )
    return OpenConnection(
        id=row["id"],
        name=row["name"],
        status=row["status"],
        credentials_generation=int(row["credentials_generation"]),
        catalog_version=int(row["catalog_version"]),
        warehouse=_warehouse(team, row),
    )


def team_of(call: Call) -> TeamId:
    """The team of the connection that path, query or body names; raises NotFound for a stranger's."""
    id = _named(call)
    with pool.transaction(call.teams) as tx:
        return store.team_of(tx, id)


def team_of_deleted_too(call: Call) -> TeamId:
    """Like team_of, also for a connection that the team has deleted."""
    id = _named(call)
    with pool.transaction(call.teams) as tx:
        try:
            return store.team_of(tx, id)
        except NotFound:
            return store.team_of_deleted(tx, id)


def _named(call: Call) -> str:
    for source in (
        call.path.get("connection_id"),
        getattr(call.query, "connection_id", None),
        getattr(call.body, "connection_id", None),
    ):
        if source is not None:
            return str(source)
    raise NotFound


def _record(step: ValidateConnection, generation: int, failure: BridgeError | None) -> None:
    status = "failed" if failure else "validated"
    with ledger.finishing(step.team) as tx:
        recorded = store.record_validation(
            tx,
            team=step.team,
            id=step.connection,
            generation=generation,
            status=status,
            error=failure.message if failure else None,
        )
        outcome = failure if recorded else CredentialsRotated()
        jobs.finish(
            tx,
            id=step.job,
            team=step.team,
            result={"connection_id": step.connection, "status": status},
            error=_problem(outcome) if outcome else None,
        )


def _warehouse(team: TeamId, row: pool.Row) -> Warehouse:
    return credentials.warehouse(team, row["id"], row["connection_type"], int(row["credentials_generation"]))


def _name_taken(name: str) -> SlugTaken:
    return SlugTaken(f"The team has a connection named {name!r}; choose another name.", field="name")


def _problem(error: BridgeError) -> dict[str, str]:
    return {"code": error.code, "message": error.message}


def _view(row: pool.Row) -> Connection:
    return Connection(
        id=row["id"],
        team_id=row["team_id"],
        name=row["name"],
        connection_type=row["connection_type"],
        status=row["status"],
        validation_error=row["validation_error"],
        validated_at=iso(row["validated_at"]),
        created_at=iso(row["created_at"]),
    )
