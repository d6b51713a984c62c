"""Document to plan: what will be run, in which order, under which key.

    queries ─► refs inlined as WITH ─► clock bound ─► guard ─► row limit ─► Prepared   (no filter value yet)
    Prepared + filter values + clock ─► parameters, query_hash, cap, ttl ─► Plan

Preparing parses SQL and is worth keeping; binding is cheap and happens at each request with new filters.
A query that the guard refuses fails alone: the others keep their place in the plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from shared.dashboards.compiling import filters as filter_values
from shared.dashboards.compiling import references, templates
from shared.dashboards.compiling.filters import Clock, Values
from shared.dashboards.document.model import Document, KpiTile
from shared.platform.errors import BridgeError
from shared.platform.settings import settings
from shared.platform.text import strict_json
from shared.querying import service as querying
from shared.querying.service import Checked
from shared.warehouses.declared import QueryNotReadOnly
from shared.warehouses.dialect import Dialect
from shared.warehouses.sql import rewrites
from shared.warehouses.sql import text as sql_text
from shared.warehouses.types import Parameter

MAX_ROWS = 10_000
MAX_COMPILED = 400_000
"""Characters of all statements of a document, each with the queries that it builds on."""
RESULT_FORMAT = 1
"""Part of every key: a new form of stored results never meets an old one."""


@dataclass(frozen=True)
class PreparedQuery:
    """A query's final text with what the guard knows of it."""

    id: str
    sql: str
    tables: tuple[str, ...]
    fingerprint: str
    parameters: tuple[str, ...]
    builds_on: frozenset[str]
    max_bytes: int
    timeout_seconds: int
    ttl_seconds: int
    checked: Checked


@dataclass(frozen=True)
class Prepared:
    """A document whose SQL is final, for one connection as it is now."""

    document: Document
    dialect: Dialect
    stages: tuple[tuple[str, ...], ...]
    queries: Mapping[str, PreparedQuery]
    failed: Mapping[str, BridgeError]
    comparisons: Mapping[str, tuple[str, str, str]]
    """Comparison id → (query, previous_period | previous_year, date filter)."""


@dataclass(frozen=True)
class PlannedQuery:
    """One statement to run, or to find in the cache under its hash."""

    id: str
    sql: str
    parameters: tuple[Parameter, ...]
    query_hash: str
    tables: tuple[str, ...]
    max_bytes: int
    timeout_seconds: int
    ttl_seconds: int
    checked: Checked = field(repr=False, compare=False)


@dataclass(frozen=True)
class Plan:
    """Stages of queries that can run side by side; `failed` are those that must not run."""

    stages: tuple[tuple[str, ...], ...]
    queries: tuple[PlannedQuery, ...]
    failed: Mapping[str, BridgeError]
    values: Values

    def query(self, id: str) -> PlannedQuery | None:
        """The planned query of this id."""
        return next((query for query in self.queries if query.id == id), None)


def compile(
    document: Document,
    *,
    dialect: Dialect,
    project: str,
    allowed: Collection[str] | None,
    filters: Mapping[str, str | Sequence[str]],
    clock: Clock,
    connection: str = "",
    generation: int = 0,
    policy: str = "",
) -> Plan:
    """The plan of a document for these filters; raises ValidationFailed for a filter value."""
    prepared = prepare(document, dialect=dialect, project=project, allowed=allowed)
    values = filter_values.read(document, filters, clock)
    return bind(prepared, values, clock, connection=connection, generation=generation, policy=policy)


def prepare(
    document: Document, *, dialect: Dialect, project: str, allowed: Collection[str] | None
) -> Prepared:
    """Inline, rewrite and check every query."""
    edges = references.dependencies(document, dialect)
    texts = _Texts(document, dialect)
    queries: dict[str, PreparedQuery] = {}
    failed: dict[str, BridgeError] = {}
    for query in document.queries:
        try:
            queries[query.id] = _prepare_one(document, query.id, texts, dialect, project, allowed)
        except BridgeError as error:
            failed[query.id] = error
    return Prepared(document, dialect, stages(edges), queries, failed, _comparisons(document, queries))


def bind(
    prepared: Prepared, values: Values, clock: Clock, *, connection: str, generation: int, policy: str = ""
) -> Plan:
    """Give every query its parameters and its key."""
    whose = (connection, generation, policy)
    planned = [
        _bind_one(prepared, query, query.id, values.parameters, clock, whose)
        for query in prepared.queries.values()
    ]
    beside: list[str] = []
    for id, (query_id, comparison, filter_id) in prepared.comparisons.items():
        moved = filter_values.shifted(values, comparison, filter_id)
        if moved is not None:
            query = prepared.queries[query_id]
            planned.append(_bind_one(prepared, query, id, moved, clock, whose))
            beside.append(id)
    order = prepared.stages
    if beside:
        order = (*order[:-1], (*order[-1], *beside))
    return Plan(order, tuple(planned), prepared.failed, values)


def stages(edges: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Queries by depth: each stage waits only for those before it."""
    depth: dict[str, int] = {}
    waiting = list(edges)
    while waiting:
        ready = [id for id in waiting if all(other in depth for other in edges[id])]
        if not ready:
            raise ValueError("the queries build on each other in a circle")
        for id in ready:
            depth[id] = max((depth[other] + 1 for other in edges[id]), default=0)
        waiting = [id for id in waiting if id not in depth]
    levels = range(max(depth.values(), default=-1) + 1)
    return tuple(tuple(id for id in edges if depth[id] == level) for level in levels)


def comparison_id(query: str, comparison: str) -> str:
    """The id under which a comparison's data is answered."""
    return f"{query}__{comparison}"


def query_hash(
    fingerprint: str, parameters: Sequence[Parameter], connection: str, generation: int, policy: str = ""
) -> str:
    """The key of a result: what is asked, with which values, of whom, with whose rights, in which form."""
    typed = [[p.name.lower(), p.kind, p.array, p.value] for p in sorted(parameters, key=lambda p: p.name)]
    whole = [RESULT_FORMAT, fingerprint, typed, connection, generation, policy]
    return hashlib.sha256(strict_json.canonical(whole)).hexdigest()


class _Texts:
    """The queries' texts as common table expressions, each made once, and how much of them is used in all.

    A query is checked with all that it builds on, so forty that build on each other are read forty times over:
    a document may be worth so many characters and no more.
    """

    def __init__(self, document: Document, dialect: Dialect) -> None:
        self._sql = {query.id: query.sql for query in document.queries}
        self._dialect = dialect
        self._left = MAX_COMPILED
        self._common: dict[str, str] = {}
        self.refs = {id: templates.refs(sql, dialect) for id, sql in self._sql.items()}

    def whole(self, id: str, below: Sequence[str]) -> str:
        """The query's statement with those below it as its WITH; raises QueryNotReadOnly when it gets too much."""
        names = {other: f"ref_{other}" for other in below}
        for other in below:
            if other not in self._common:
                text = templates.replaced(
                    self._sql[other], {id: f"ref_{id}" for id in self._sql}, self._dialect
                )
                self._common[other] = rewrites.trimmed(text, self._dialect)
        common = [(names[other], self._common[other]) for other in below]
        self._left -= len(self._sql[id]) + sum(len(text) for _, text in common)
        if self._left < 0:
            raise QueryNotReadOnly(
                f"The dashboard's queries, each with those that it builds on, have more than {MAX_COMPILED:,} "
                "characters together. Put what several share into a view.",
                field="sql",
                reason="the queries are too long together",
            )
        own = templates.replaced(self._sql[id], names, self._dialect)
        return rewrites.bind_clock(rewrites.with_common_tables(own, common, self._dialect), self._dialect)


def _prepare_one(
    document: Document,
    id: str,
    texts: _Texts,
    dialect: Dialect,
    project: str,
    allowed: Collection[str] | None,
) -> PreparedQuery:
    query = document.query(id)
    if query.warehouse not in (None, dialect.name, document.connection):
        raise QueryNotReadOnly(
            f"The query {id} names the warehouse {query.warehouse}; a dashboard reads one connection.",
            field="warehouse",
            reason="another connection",
        )
    below = _below(texts.refs, id)
    text, checked = querying.guarded(
        texts.whole(id, below), dialect=dialect, project=project, allowed=allowed, most_rows=MAX_ROWS + 1
    )
    config = settings()
    return PreparedQuery(
        id=id,
        sql=text,
        tables=checked.tables,
        fingerprint=checked.fingerprint,
        parameters=tuple(sql_text.parameters(text, dialect)),
        builds_on=frozenset(below),
        max_bytes=min(query.max_bytes_billed or config.query_bytes_cap, config.query_bytes_cap),
        timeout_seconds=min(
            query.timeout_seconds or config.query_timeout_seconds, config.query_timeout_seconds
        ),
        ttl_seconds=query.cache_ttl_seconds or document.refresh.ttl_seconds,
        checked=checked,
    )


def _below(refs: Mapping[str, Sequence[str]], id: str) -> list[str]:
    """The queries that this one is made of, each after those it needs."""
    found: list[str] = []

    def visit(current: str) -> None:
        for other in refs[current]:
            if other not in found:
                visit(other)
                found.append(other)

    visit(id)
    return found


def _bind_one(
    prepared: Prepared,
    query: PreparedQuery,
    id: str,
    given: Mapping[str, Parameter],
    clock: Clock,
    whose: tuple[str, int, str],
) -> PlannedQuery:
    offered = dict(given) | clock.parameters()
    for item in prepared.document.filters:
        if item.applies_to and not ({query.id} | query.builds_on) & set(item.applies_to):
            offered |= filter_values.unrestricted(item)
    parameters = tuple(offered[name] for name in query.parameters)
    return PlannedQuery(
        id=id,
        sql=query.sql,
        parameters=parameters,
        query_hash=query_hash(query.fingerprint, parameters, *whose),
        tables=query.tables,
        max_bytes=query.max_bytes,
        timeout_seconds=query.timeout_seconds,
        ttl_seconds=query.ttl_seconds,
        checked=query.checked,
    )


def _comparisons(document: Document, queries: Mapping[str, PreparedQuery]) -> dict[str, tuple[str, str, str]]:
    """What KPIs are compared with: the same query over the first date filter that it uses."""
    found: dict[str, tuple[str, str, str]] = {}
    for tile in document.layout:
        if not isinstance(tile, KpiTile) or tile.options.compare is None or tile.options.compare.to is None:
            continue
        prepared = queries.get(tile.query)
        for item in document.filters:
            names = set(filter_values.parameter_names(item))
            if item.type == "date_range" and prepared is not None and names & set(prepared.parameters):
                comparison = tile.options.compare.to
                found.setdefault(comparison_id(tile.query, comparison), (tile.query, comparison, item.id))
                break
    return found
