"""What a query may name, and what it named so far."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from local.cloud.bigquery import wildcards
from local.cloud.bigquery.auth import Caller
from local.cloud.bigquery.errors import not_found
from local.cloud.bigquery.fields import Field
from local.cloud.bigquery.store import Dataset, Store, Table

Parse = Callable[[str], exp.Expression]
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class View:
    """One INFORMATION_SCHEMA view of a project and a dataset or a region."""

    key: tuple[str, ...]
    fields: list[Field]
    rows: Callable[[Store, Callable[[Table], Table]], Iterator[Row]]


@dataclass(frozen=True, slots=True)
class Source:
    """One occurrence of a table in a query. Exactly one of `table` and `view` is set."""

    name: str
    fields: list[Field]
    table: Table | None = None
    view: View | None = None


@dataclass(slots=True)
class Scope:
    """What a query may name, and what it named."""

    store: Store
    parse: Parse
    project: str
    default: tuple[str, str] | None
    location: str | None
    caller: Caller
    decide: wildcards.Decide
    sources: dict[str, Source] = field(default_factory=dict)
    locations: set[str] = field(default_factory=set)
    views: list[Table] = field(default_factory=list)


def find_dataset(scope: Scope, project: str, name: str) -> Dataset:
    """The dataset, when it exists in the location where the job runs."""
    dataset = scope.store.find_dataset(project, name)
    if dataset is None or (scope.location and dataset.location.upper() != scope.location.upper()):
        raise not_found("Dataset", f"{project}:{name}", scope.location or "US")
    scope.locations.add(dataset.location)
    if len(scope.locations) > 1:
        other = next(iter(scope.locations - {dataset.location}))
        raise not_found("Dataset", f"{project}:{name}", other)
    return dataset
