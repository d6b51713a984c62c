"""Everything that can be known of a document before it is kept.

    parse ─► connection ─► compile (guard) ─► dry run of each query ─► encodings against its columns

Used by the endpoint, by saving, by the index of objects that came by other ways, and by the agent's
tool: a document that passes here is one that a person can open. Findings carry the place in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from shared.catalog import service as catalog
from shared.connections import service as connections
from shared.connections.model import OpenConnection
from shared.dashboards import reading
from shared.dashboards.charts import grammar as charts
from shared.dashboards.charts.fields import Columns
from shared.dashboards.compiling import compiler, filters, references
from shared.dashboards.compiling.filters import Clock
from shared.dashboards.document.model import ChartTile, Document, KpiTile, TableTile
from shared.dashboards.document.problems import Problems, did_you_mean
from shared.dashboards.views import QueryReport, Report
from shared.platform import clock, threads
from shared.platform.errors import BridgeError, NotFound
from shared.platform.ids import TeamId
from shared.platform.postgres import pool as pg
from shared.platform.text.safe_yaml import Path
from shared.querying import access
from shared.querying import service as querying
from shared.querying.access import Access
from shared.warehouses import registry
from shared.warehouses.contract import DryRun
from shared.warehouses.types import Field

PARALLEL = 4
PARTITION_ADVICE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Verdict:
    """A report, and what saving needs to go on."""

    report: Report
    document: Document | None = None
    connection: OpenConnection | None = None
    prepared: compiler.Prepared | None = None
    schemas: dict[str, tuple[Field, ...]] = field(default_factory=dict)


def read(team: TeamId, text: str) -> reading.Parsed:
    """The document of a text, its queries looked at in the dialect of the connection that it names."""
    return reading.parse(text, lambda named: connections.dialect_of(team, named) or registry.usual())


def examine(team: TeamId, text: str) -> Verdict:
    """Check a text completely. Raises only what a repetition can cure (the warehouse is not reachable)."""
    parsed = read(team, text)
    problems = Problems(parsed.positions)
    problems.found += parsed.problems
    if parsed.document is None:
        return Verdict(_report(problems, []))
    try:
        opened = _open(team, parsed.document.connection)
    except BridgeError as error:
        if error.retryable:
            raise
        problems.error(("connection",), error.message, _known_connections(team, parsed.document.connection))
        return Verdict(_report(problems, []), parsed.document)
    reach = access.through(team, opened)
    plan, prepared = _plan(parsed.document, reach)
    schemas, reports = _dry_runs(reach, parsed.document, plan, problems)
    below = references.dependencies(parsed.document, reach.dialect)
    for id, refusal in plan.failed.items():
        # What is built on a refused query is refused for the same reason: it is said once, at its cause.
        if not set(below[id]) & set(plan.failed):
            _add_refusal(parsed.document, id, refusal, problems)
    _check_columns(parsed.document, schemas, problems)
    return Verdict(_report(problems, reports), parsed.document, opened, prepared, schemas)


def _open(team: TeamId, name: str) -> OpenConnection:
    with pg.transaction(team) as tx:
        row = connections.find_by_name(tx, team, name)
    if row is None:
        raise NotFound(f"The team has no connection {name}.")
    return connections.open_warehouse(team, row["id"])


def _known_connections(team: TeamId, name: str) -> str | None:
    from shared.platform.paging import Page

    known = [line.name for line in connections.list_connections(team, Page(limit=50)).connections]
    return did_you_mean(name, known) or "Add a connection first."


def _plan(parsed: Document, reach: Access) -> tuple[compiler.Plan, compiler.Prepared]:
    at = Clock.at(clock.now(), parsed.timezone)
    prepared = compiler.prepare(parsed, dialect=reach.dialect, project=reach.project, allowed=reach.allowed)
    values = filters.read(parsed, {}, at)
    plan = compiler.bind(
        prepared,
        values,
        at,
        connection=reach.opened.id,
        generation=reach.opened.credentials_generation,
        policy=reach.policy,
    )
    return plan, prepared


def _dry_runs(
    reach: Access, parsed: Document, plan: compiler.Plan, problems: Problems
) -> tuple[dict[str, tuple[Field, ...]], list[QueryReport]]:
    """Ask the warehouse about every query, a few at a time."""
    own = {query.id for query in parsed.queries}
    queries = [query for query in plan.queries if query.id in own]

    def ask(query: compiler.PlannedQuery) -> querying.Estimate | BridgeError:
        try:
            return querying.estimate(reach, query)
        except BridgeError as error:
            if error.retryable:
                raise
            return error

    with threads.Pool(PARALLEL, "query") as pool:
        answers = list(pool.map(ask, queries))
    schemas: dict[str, tuple[Field, ...]] = {}
    reports: list[QueryReport] = []
    for query, found in zip(queries, answers, strict=True):
        if isinstance(found, BridgeError):
            _add_refusal(parsed, query.id, found, problems)
            continue
        answer = found.dry_run
        schemas[query.id] = answer.schema
        reports.append(
            QueryReport(
                id=query.id,
                fingerprint=query.checked.fingerprint,
                bytes_scanned=answer.bytes_scanned,
                schema=[{"name": column.name, "type": column.type} for column in answer.schema],
                tables=list(answer.tables),
            )
        )
        if not found.within:
            _add_refusal(parsed, query.id, found.over(), problems, _cheaper(reach, answer))
    return schemas, reports


def _cheaper(reach: Access, answer: DryRun) -> str:
    """What would make the query cheaper: the partition column, by name, where there is one."""
    shapes = catalog.shapes(reach.team, reach.opened.id, list(answer.tables))
    named = [
        f"{name} is partitioned by {shape.partitioning['column']}"
        for name, shape in shapes.items()
        if shape.partitioning and shape.partitioning.get("column")
    ]
    if named:
        return f"Filter on the partition column: {'; '.join(named[:3])}."
    if answer.bytes_scanned > PARTITION_ADVICE_BYTES:
        return "Read fewer columns, or read from a partitioned or summarised table."
    return "Read fewer columns or fewer rows."


def _add_refusal(
    parsed: Document, id: str, error: BridgeError, problems: Problems, hint: str | None = None
) -> None:
    index = next(n for n, query in enumerate(parsed.queries) if query.id == id)
    said = (
        error.message
        if not error.reason or error.reason in error.message
        else f"{error.message} ({error.reason})"
    )
    problems.error(("queries", index, "sql"), said, hint, code=error.code)


def _check_columns(parsed: Document, schemas: dict[str, tuple[Field, ...]], problems: Problems) -> None:
    """What tiles and filters name must be in their query's result."""
    for index, tile in enumerate(parsed.layout):
        path: Path = ("layout", index, "options")
        if isinstance(tile, ChartTile) and tile.query in schemas:
            for place, message, hint in charts.check(tile, schemas[tile.query]):
                problems.error((*path, *place), message, hint)
        elif isinstance(tile, KpiTile) and tile.query in schemas:
            _check_kpi(path, tile, schemas, problems)
        elif isinstance(tile, TableTile) and tile.query in schemas:
            named: list[tuple[Path, str]] = [
                *((("columns", n), column.field) for n, column in enumerate(tile.options.columns)),
                *((("sort",), key.column) for key in tile.options.sort),
                *((("totals", n), name) for n, name in enumerate(tile.options.totals)),
                *((("conditional", n), rule.when.column) for n, rule in enumerate(tile.options.conditional)),
            ]
            for place, name in named:
                _has((*path, *place), name, schemas[tile.query], problems)
    for index, alert in enumerate(parsed.alerts):
        if alert.query in schemas:
            place = ("alerts", index, "condition")
            _has(place, alert.condition.column, schemas[alert.query], problems)


def _check_kpi(path: Path, tile: KpiTile, schemas: dict[str, tuple[Field, ...]], problems: Problems) -> None:
    options, fields = tile.options, schemas[tile.query]
    found = _has((*path, "value"), options.value, fields, problems)
    if found and not Columns(fields).is_number(options.value) and options.compare is not None:
        problems.error(
            (*path, "value"), f"{options.value} is not a number, so it can't be compared.", "Drop compare."
        )
    if options.compare is not None and options.compare.column is not None:
        _has((*path, "compare"), options.compare.column, fields, problems)
    if (line := options.sparkline) is not None and (line.query or tile.query) in schemas:
        for name in ("x", "y"):
            _has((*path, "sparkline", name), getattr(line, name), schemas[line.query or tile.query], problems)


def _has(path: Path, name: str, fields: Sequence[Field], problems: Problems) -> bool:
    names: Iterable[str] = [column.name for column in fields]
    if name in names:
        return True
    problems.error(path, f"The result has no column {name}.", partial(did_you_mean, name, list(names)))
    return False


def _report(problems: Problems, reports: list[QueryReport]) -> Report:
    return Report(
        valid=not problems.errors, errors=problems.errors, warnings=problems.warnings, queries=reports
    )
