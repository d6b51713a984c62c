"""What the dashboard endpoints take and answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.dashboards.document.model import ViewType
from shared.dashboards.document.problems import Problem
from shared.platform.paging import Page, Query

MAX_YAML = 256 * 1024


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Draft(_Body):
    """A document to be kept. With `expected_generation` it replaces exactly that object."""

    team_id: str = Field(description="The team that will own it.")
    yaml_content: str = Field(min_length=1, max_length=MAX_YAML, description="The document as YAML.")
    expected_generation: int | None = Field(default=None, ge=1, description="Generation that it replaces.")


class Candidate(_Body):
    """A document to be checked."""

    team_id: str = Field(description="The team whose connection it reads.")
    yaml_content: str = Field(min_length=1, max_length=MAX_YAML, description="The document as YAML.")


class Replacement(_Body):
    """A new text for a dashboard; the If-Match header or `expected_generation` names what it replaces."""

    yaml_content: str = Field(min_length=1, max_length=MAX_YAML, description="The document as YAML.")
    expected_generation: int | None = Field(default=None, ge=1, description="Generation that it replaces.")


class SavedVersion(BaseModel):
    """A version that is now kept."""

    id: str
    slug: str
    title: str
    version: int
    gcs_path: str
    generation: int
    url: str


class QueryReport(BaseModel):
    """What a dry run says of one query."""

    id: str
    fingerprint: str
    bytes_scanned: int
    result_schema: list[dict[str, str]] = Field(alias="schema", default_factory=list)
    tables: list[str] = Field(default_factory=list)

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class Report(BaseModel):
    """Everything that is wrong with a document, and what its queries would do."""

    valid: bool
    errors: list[Problem]
    warnings: list[Problem]
    queries: list[QueryReport] = Field(default_factory=list)


class DashboardLine(BaseModel):
    """A dashboard in a list."""

    id: str
    team_id: str
    slug: str
    title: str
    description: str
    view_type: ViewType
    tags: list[str]
    status: Literal["ready", "invalid"]
    owner_email: str | None
    version: int
    tile_count: int
    access_count: int
    last_viewed_at: str | None
    created_at: str | None
    updated_at: str | None
    url: str


class Dashboards(BaseModel):
    """A page of dashboards."""

    dashboards: list[DashboardLine]
    has_more: bool
    next_cursor: str | None


class ConnectionName(BaseModel):
    """The connection that a dashboard reads."""

    id: str | None
    name: str


class DashboardPage(BaseModel):
    """A dashboard as the page draws it: docs/dashboards.md describes `tiles` and `filters`."""

    id: str
    team_id: str
    slug: str
    title: str
    description: str
    view_type: ViewType
    tags: list[str]
    theme: str
    status: Literal["ready", "invalid"]
    errors: list[Problem]
    owner_email: str | None
    can_edit: bool
    connection: ConnectionName
    version: int
    generation: str
    gcs_path: str
    url: str
    timezone: str
    currency: str
    locale: str
    refresh: dict[str, Any]
    created_at: str | None
    updated_at: str | None
    last_viewed_at: str | None
    access_count: int
    grid: dict[str, int]
    chart_config: dict[str, Any]
    filters: list[dict[str, Any]]
    tiles: list[dict[str, Any]]


class ListFilter(Page):
    """Which dashboards to list."""

    team_id: str | None = Field(default=None, description="The team; the only one otherwise.")
    view_type: ViewType | None = Field(default=None, description="analytical, operational or strategic.")
    owner: str | None = Field(default=None, max_length=254, description="Mail address or id of the owner.")
    q: str | None = Field(default=None, max_length=200, description="Words in title, slug or description.")
    tag: str | None = Field(default=None, max_length=60, description="A tag.")


class InTeam(Query):
    """Which team's dashboard is meant, where the slug alone is not enough."""

    team_id: str | None = Field(default=None, description="The team.")


class History(Page):
    """A page of a history."""

    team_id: str | None = Field(default=None, description="The team.")


class FilterValues(BaseModel):
    """The reader's choices: one parameter a filter, beside `team_id`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    team_id: str | None = Field(default=None, description="The team.")


class RowPage(FilterValues):
    """The reader's choices and the rows that are wanted."""

    limit: int = Field(default=1000, ge=1, le=10_000, description="Most rows to answer.")
    cursor: str | None = Field(default=None, max_length=512, description="`next_cursor` of the page before.")


class Warmed(BaseModel):
    """What a warming did."""

    success: bool
    queries_executed: int
    cache_hits: int
    errors: list[dict[str, Any]]
    cache_key: str
    duration_ms: float


class Purged(BaseModel):
    """The cached results are gone."""

    purged: bool


class PlanView(BaseModel):
    """What will be run, in which order."""

    version: int
    stages: list[list[str]]
    queries: list[dict[str, Any]]
    errors: list[dict[str, Any]]


class VersionLine(BaseModel):
    """One version in the history."""

    version: int
    author_email: str | None
    summary: list[str]
    content_sha256: str
    generation: str
    created_at: str | None


class Versions(BaseModel):
    """A page of the history, newest first."""

    versions: list[VersionLine]
    has_more: bool
    next_cursor: str | None
