"""The catalog as it is asked for and answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.platform.paging import Page, Query

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Mode = Literal["NULLABLE", "REQUIRED", "REPEATED"]


class Of(Query):
    """The connection that a request is about."""

    connection_id: Id


class OfConnection(Page):
    """A list of what is behind one connection."""

    connection_id: Id


class OfDataset(Page):
    """A list of one dataset's tables; the dataset may stand in the path instead."""

    dataset_id: Id | None = None


class Search(Query):
    """Words to look for in the catalog of a team, or of one of its connections."""

    team_id: Id
    q: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    connection_id: Id | None = None
    limit: int = Field(default=20, ge=1, le=100)


class NewScan(BaseModel):
    """A scan to be started: of all datasets, or of some."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connection_id: Id
    dataset_ids: Annotated[list[Id], Field(min_length=1, max_length=10_000)] | None = None


class Dataset(BaseModel):
    """A dataset of a connection."""

    id: str
    name: str
    fully_qualified_name: str
    description: str | None
    location: str | None
    last_modified: str | None
    last_scanned_at: str | None


class Datasets(BaseModel):
    """A page of datasets, by name."""

    datasets: list[Dataset]
    has_more: bool
    next_cursor: str | None


class Discovered(BaseModel):
    """Every dataset that the credentials see now. `warnings` name locations that did not answer."""

    datasets: list[Dataset]
    warnings: list[str]


class Table(BaseModel):
    """A table or view. Views and external tables have no rows or bytes of their own."""

    id: str
    name: str
    fully_qualified_name: str
    table_type: str
    row_count: int | None
    size_bytes: int | None
    partitioning: dict[str, Any] | None
    clustering: list[str] | None
    description: str | None
    last_modified: str | None


class Tables(BaseModel):
    """A page of tables, by name."""

    tables: list[Table]
    has_more: bool
    next_cursor: str | None


class Column(BaseModel):
    """A column, or with a dotted path a field inside one."""

    path: str
    data_type: str
    mode: Mode
    description: str | None
    position: int


class SchemaColumn(Column):
    """A column as the schema endpoint answers it."""

    id: str
    name: str
    nullable: bool


class Schema(BaseModel):
    """The columns of a table, in their order."""

    columns: list[SchemaColumn]
    has_more: bool
    next_cursor: str | None


class TableShape(BaseModel):
    """All that is known of a table: what the agent's tools and the compiler work from."""

    id: str
    fully_qualified_name: str
    table_type: str
    row_count: int | None
    size_bytes: int | None
    partitioning: dict[str, Any] | None
    clustering: list[str] | None
    description: str | None
    columns: list[Column]


class Hit(BaseModel):
    """A table that a search found, and the columns that made it match."""

    table_id: str
    connection_id: str
    fully_qualified_name: str
    table_type: str
    description: str | None
    matched_columns: list[str]
    score: float


class Hits(BaseModel):
    """The best matches, best first."""

    hits: list[Hit]
