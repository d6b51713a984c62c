"""The dashboard document: the one source of its JSON Schema, its reference page and its checks.

    Document ─┬─ refresh
              ├─ filters[]   what a reader can choose; bound into SQL as typed parameters
              ├─ queries[]   one read-only statement each; may build on another by {{ ref('id') }}
              ├─ layout[]    tiles: kpi, chart, table, text, filter_bar, section
              └─ alerts[]

What a single field may hold is checked here; what fields say of each other is checked in `references`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from shared.dashboards.document import schedules
from shared.dashboards.document.shapes import (
    Channel,
    Channels,
    Color,
    Column,
    Compare,
    Condition,
    DateRange,
    Format,
    Identifier,
    Label,
    NumberRange,
    Option,
    Short,
    SortKeys,
    Strict,
    TileId,
    Title,
)
from shared.dashboards.document.shapes import Slug as SlugText

COLUMNS = 12
MAX_ROWS_HIGH = 24
ViewType = Literal["analytical", "operational", "strategic"]
Mark = Literal[
    "line", "area", "bar", "stacked_bar", "point", "heatmap", "arc", "histogram", "boxplot", "geoshape"
]
Size = Literal["small", "medium", "large"]
WIDTHS: dict[Size, int] = {"small": 3, "medium": 6, "large": 12}


class Refresh(Strict):
    """How fresh the data is kept."""

    ttl_seconds: int = Field(
        default=86_400, ge=1, le=30 * 86_400, description="Age up to which a result is fresh."
    )
    schedule: str | None = Field(
        default=None,
        max_length=120,
        description="Cron by which the cache is warmed, in the document's time zone.",
    )
    stale_while_revalidate_seconds: int = Field(
        default=86_400,
        ge=0,
        le=30 * 86_400,
        description="How long after that a result is still served while it is refreshed.",
    )

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, value: str | None) -> str | None:
        if value is not None and (wrong := schedules.problem(value)) is not None:
            raise ValueError(wrong)
        return value


class _Filter(Strict):
    id: Identifier = Field(description="Name of the parameter in SQL and in the page's address.")
    label: Label = Field(default="", description="What the reader sees; from the id otherwise.")
    applies_to: list[Identifier] = Field(
        default_factory=list,
        max_length=64,
        description="Queries that it restricts; empty: every query that mentions its parameter.",
    )


class DateRangeFilter(_Filter):
    """Binds @id_start and @id_end (dates, NULL = open)."""

    type: Literal["date_range"]
    default: DateRange | None = Field(default=None, description="Range on opening; all time otherwise.")


class NumberRangeFilter(_Filter):
    """Binds @id_min and @id_max (numbers, NULL = open)."""

    type: Literal["number_range"]
    default: NumberRange | None = Field(default=None, description="Range on opening.")


class _Choice(_Filter):
    options: list[Option] = Field(default_factory=list, max_length=500, description="The choices.")
    options_query: Identifier | None = Field(
        default=None,
        description="Query whose first column gives the choices (and whose second gives their labels).",
    )


class SelectFilter(_Choice):
    """Binds @id (a text, NULL = all)."""

    type: Literal["select"]
    default: str | None = Field(default=None, max_length=300, description="Choice on opening.")


class MultiSelectFilter(_Choice):
    """Binds @id (a list of texts, empty = all)."""

    type: Literal["multi_select"]
    default: list[Annotated[str, StringConstraints(max_length=300)]] = Field(
        default_factory=list, max_length=100, description="Choices on opening."
    )


class SearchFilter(_Filter):
    """Binds @id (a text, NULL = no restriction)."""

    type: Literal["search"]
    default: str | None = Field(default=None, max_length=300, description="Text on opening.")


class ToggleFilter(_Filter):
    """Binds @id (true or false)."""

    type: Literal["toggle"]
    default: bool = Field(default=False, description="State on opening.")


Filter = Annotated[
    DateRangeFilter | NumberRangeFilter | SelectFilter | MultiSelectFilter | SearchFilter | ToggleFilter,
    Field(discriminator="type"),
]


class Query(Strict):
    """One read-only SQL statement. Filters come as @parameters, other queries as {{ ref('id') }}."""

    id: Identifier = Field(description="Name by which tiles and other queries use it.")
    sql: str = Field(min_length=1, max_length=20_000, description="One SELECT statement.")
    warehouse: str | None = Field(
        default=None,
        max_length=120,
        description="Connection of this query: the document's own, or its type.",
    )
    depends_on: list[Identifier] = Field(
        default_factory=list, max_length=32, description="Queries to run before it; inferred from ref()."
    )
    max_bytes_billed: int | None = Field(
        default=None, ge=1, description="Byte cap of this query; it can only lower the platform's."
    )
    timeout_seconds: int | None = Field(default=None, ge=1, le=600, description="Longest run time.")
    cache_ttl_seconds: int | None = Field(
        default=None, ge=1, le=30 * 86_400, description="Overrides refresh.ttl_seconds for this query."
    )


class Position(Strict):
    """A place on the grid of 12 columns; `y` and `h` count rows."""

    x: int = Field(ge=0, le=COLUMNS - 1, description="Column of the left edge, from 0.")
    y: int = Field(ge=0, le=500, description="Row of the top edge, from 0.")
    w: int = Field(ge=1, le=COLUMNS, description="Width in columns.")
    h: int = Field(ge=1, le=MAX_ROWS_HIGH, description="Height in rows.")

    @model_validator(mode="after")
    def _inside(self) -> Position:
        if self.x + self.w > COLUMNS:
            raise ValueError(f"x + w is {self.x + self.w}; the grid has {COLUMNS} columns")
        return self


class ReferenceLine(Strict):
    """A rule across the chart at a value of the y axis (or of x)."""

    value: float | Annotated[str, StringConstraints(max_length=40)] = Field(description="Where it stands.")
    axis: Literal["x", "y"] = Field(default="y", description="The axis that the value is on.")
    label: Label = Field(default="", description="Text beside it.")
    color: Color = Field(default="neutral", description="Colour by meaning.")


class ChartOptions(Strict):
    """A small grammar that compiles to Vega-Lite, or a guarded Vega-Lite spec."""

    mark: Mark | None = Field(default=None, description="What is drawn.")
    x: Channel | None = Field(default=None, description="Column across.")
    y: Channels | None = Field(default=None, description="Column up, or several measures side by side.")
    series: Channel | None = Field(default=None, description="Column that splits into series.")
    facet: Channel | None = Field(default=None, description="Column that splits into small multiples.")
    sort: Annotated[str, StringConstraints(pattern=r"^-?(x|y)$")] | None = Field(
        default=None, description="x, y, -x or -y; bars of a category are sorted by -y otherwise."
    )
    top: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Keep only the largest so many categories; of lines and areas, series.",
    )
    format: Format = Field(default="auto", description="Number format of the y axis and labels.")
    stack: Literal["zero", "normalize", "none"] | None = Field(default=None, description="How series stack.")
    reference_lines: list[ReferenceLine] = Field(
        default_factory=list, max_length=8, description="Rules at fixed values."
    )
    vega_lite: dict[str, Any] | None = Field(
        default=None, description="A raw Vega-Lite spec without data, links or expressions."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> ChartOptions:
        if (self.mark is None) == (self.vega_lite is None):
            raise ValueError("give either mark (with x and y) or vega_lite")
        return self


class Sparkline(Strict):
    """A small line below a KPI."""

    query: Identifier | None = Field(default=None, description="Query of the line; the tile's otherwise.")
    x: Column = Field(description="Column across, usually a date.")
    y: Column = Field(description="Column up.")


class KpiOptions(Strict):
    """One number from the first row, and what it is held against."""

    value: Column = Field(description="Column of the first row.")
    compare: Compare | None = Field(default=None, description="previous_period, previous_year, target …")
    format: Format = Field(default="auto", description="Number format.")
    unit: Label = Field(default="", description="Shown beside the number.")
    good_direction: Literal["up", "down", "none"] = Field(
        default="none", description="Which change is good: it alone gives the delta a colour."
    )
    sparkline: Sparkline | None = Field(default=None, description="A small line below the number.")


class TableColumn(Short):
    """A column of a table, or just its name."""

    SHORT = "field"

    field: Column = Field(description="Column of the query's result.")
    title: Label | None = Field(default=None, description="Heading; from the column name otherwise.")
    format: Format = Field(default="auto", description="Number format.")
    align: Literal["left", "right", "center"] | None = Field(default=None, description="By type otherwise.")


class ConditionalFormat(Strict):
    """Colour a cell by meaning where a condition holds."""

    when: Condition = Field(description="Column, operator and value.")
    color: Color = Field(description="success, warning or error.")


class TableOptions(Strict):
    """Columns, order and totals of a table."""

    columns: list[TableColumn] = Field(default_factory=list, max_length=60, description="All otherwise.")
    sort: SortKeys = Field(default_factory=list, description="Columns to sort by; -name sorts downwards.")
    conditional: list[ConditionalFormat] = Field(
        default_factory=list, max_length=20, description="Colours by meaning."
    )
    totals: list[Column] = Field(default_factory=list, max_length=30, description="Columns that are summed.")
    page_size: int = Field(default=25, ge=5, le=500, description="Rows a page.")


class TextOptions(Strict):
    """Prose: headings, emphasis and lists of Markdown; no HTML."""

    markdown: str = Field(min_length=1, max_length=10_000, description="The text.")


class FilterBarOptions(Strict):
    """Which filters the bar shows."""

    filters: list[Identifier] = Field(default_factory=list, max_length=32, description="All otherwise.")


class _Tile(Strict):
    id: TileId = Field(description="Name of the tile.")
    title: Title | None = Field(default=None, description="Heading, in sentence case.")
    subtitle: Label | None = Field(default=None, description="What is counted, for which range.")
    size: Size | None = Field(default=None, description="small 3, medium 6, large 12 columns.")
    position: Position | None = Field(default=None, description="A fixed place; by the rules otherwise.")
    color: Color = Field(default="neutral", description="Neutral unless it means something.")


class KpiTile(_Tile):
    """One number."""

    type: Literal["kpi"]
    query: Identifier = Field(description="The query it shows.")
    options: KpiOptions = Field(description="Value, comparison, format.")


class ChartTile(_Tile):
    """A chart."""

    type: Literal["chart"]
    query: Identifier = Field(description="The query it shows.")
    options: ChartOptions = Field(description="The chart grammar.")


class TableTile(_Tile):
    """A table."""

    type: Literal["table"]
    query: Identifier = Field(description="The query it shows.")
    options: TableOptions = Field(default_factory=TableOptions, description="Columns, order, totals.")


class TextTile(_Tile):
    """Prose between the tiles."""

    type: Literal["text"]
    options: TextOptions = Field(description="The text.")


class FilterBarTile(_Tile):
    """The reader's filters."""

    type: Literal["filter_bar"]
    options: FilterBarOptions = Field(default_factory=FilterBarOptions, description="Which filters.")


class SectionTile(_Tile):
    """A heading; the tiles that follow it belong to it."""

    type: Literal["section"]


Tile = Annotated[
    KpiTile | ChartTile | TableTile | TextTile | FilterBarTile | SectionTile, Field(discriminator="type")
]


class Alert(Strict):
    """Mail these people when the condition holds in the query's first row."""

    id: Identifier = Field(description="Name of the alert.")
    query: Identifier = Field(description="Query that is looked at when the dashboard is warmed.")
    condition: Condition = Field(description="Column, operator and value.")
    recipients: list[
        Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
    ] = Field(min_length=1, max_length=20, description="Mail addresses.")


class Document(Strict):
    """A dashboard."""

    version: Literal[1] = Field(description="Version of this format.")
    kind: Literal["dashboard"] = Field(description="Always dashboard.")
    slug: SlugText = Field(description="Name in addresses: lower case letters, digits and hyphens.")
    title: Title = Field(description="Heading, in sentence case.")
    description: str = Field(default="", max_length=2_000, description="What it answers, for whom.")
    view_type: ViewType = Field(default="analytical", description="The kind of reading it is made for.")
    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=60)]] = Field(
        default_factory=list, max_length=20, description="Words to find it by."
    )
    theme: Literal["monotone"] = Field(default="monotone", description="Greys; colour only with meaning.")
    owner_email: str | None = Field(default=None, max_length=254, description="Stamped by the store.")
    created_at: str | None = Field(default=None, max_length=40, description="Stamped by the store.")
    updated_at: str | None = Field(default=None, max_length=40, description="Stamped by the store.")
    connection: Annotated[str, StringConstraints(min_length=1, max_length=120)] = Field(
        description="Name or id of the team's connection."
    )
    timezone: str = Field(default="UTC", max_length=60, description="IANA zone of @today and of dates.")
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(
        default="USD", description="ISO 4217 code of currency formats."
    )
    locale: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = Field(
        default="en-US", description="Language tag of number and date formats."
    )
    refresh: Refresh = Field(default_factory=Refresh, description="Freshness and warming.")
    filters: list[Filter] = Field(default_factory=list, max_length=24, description="Reader's choices.")
    queries: list[Query] = Field(min_length=1, max_length=40, description="The SQL.")
    layout: list[Tile] = Field(min_length=1, max_length=80, description="The tiles, in reading order.")
    alerts: list[Alert] = Field(default_factory=list, max_length=20, description="Conditions to mail about.")

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be an IANA time zone, such as Europe/Berlin") from None
        return value

    def query(self, id: str) -> Query:
        """The query of this id; it is there in a document that `references` passed."""
        return next(query for query in self.queries if query.id == id)
