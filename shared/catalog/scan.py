"""The scan: what each step of the chain does. The drawing is in flow.py.

Every dataset is read, written and counted by itself: the failure of one is recorded and the rest go on.
Snapshots may land in any order, twice, or after those of a later scan; a dataset shows the content of
the latest scan that has landed, whichever came last.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from shared.catalog import snapshot, store
from shared.catalog.declared import BadSnapshot, ScanRunning
from shared.catalog.flow import ScanDataset, ScanFinished
from shared.catalog.model import NewScan
from shared.connections import service as connections
from shared.platform.background import jobs, ledger, outbox
from shared.platform.background.jobs import JobAccepted
from shared.platform.background.messages import Finalized, Part
from shared.platform.cloud import objects
from shared.platform.errors import BridgeError, NotFound, ValidationFailed
from shared.platform.ids import TeamId, UserId, is_id
from shared.platform.limits import budgets
from shared.platform.postgres import pool
from shared.warehouses.contract import DatasetInfo

SCAN = "catalog_scan"
TABLES_A_BATCH = 500


def start(new: NewScan, *, team: TeamId, user: UserId, id: str) -> JobAccepted:
    """Open a scan and promise its first steps, or neither. `id` is the scan's and its job's.

    Raises ConnectionNotValidated, ScanRunning, QuotaExceeded, or what the warehouse says when it is asked
    for its datasets.
    """
    opened = connections.open_warehouse(team, new.connection_id)
    found = opened.warehouse.datasets()
    return pool.surely(
        lambda: budgets.without_the_dead(team, lambda: _open(new, found, team=team, user=user, id=id))
    )


def _open(new: NewScan, found: list[DatasetInfo], *, team: TeamId, user: UserId, id: str) -> JobAccepted:
    with pool.transaction(team) as tx:
        store.lock_scans(tx, new.connection_id)
        running = store.running_scan(tx, team, new.connection_id)
        if running == id:
            return JobAccepted(job_id=id)
        if running is not None:
            raise ScanRunning(details={"job_id": running})
        if store.upsert_datasets(tx, team=team, connection=new.connection_id, found=found, complete=True):
            store.bump_version(tx, team, new.connection_id)
        names = _chosen(tx, team, new)
        budgets.take(tx, team, "scans", 1, key=id, lease_seconds=budgets.JOB_SECONDS)
        store.open_scan(tx, id=id, team=team, connection=new.connection_id, datasets=names)
        jobs.open_job(tx, id=id, team=team, kind=SCAN, user=user, total=len(names), subject=new.connection_id)
        outbox.send_all(
            tx,
            [ScanDataset(team=team, connection=new.connection_id, scan=id, dataset=name) for name in names]
            or [ScanFinished(team=team, connection=new.connection_id, scan=id)],
        )
    return JobAccepted(job_id=id)


def scan_dataset(step: ScanDataset) -> None:
    """Read the shape of one dataset and leave a snapshot; a repetition leaves the first one standing."""
    with pool.transaction(step.team) as tx:
        if store.find_scan(tx, id=step.scan, team=step.team, connection=step.connection) is None:
            raise NotFound("The scan's connection was deleted.")
        row = store.dataset_by_name(tx, step.team, step.connection, step.dataset)
    opened = connections.open_warehouse(step.team, step.connection)
    tables = opened.warehouse.tables(
        DatasetInfo(
            name=row["name"], fully_qualified_name=row["fully_qualified_name"], location=row["location"]
        )
    )
    objects.put_once(
        "catalog",
        objects.safe_name(step.connection, step.dataset, f"{step.scan}.json.gz"),
        snapshot.pack(tables, dataset=step.dataset, scan=step.scan),
        content_type="application/gzip",
    )


def scan_dataset_failed(step: ScanDataset, error: BridgeError) -> None:
    """Count the dataset as failed; the scan goes on without it."""
    with pool.transaction(step.team) as tx:
        _land(tx, step.team, step.connection, step.scan, step.dataset, error)


def index_snapshot(event: Finalized) -> None:
    """Bring the directory to the content of a snapshot and count its dataset, in one transaction."""
    connection, dataset, scan = event.names["connection"], event.names["dataset"], event.names["scan"]
    team = _owner(event)
    ledger.part_of(Part(team, scan, dataset))
    data, _ = objects.get("catalog", event.name, generation=event.generation)
    head, tables = snapshot.unpack(data)
    if (head.dataset, head.scan) != (dataset, scan):
        raise BadSnapshot(reason="it belongs to another name")
    with ledger.finishing(team) as tx:
        opened = store.find_scan(tx, id=scan, team=team, connection=connection)
        if opened is None or dataset not in opened["datasets"]:
            raise NotFound("No scan of this team asked for the snapshot.")
        row = store.lock_dataset(tx, team=team, connection=connection, name=dataset)
        if row is not None and _is_news(row, opened):
            _apply(tx, team, connection, row, opened, head, tables)
        _land(tx, team, connection, scan, dataset, None)


def index_snapshot_failed(event: Finalized, error: BridgeError) -> None:
    """Count the dataset as failed; a snapshot that no scan left has nobody to tell."""
    try:
        team = _owner(event)
    except NotFound:
        return
    names = event.names
    with pool.transaction(team) as tx:
        opened = store.find_scan(tx, id=names["scan"], team=team, connection=names["connection"])
        if opened is not None and names["dataset"] in opened["datasets"]:
            _land(tx, team, names["connection"], names["scan"], names["dataset"], error)


def finish(step: ScanFinished) -> None:
    """Close the scan and its job; the job's state follows from what landed.

    Where a dead step was replayed meanwhile, its data set is expected again: a later round has the end.
    """
    with ledger.finishing(step.team) as tx:
        if jobs.round_of(tx, id=step.scan, team=step.team) != step.round:
            return
        store.close_scan(tx, id=step.scan, team=step.team)
        counted = store.count(tx, step.team, step.connection)
        jobs.finish(tx, id=step.scan, team=step.team, result={"connection_id": step.connection, **counted})


def finish_failed(step: ScanFinished, error: BridgeError) -> None:
    """The scan is done but could not be closed: end its job with the cause."""
    with pool.transaction(step.team) as tx:
        jobs.finish(tx, id=step.scan, team=step.team, error={"code": error.code, "message": error.message})


def _owner(event: Finalized) -> TeamId:
    """The team whose scan left the snapshot; raises NotFound when none did, or its connection is gone."""
    scan, connection = event.names["scan"], event.names["connection"]
    if not is_id(scan) or not is_id(connection):
        raise NotFound("The object's name is not that of a snapshot.")
    with pool.transaction() as tx:
        team = store.team_of_scan(tx, id=scan, connection=connection)
    if team is None:
        raise NotFound("No scan left this snapshot.")
    return team


def _chosen(tx: pool.Tx, team: TeamId, new: NewScan) -> list[str]:
    if new.dataset_ids is None:
        return [str(row["name"]) for row in store.all_datasets(tx, team, new.connection_id)]
    wanted = set(new.dataset_ids)
    rows = store.datasets_by_id(tx, team, new.connection_id, sorted(wanted))
    if missing := wanted - {str(row["id"]) for row in rows}:
        raise ValidationFailed(
            f"The connection has no dataset {min(missing)}.", field="dataset_ids", reason="not found"
        )
    return [str(row["name"]) for row in rows]


def _is_news(row: pool.Row, scan: pool.Row) -> bool:
    """Whether no later scan has written this dataset."""
    return row["last_scanned_at"] is None or scan["created_at"] >= row["last_scanned_at"]


def _apply(
    tx: pool.Tx,
    team: TeamId,
    connection: str,
    row: pool.Row,
    scan: pool.Row,
    head: snapshot.Head,
    tables: Any,
) -> None:
    dataset, at = str(row["id"]), scan["created_at"]
    if row["content_sha256"] == head.sha256:
        store.touch_dataset(tx, team=team, id=dataset, at=at)
        return
    names: list[str] = []
    while batch := list(islice(tables, TABLES_A_BATCH)):
        store.upsert_tables(tx, team=team, dataset=dataset, tables=batch)
        names += [table["name"] for table in batch]
    store.mark_tables_removed(tx, team=team, dataset=dataset, names=names)
    store.record_content(tx, team=team, id=dataset, at=at, sha=head.sha256)
    store.bump_version(tx, team, connection)


def _land(
    tx: pool.Tx, team: TeamId, connection: str, scan: str, dataset: str, error: BridgeError | None
) -> None:
    """Count the dataset; the landing that completes the scan promises its end, in the same transaction."""
    problem = {"dataset": dataset, "code": error.code, "message": error.message} if error else None
    if jobs.land(tx, job=scan, team=team, key=dataset, error=problem):
        going = jobs.round_of(tx, id=scan, team=team)
        outbox.send(tx, ScanFinished(team=team, connection=connection, scan=scan, round=going))
