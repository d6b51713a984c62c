"""Logical bytes that a query processes: columns used × partitions left.

BigQuery bills whole columns of the partitions that the filters leave. The tree is narrowed first (projections
and predicates pushed down), then for each stored table: the leaf columns that are read, and the WHERE
conjuncts over the partition column and constants, evaluated against the list of partitions. A table that is
named twice counts each column once, over the union of the partitions.
"""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import duckdb
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.scope import Scope as TreeScope
from sqlglot.optimizer.scope import traverse_scope

from local.cloud.bigquery.engine import Engine
from local.cloud.bigquery.errors import BigQueryError, invalid_query
from local.cloud.bigquery.lowering.rules import kind as kind_of
from local.cloud.bigquery.lowering.tree import lower
from local.cloud.bigquery.partitions import Partitioning, partitioning
from local.cloud.bigquery.scope import Source
from local.cloud.bigquery.store import Table

log = logging.getLogger(__name__)
Used = dict[tuple[str, str, str], tuple[Table, set[str], set[int]]]


def estimate(
    tree: exp.Expression, sources: dict[str, Source], fresh: Callable[[Table], Table], engine: Engine
) -> dict[tuple[str, str, str], int]:
    """The bytes of each table; raises when a table requires a partition filter that the query doesn't have."""
    narrowed = _narrow(tree)
    used: Used = {}
    found: set[str] = set()
    for scope in traverse_scope(narrowed):
        for alias, node in scope.references:
            if not isinstance(node, exp.Table) or node.name not in sources:
                continue
            source = sources[node.name]
            if source.table is None:
                continue
            found.add(node.name)
            table = fresh(source.table)
            kept = _kept(table, alias, scope, engine)
            leaves = _leaves(table, alias, scope)
            known = used.setdefault(table.key, (table, set(), set()))
            known[1].update(leaves)
            known[2].update(kept)
    for name in sources.keys() - found:
        # Not reached by the walk: counted whole, which can only overstate.
        missing = sources[name].table
        if missing is not None:
            table = fresh(missing)
            stats = table.stats or {}
            used[table.key] = (table, set(stats["leaves"]), set(range(len(stats["partitions"]))))
    return {key: _bytes(table, leaves, kept) for key, (table, leaves, kept) in used.items()}


def _narrow(tree: exp.Expression) -> exp.Expression:
    try:
        return pushdown_projections(pushdown_predicates(tree.copy(), dialect="bigquery"))
    except SqlglotError:
        log.warning("could not narrow a query; counting its columns as written", exc_info=True)
        return tree


def _bytes(table: Table, leaves: set[str], kept: set[int]) -> int:
    stats = table.stats or {}
    indexes = [
        i for i, leaf in enumerate(stats["leaves"]) if leaf.lower() in {name.lower() for name in leaves}
    ]
    return sum(stats["partitions"][p]["bytes"][i] for p in kept for i in indexes)


# -- columns ----------------------------------------------------------------------------------------------------------


def _leaves(table: Table, alias: str, scope: TreeScope) -> set[str]:
    """The leaf paths of `table` that this scope and its correlated subqueries read."""
    every = set((table.stats or {}).get("leaves", ()))
    arrays = _arrays(scope, alias)
    wanted: set[str] = set()
    for column in scope.expression.find_all(exp.Column):
        if not _is_array_operand(column):
            wanted |= {_path(column)} if column.table == alias else set()
            wanted |= _element_path(column, arrays)
        if not column.table and column.name == alias:
            return every
    # An array of which no element is read is read for its length.
    wanted |= {path for _, path in arrays.values() if not any(_covers(path, w) for w in wanted)}
    if any(node.name == alias for node in scope.expression.find_all(exp.TableColumn)):
        return every  # the whole row as a struct
    return {leaf for leaf in every if any(_covers(w, leaf) for w in wanted)}


def _covers(wanted: str, leaf: str) -> bool:
    return (leaf + ".").lower().startswith((wanted + ".").lower())


def _path(column: exp.Column, skip: int = 0) -> str:
    """`addr.city` of a column followed by fields; `skip` leaves names out at the front."""
    path = [column.name]
    node: Any = column
    while isinstance(node.parent, exp.Dot) and node.parent.this is node:
        node = node.parent
        path.append(node.name)
    return ".".join(path[skip:])


def _arrays(scope: TreeScope, alias: str) -> dict[str, tuple[str, str]]:
    """Table alias of each UNNEST over an array of this table → (element name or "", path of the array)."""
    out: dict[str, tuple[str, str]] = {}
    for unnest in scope.expression.find_all(exp.Unnest):
        operand = unnest.expressions[0] if unnest.expressions else None
        given = unnest.args.get("alias")
        if given is None or not isinstance(operand, exp.Column | exp.Dot):
            continue
        column = operand if isinstance(operand, exp.Column) else operand.find(exp.Column)
        if column is None:
            continue
        path = _path(column) if column.table == alias else next(iter(_element_path(column, out)), None)
        if path is not None:
            out[given.name] = (given.columns[0].name if given.columns else "", path)
    return out


def _element_path(column: exp.Column, arrays: dict[str, tuple[str, str]]) -> set[str]:
    """The leaf path that a reference to an element of an array reads."""
    if column.table not in arrays:
        return set()
    element, array = arrays[column.table]
    if element and column.name != element:
        return set()  # the offset: no bytes
    below = _path(column, skip=1 if element else 0)
    return {f"{array}.{below}" if below else array}


def _is_array_operand(column: exp.Column) -> bool:
    """Whether the column is only named to be unnested: the fields read from its elements count instead."""
    node: Any = column
    while isinstance(node.parent, exp.Dot):
        node = node.parent
    unnest = node.parent
    return (
        isinstance(unnest, exp.Unnest)
        and unnest.args.get("alias") is not None
        and not isinstance(unnest.parent, exp.In)
    )


# -- partitions -------------------------------------------------------------------------------------------------------


def _kept(table: Table, alias: str, scope: TreeScope, engine: Engine) -> set[int]:
    """The partitions that the filters of this scope leave."""
    stats = table.stats or {}
    everything = set(range(len(stats["partitions"])))
    part = partitioning(table.resource, table.fields)
    if part is None:
        return everything
    conditions = [
        test
        for c in _conjuncts(scope, alias)
        if (test := _possible(c, alias, part.column.lower())) is not None
    ]
    if not conditions:
        required = table.resource.get("requirePartitionFilter")
        required = required or (table.resource.get("timePartitioning") or {}).get("requirePartitionFilter")
        if required:
            name = f"{table.project}.{table.dataset}.{table.name}"
            raise invalid_query(
                f"Cannot query over table '{name}' without a filter over column(s) '{part.column}' "
                "that can be used for partition elimination"
            )
        return everything
    return _evaluate(conditions, stats["partitions"], part, engine)


def _conjuncts(scope: TreeScope, alias: str) -> list[exp.Expression]:
    """Conditions that every row of the table must meet; an outer join's own condition is not one."""
    out: list[exp.Expression] = []
    where = scope.expression.args.get("where")
    if where is not None:
        out += list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    for join in scope.expression.args.get("joins") or []:
        condition = join.args.get("on")
        inner = not join.side
        preserved = join.side == "LEFT" and join.this.alias_or_name == alias
        if condition is not None and (inner or preserved):
            out += list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
    return [c.unnest() for c in out]


_ORDERED = {exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.EQ: "="}
_MIRROR = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "=": "="}
_MONOTONE = (
    exp.Date, exp.Cast, exp.TsOrDsToDate, exp.DateTrunc, exp.TimestampTrunc, exp.DatetimeTrunc, exp.Timestamp,
    exp.TsOrDsToDatetime, exp.Datetime,
)  # fmt: skip


def _possible(node: exp.Expression, alias: str, column: str) -> exp.Expression | None:
    """A condition over `lo` and `hi` that is false only when no row of the partition can meet `node`.

    None when the filter says nothing that BigQuery could prune by.
    """
    node = node.unnest()
    if isinstance(node, exp.Or):
        sides = [_possible_or_constant(s, alias, column) for s in node.flatten()]
        if any(s is None for s in sides) or not any(
            _uses(s, column) or _has_bounds(s) for s in sides if s is not None
        ):
            return None
        return exp.or_(*[s for s in sides if s is not None], copy=False)
    if isinstance(node, exp.And):
        sides = [_possible(s, alias, column) for s in node.flatten()]
        kept = [s for s in sides if s is not None]
        return exp.and_(*kept, copy=False) if kept else None
    if isinstance(node, exp.Between):
        low = _bound(node.this, alias, column, high=True)
        if low is None or not _constant(node.args["low"]) or not _constant(node.args["high"]):
            return None
        lower = exp.GTE(this=low, expression=node.args["low"].copy())
        upper = exp.LTE(
            this=_bound(node.this, alias, column, high=False), expression=node.args["high"].copy()
        )
        return exp.and_(lower, upper, copy=False)
    if isinstance(node, exp.In) and node.expressions and all(_constant(e) for e in node.expressions):
        tests = [_compared("=", node.this, e, alias, column) for e in node.expressions]
        return (
            None
            if any(t is None for t in tests)
            else exp.or_(*[t for t in tests if t is not None], copy=False)
        )
    if (
        isinstance(node, exp.Is)
        and isinstance(node.expression, exp.Null)
        and _is_column(node.this, alias, column)
    ):
        return exp.Is(this=exp.column("lo"), expression=exp.Null())
    for cls, operator in _ORDERED.items():
        if isinstance(node, cls):
            if _constant(node.expression):
                return _compared(operator, node.this, node.expression, alias, column)
            if _constant(node.this):
                return _compared(_MIRROR[operator], node.expression, node.this, alias, column)
    return None


def _possible_or_constant(node: exp.Expression, alias: str, column: str) -> exp.Expression | None:
    return node.copy() if _constant(node) else _possible(node, alias, column)


def _has_bounds(node: exp.Expression | None) -> bool:
    return node is not None and any(c.name in ("lo", "hi") for c in node.find_all(exp.Column))


def _uses(node: exp.Expression | None, column: str) -> bool:
    return node is not None and any(c.name == column for c in node.find_all(exp.Column))


def _compared(operator: str, side: Any, constant: Any, alias: str, column: str) -> exp.Expression | None:
    low, high = _bound(side, alias, column, high=False), _bound(side, alias, column, high=True)
    if low is None or high is None:
        return None
    if operator in (">", ">="):
        return (exp.GT if operator == ">" else exp.GTE)(this=high, expression=constant.copy())
    if operator in ("<", "<="):
        return (exp.LT if operator == "<" else exp.LTE)(this=low, expression=constant.copy())
    return exp.and_(
        exp.LTE(this=low, expression=constant.copy()),
        exp.GTE(this=high, expression=constant.copy()),
        copy=False,
    )


def _bound(side: Any, alias: str, column: str, *, high: bool) -> exp.Expression | None:
    """`side` with the partition's bound in place of the column, when it grows with the column."""
    if _is_column(side, alias, column):
        out = exp.column("hi" if high else "lo")
        out.type = side.type
        return out
    if isinstance(side, exp.Paren):
        return _bound(side.this, alias, column, high=high)
    if isinstance(side, _MONOTONE) and not side.find(exp.Subquery):
        inner = _bound(side.this, alias, column, high=high)
        if inner is None or (isinstance(side, exp.Cast) and kind_of(side) == "STRING"):
            return None
        out = side.copy()
        out.set("this", inner)
        return out
    return None


def _is_column(node: Any, alias: str, column: str) -> bool:
    return isinstance(node, exp.Column) and node.table == alias and node.name.lower() == column


def _constant(node: Any) -> bool:
    return not any(node.find_all(exp.Column, exp.Subquery, exp.Select, exp.Rand, exp.AggFunc, exp.Window))


def _evaluate(
    conditions: list[exp.Expression], parts: list[dict[str, Any]], part: Partitioning, engine: Engine
) -> set[int]:
    kind = {"DATE": "DATE", "TIMESTAMP": "TIMESTAMPTZ", "DATETIME": "TIMESTAMP", "INTEGER": "BIGINT"}[
        part.kind
    ]
    select = exp.Select(expressions=[exp.and_(*conditions, copy=False)])
    try:
        test = lower(select).selects[0].sql("duckdb")
    except BigQueryError:
        return set(range(len(parts)))  # the query itself will be refused with the reason
    values = [(i, p["lo"], p["hi"]) for i, p in enumerate(parts) if p["id"] is None or p["id"][0] != "_"]
    kept = {i for i, p in enumerate(parts) if p["id"] == "__UNPARTITIONED__"}
    nulls = [(i, None, None) for i, p in enumerate(parts) if p["id"] == "__NULL__"]
    rows = values + nulls
    if not rows:
        return kept
    marks = ", ".join(f"({i}, {_sql(lo)}::{kind}, {_sql(hi)}::{kind})" for i, lo, hi in rows)
    with contextlib.closing(engine.cursor()) as cursor:
        try:
            found = cursor.execute(f"SELECT i FROM (VALUES {marks}) AS p(i, lo, hi) WHERE {test}").fetchall()
        except duckdb.Error:
            log.info("a partition filter could not be evaluated; all partitions are counted", exc_info=True)
            return set(range(len(parts)))
    return kept | {i for (i,) in found}


def _sql(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else f"'{value}'"
