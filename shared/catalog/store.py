"""Rows of scans, datasets, tables and columns: writes by the batch, reads by the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.platform.ids import TeamId, new_id
from shared.platform.paging import Page
from shared.platform.postgres import pool, sql
from shared.platform.text import strict_json
from shared.warehouses.contract import DatasetInfo

Q = sql.load(__file__)


def lock_scans(tx: pool.Tx, connection: str) -> None:
    """Until the end of the transaction nobody else opens a scan of this connection."""
    tx.all(Q.lock_connection_scans, connection=connection)


def running_scan(tx: pool.Tx, team: TeamId, connection: str) -> str | None:
    """The id of a scan of this connection that has not ended."""
    row = tx.find(Q.running_scan, team=team, connection=connection)
    return str(row["id"]) if row else None


def open_scan(tx: pool.Tx, *, id: str, team: TeamId, connection: str, datasets: list[str]) -> None:
    """Record a scan; a repetition with the same id changes nothing."""
    tx.run(Q.open_scan, id=id, team=team, connection=connection, datasets=datasets)


def find_scan(tx: pool.Tx, *, id: str, team: TeamId, connection: str) -> pool.Row | None:
    """The scan of this connection, or None."""
    return tx.find(Q.find_scan, id=id, team=team, connection=connection)


def team_of_scan(tx: pool.Tx, *, id: str, connection: str) -> TeamId | None:
    """Whose scan of this connection it is; the one look-up that comes before a team is known."""
    team = tx.one(Q.team_of_scan, id=id, connection=connection)["team_id"]
    return TeamId(team) if team else None


def close_scan(tx: pool.Tx, *, id: str, team: TeamId) -> None:
    """Mark the scan ended; later calls change nothing."""
    tx.run(Q.close_scan, id=id, team=team)


def upsert_datasets(
    tx: pool.Tx, *, team: TeamId, connection: str, found: Sequence[DatasetInfo], complete: bool
) -> bool:
    """Bring the datasets up to date; with a complete list, those not in it are marked removed.

    Answers whether anything that a reader sees has changed.
    """
    changed = False
    known = [dataset for dataset in found if dataset.problem is None]
    partial = [dataset for dataset in found if dataset.problem is not None]
    for statement, batch in ((Q.upsert_datasets, known), (Q.keep_known_details, partial)):
        if batch:
            rows = _json([_dataset(dataset) for dataset in batch])
            changed |= bool(tx.all(statement, team=team, connection=connection, rows=rows))
    if complete:
        names = [dataset.name for dataset in found]
        changed |= bool(tx.all(Q.mark_datasets_removed, team=team, connection=connection, names=names))
    return changed


def bump_version(tx: pool.Tx, team: TeamId, connection: str) -> None:
    """Tell everybody who keeps something made from the catalog that it has changed."""
    tx.run(Q.bump_catalog_version, team=team, connection=connection)


def version(tx: pool.Tx, team: TeamId, connection: str) -> int:
    """The number that grows with every change of the catalog; raises NotFound."""
    return int(tx.one(Q.catalog_version, team=team, connection=connection)["catalog_version"])


def lock_dataset(tx: pool.Tx, *, team: TeamId, connection: str, name: str) -> pool.Row | None:
    """The dataset, held until the end of the transaction."""
    return tx.find(Q.lock_dataset, team=team, connection=connection, name=name)


def touch_dataset(tx: pool.Tx, *, team: TeamId, id: str, at: datetime) -> None:
    """Record that the dataset was looked at and had not changed."""
    tx.run(Q.touch_dataset, team=team, id=id, at=at)


def record_content(tx: pool.Tx, *, team: TeamId, id: str, at: datetime, sha: str) -> None:
    """Record which content the directory now shows."""
    tx.run(Q.record_content, team=team, id=id, at=at, sha=sha)


def upsert_tables(tx: pool.Tx, *, team: TeamId, dataset: str, tables: list[dict[str, Any]]) -> None:
    """Bring one batch of tables, their columns and the words to find them by up to date."""
    rows = [
        {"id": new_id(), **{key: value for key, value in table.items() if key != "columns"}}
        for table in tables
    ]
    names = [table["name"] for table in tables]
    tx.run(Q.upsert_tables, team=team, dataset=dataset, rows=_json(rows))
    known = tx.all(Q.table_ids, team=team, dataset=dataset, names=names)
    ids = {row["name"]: str(row["id"]) for row in known}
    columns = [
        {"id": new_id(), "table_id": ids[table["name"]], **column}
        for table in tables
        for column in table["columns"]
    ]
    kept = [f"{column['table_id']} {column['path']}" for column in columns]
    tx.run(Q.upsert_columns, team=team, rows=_json(columns))
    tx.run(Q.mark_columns_removed, team=team, tables=list(ids.values()), kept=kept)
    tx.run(Q.index_words, team=team, tables=list(ids.values()))


def mark_tables_removed(tx: pool.Tx, *, team: TeamId, dataset: str, names: list[str]) -> None:
    """Mark the tables that a complete snapshot does not name."""
    tx.run(Q.mark_tables_removed, team=team, dataset=dataset, names=names)


def count(tx: pool.Tx, team: TeamId, connection: str) -> dict[str, int]:
    """How much the catalog of a connection holds."""
    row = tx.one(Q.count_catalog, team=team, connection=connection)
    return {name: int(value) for name, value in row.items()}


def list_datasets(tx: pool.Tx, team: TeamId, connection: str, page: Page) -> list[pool.Row]:
    """A page of datasets by name, with one row more than the limit."""
    (after,) = page.after("text")
    return tx.all(
        Q.list_datasets,
        team=team,
        connection=connection,
        after_name=after,
        limit=page.limit + 1,
        offset=page.offset,
    )


def all_datasets(tx: pool.Tx, team: TeamId, connection: str) -> list[pool.Row]:
    """Every dataset by name."""
    return tx.all(Q.list_datasets, team=team, connection=connection, after_name=None, limit=100_000, offset=0)


def datasets_by_id(tx: pool.Tx, team: TeamId, connection: str, ids: list[str]) -> list[pool.Row]:
    """Those of the datasets that this connection has, by name."""
    return tx.all(Q.datasets_by_id, team=team, connection=connection, ids=ids)


def dataset_by_name(tx: pool.Tx, team: TeamId, connection: str, name: str) -> pool.Row:
    """The dataset; raises NotFound."""
    return tx.one(Q.dataset_by_name, team=team, connection=connection, name=name)


def team_of_dataset(tx: pool.Tx, id: str) -> TeamId:
    """The team of a dataset, among those of the transaction; raises NotFound."""
    return TeamId(tx.one(Q.team_of_dataset, id=id)["team_id"])


def team_of_table(tx: pool.Tx, id: str) -> TeamId:
    """The team of a table, among those of the transaction; raises NotFound."""
    return TeamId(tx.one(Q.team_of_table, id=id)["team_id"])


def list_tables(tx: pool.Tx, team: TeamId, dataset: str, page: Page) -> list[pool.Row]:
    """A page of a dataset's tables by name, with one row more than the limit."""
    (after,) = page.after("text")
    return tx.all(
        Q.list_tables_of_dataset,
        team=team,
        dataset=dataset,
        after_name=after,
        limit=page.limit + 1,
        offset=page.offset,
    )


def tables_of_connection(
    tx: pool.Tx, team: TeamId, connection: str, *, dataset: str | None, limit: int
) -> list[pool.Row]:
    """The tables of a connection, or of one of its datasets, by name."""
    return tx.all(Q.list_tables_of_connection, team=team, connection=connection, dataset=dataset, limit=limit)


def find_tables(tx: pool.Tx, team: TeamId, connection: str, names: list[str]) -> list[pool.Row]:
    """The tables of these names or ids."""
    return tx.all(Q.find_tables, team=team, connection=connection, names=names)


def columns_of_tables(tx: pool.Tx, team: TeamId, tables: list[str]) -> list[pool.Row]:
    """The columns of many tables, each table's in order."""
    return tx.all(Q.columns_of_tables, team=team, tables=tables)


def columns_of_table(tx: pool.Tx, team: TeamId, table: str, page: Page) -> list[pool.Row]:
    """A page of a table's columns in order, with one row more than the limit."""
    (after,) = page.after("number")
    return tx.all(
        Q.columns_of_table,
        team=team,
        table=table,
        after_position=after,
        limit=page.limit + 1,
        offset=page.offset,
    )


def _dataset(dataset: DatasetInfo) -> dict[str, Any]:
    return {
        "id": new_id(),
        "name": dataset.name,
        "fully_qualified_name": dataset.fully_qualified_name,
        "description": dataset.description,
        "location": dataset.location,
        "last_modified": dataset.last_modified,
    }


def _json(rows: list[dict[str, Any]]) -> str:
    return strict_json.dumps(rows).decode()


def search(
    tx: pool.Tx, *, team: TeamId, connection: str | None, words: str, limit: int
) -> tuple[list[pool.Row], dict[str, list[str]]]:
    """The tables that match a text-search query, best first, and for each the columns that match."""
    tables = tx.all(Q.search, team=team, connection=connection, words=words, limit=limit)
    matched: dict[str, list[str]] = {}
    ids = [str(table["id"]) for table in tables]
    for row in tx.all(Q.matching_columns, team=team, tables=ids, words=words) if ids else []:
        matched.setdefault(str(row["table_id"]), []).append(str(row["path"]))
    return tables, matched
