"""What is known of the data behind a connection, for people, for the agent's tools and for the compiler.

Every reading opens its own short transaction and names the team; another team's ids find nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from shared.catalog import store
from shared.catalog.model import (
    Column,
    Dataset,
    Datasets,
    Discovered,
    Hit,
    Hits,
    OfConnection,
    OfDataset,
    Schema,
    SchemaColumn,
    Search,
    Table,
    Tables,
    TableShape,
)
from shared.connections import service as connections
from shared.platform.clock import iso
from shared.platform.edge import Call
from shared.platform.errors import NotFound, ValidationFailed
from shared.platform.ids import TeamId, is_id
from shared.platform.paging import Page, cut
from shared.platform.postgres import pool

MOST_TABLES = 10_000
MOST_COLUMNS_IN_A_HIT = 20

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def discover(team: TeamId, connection: str) -> Discovered:
    """Ask the warehouse for its datasets and remember them; their tables are a scan's work."""
    opened = connections.open_warehouse(team, connection)
    found = opened.warehouse.datasets()
    with pool.transaction(team) as tx:
        if store.upsert_datasets(tx, team=team, connection=connection, found=found, complete=True):
            store.bump_version(tx, team, connection)
        rows = store.all_datasets(tx, team, connection)
    return Discovered(
        datasets=[_dataset(row) for row in rows],
        warnings=sorted({dataset.problem for dataset in found if dataset.problem}),
    )


def datasets_page(team: TeamId, page: OfConnection) -> Datasets:
    """A page of a connection's datasets, by name."""
    with pool.transaction(team) as tx:
        found = store.list_datasets(tx, team, page.connection_id, page)
    rows, paging = cut(found, page.limit, "name")
    return Datasets(datasets=[_dataset(row) for row in rows], **paging)


def tables_page(team: TeamId, dataset: str, page: Page) -> Tables:
    """A page of a dataset's tables, by name."""
    with pool.transaction(team) as tx:
        rows, paging = cut(store.list_tables(tx, team, dataset, page), page.limit, "name")
    return Tables(tables=[_table(row) for row in rows], **paging)


def schema_page(team: TeamId, table: str, page: Page) -> Schema:
    """A page of a table's columns, in their order."""
    with pool.transaction(team) as tx:
        rows, paging = cut(store.columns_of_table(tx, team, table, page), page.limit, "position")
    return Schema(
        columns=[
            SchemaColumn(
                id=row["id"],
                name=row["path"].rpartition(".")[2],
                nullable=row["mode"] == "NULLABLE",
                **_column(row).model_dump(),
            )
            for row in rows
        ],
        **paging,
    )


def list_datasets(team: TeamId, connection: str) -> list[Dataset]:
    """Every dataset of a connection, by name."""
    with pool.transaction(team) as tx:
        return [_dataset(row) for row in store.all_datasets(tx, team, connection)]


def list_tables(team: TeamId, connection: str, dataset: str | None = None) -> list[Table]:
    """The tables of a connection, or of one dataset by its name, by name; at most MOST_TABLES."""
    with pool.transaction(team) as tx:
        rows = store.tables_of_connection(tx, team, connection, dataset=dataset, limit=MOST_TABLES)
    return [_table(row) for row in rows]


def describe_table(team: TeamId, connection: str, name_or_id: str) -> TableShape:
    """The shape of one table, by project.dataset.table, dataset.table or id; raises NotFound."""
    found = shapes(team, connection, [name_or_id])
    if not found:
        raise NotFound(f"The catalog has no table {name_or_id[:200]!r}.", field="table", reason="not found")
    return next(iter(found.values()))


def shapes(team: TeamId, connection: str, names: Iterable[str]) -> dict[str, TableShape]:
    """The shapes of many tables by fully qualified name, in two statements; unknown names are left out."""
    wanted = sorted({name.replace("`", "") for name in names})
    if not wanted:
        return {}
    with pool.transaction(team) as tx:
        tables = store.find_tables(tx, team, connection, wanted)
        columns = store.columns_of_tables(tx, team, [str(row["id"]) for row in tables]) if tables else []
    by_table: dict[str, list[Column]] = {}
    for row in columns:
        by_table.setdefault(row["table_id"], []).append(_column(row))
    return {
        row["fully_qualified_name"]: TableShape(
            columns=by_table.get(row["id"], []),
            **_table(row).model_dump(exclude={"name", "last_modified"}),
        )
        for row in tables
    }


def search(team: TeamId, asked: Search) -> Hits:
    """Tables whose names, columns or descriptions hold the words; the same words, the same order."""
    words = _query(asked.q)
    if not words:
        return Hits(hits=[])
    with pool.transaction(team) as tx:
        rows, matched = store.search(
            tx, team=team, connection=asked.connection_id, words=words, limit=asked.limit
        )
    return Hits(
        hits=[
            Hit(
                table_id=row["id"],
                connection_id=row["connection_id"],
                fully_qualified_name=row["fully_qualified_name"],
                table_type=row["table_type"],
                description=row["description"],
                matched_columns=matched.get(row["id"], [])[:MOST_COLUMNS_IN_A_HIT],
                score=round(row["score"], 4),
            )
            for row in rows
        ]
    )


def allowed_datasets(team: TeamId, connection: str) -> set[str]:
    """The datasets ("project.dataset") that queries over this connection may read."""
    return {dataset.fully_qualified_name for dataset in list_datasets(team, connection)}


def version(team: TeamId, connection: str) -> int:
    """The number that grows with every change of the catalog; raises NotFound."""
    with pool.transaction(team) as tx:
        return store.version(tx, team, connection)


def dataset_of(call: Call) -> str:
    """The dataset that the path or the query names."""
    given = call.path.get("dataset_id") or (
        call.query.dataset_id if isinstance(call.query, OfDataset) else None
    )
    if given is None:
        raise ValidationFailed("Name the dataset: ?dataset_id=…", field="dataset_id", reason="missing")
    return str(given)


def team_of_dataset(call: Call) -> TeamId:
    """The team of that dataset; raises NotFound for a stranger's."""
    id = dataset_of(call)
    with pool.transaction(call.teams) as tx:
        return store.team_of_dataset(tx, id)


def team_of_table(call: Call) -> TeamId:
    """The team of the table in the path; raises NotFound for a stranger's."""
    id = call.path["table_id"]
    if not is_id(id):
        raise NotFound
    with pool.transaction(call.teams) as tx:
        return store.team_of_table(tx, id)


def _query(text: str) -> str:
    """A text-search query that any of the words satisfies, also by its beginning."""
    words = _WORD.findall(_CAMEL.sub(" ", text).lower())
    return " | ".join(f"{word}:*" for word in dict.fromkeys(words[:20]))


def _dataset(row: Mapping[str, object]) -> Dataset:
    return Dataset.model_validate(_with_times(row, "last_modified", "last_scanned_at"))


def _table(row: Mapping[str, object]) -> Table:
    return Table.model_validate(_with_times(row, "last_modified"))


def _column(row: Mapping[str, object]) -> Column:
    return Column.model_validate({name: row[name] for name in Column.model_fields})


def _with_times(row: Mapping[str, object], *names: str) -> dict[str, object]:
    return {**row, **{name: iso(row[name]) for name in names}}  # type: ignore[arg-type]
