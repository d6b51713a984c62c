"""The catalog as the analyst sees it: tables and columns with the statistics that the tools reported.

Built only from tool results, so nothing can be planned about a table that no tool has shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.analyst.builtin import words
from shared.analyst.builtin.effort import Effort
from shared.warehouses import registry
from shared.warehouses.dialect import Dialect
from shared.warehouses.types import Kind


@dataclass(frozen=True)
class Statistics:
    """What a sample or a profile says of a column; None where it was not measured."""

    distinct: int | None = None
    minimum: Any = None
    maximum: Any = None
    null_share: float | None = None
    top: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Column:
    """A scalar column, or a scalar leaf of a struct (its path is dotted)."""

    path: str
    kind: Kind
    description: str = ""
    position: int = 0
    stats: Statistics = Statistics()

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its name."""
        return words.split(self.path)

    @property
    def is_number(self) -> bool:
        """Whether arithmetic makes sense on its type."""
        return self.kind.is_number

    @property
    def is_time(self) -> bool:
        """Whether it is a date or an instant."""
        return self.kind.is_time


@dataclass(frozen=True)
class Table:
    """A table or view."""

    name: str
    """Fully qualified: project.dataset.table."""
    dialect: Dialect
    description: str = ""
    rows: int | None = None
    size_bytes: int | None = None
    partition: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()

    @property
    def short(self) -> str:
        """The last part of the name."""
        return self.name.rsplit(".", 1)[-1]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its own name."""
        return words.split(self.short)

    def column(self, path: str) -> Column:
        """The column of this path; raises KeyError."""
        for column in self.columns:
            if column.path == path:
                return column
        raise KeyError(path)

    def has(self, path: str) -> bool:
        """Whether it has a column of this path."""
        return any(column.path == path for column in self.columns)


@dataclass(frozen=True)
class View:
    """The tables that the tools have shown, in a stable order."""

    tables: tuple[Table, ...] = ()
    effort: Effort = field(default_factory=Effort, repr=False, compare=False)
    """What looking things up in it may cost."""

    def table(self, name: str) -> Table:
        """The table of this full name; raises KeyError."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


def read_table(shape: Mapping[str, Any]) -> Table:
    """A table from what `get_table_schema` answered."""
    dialect = registry.dialect(str(shape["dialect"]))
    columns = tuple(
        _column(entry, index, dialect)
        for index, entry in enumerate(shape.get("columns") or ())
        if str(entry.get("mode", "")).upper() != "REPEATED"
    )
    return Table(
        name=str(shape["table"]),
        dialect=dialect,
        description=str(shape.get("description") or ""),
        rows=_whole(shape.get("row_count")),
        size_bytes=_whole(shape.get("size_bytes")),
        partition=dict(shape.get("partitioning") or {}),
        columns=tuple(column for column in columns if column.kind not in (Kind.RECORD, Kind.LIST)),
    )


def _column(entry: Mapping[str, Any], index: int, dialect: Dialect) -> Column:
    sampled = entry.get("statistics") or {}
    stats = Statistics(
        distinct=_whole(sampled.get("distinct")),
        minimum=sampled.get("min"),
        maximum=sampled.get("max"),
        null_share=sampled.get("null_share"),
        top=_top(sampled.get("top_values")),
    )
    return Column(
        path=str(entry["path"]),
        kind=dialect.kind(str(entry["type"])),
        description=str(entry.get("description") or ""),
        position=int(entry.get("position") or index),
        stats=stats,
    )


def with_profiles(table: Table, profiles: Mapping[str, Mapping[str, Any]]) -> Table:
    """The table with what `profile_column` found about some of its columns."""

    def profiled(column: Column) -> Column:
        found = profiles.get(column.path)
        if found is None:
            return column
        known = column.stats
        distinct, share = _whole(found.get("distinct")), found.get("null_share")
        return replace(
            column,
            stats=Statistics(
                distinct=known.distinct if distinct is None else distinct,
                minimum=known.minimum if found.get("min") is None else found["min"],
                maximum=known.maximum if found.get("max") is None else found["max"],
                null_share=known.null_share if share is None else share,
                top=_top(found.get("top_values")) or known.top,
            ),
        )

    return replace(table, columns=tuple(profiled(column) for column in table.columns))


def _top(values: Iterable[Mapping[str, Any]] | None) -> tuple[tuple[str, int], ...]:
    return tuple(
        (str(entry["value"]), int(entry["count"])) for entry in values or () if entry.get("value") is not None
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
