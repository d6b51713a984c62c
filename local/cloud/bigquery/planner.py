"""From the text of a query to a plan: DuckDB SQL, result schema, tables, bytes; or BigQuery's error.

text ─ tokens: functions known? ─ parse ─ parameters ─ names → sources ─ qualify ─ types
     ├─ bytes: columns used × partitions left
     └─ lowering ─ DuckDB SQL ─ describe → result schema
"""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

import contextlib
import logging
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
import sqlglot
import sqlglot.dialects.bigquery  # whole before a thread asks for them by name
import sqlglot.dialects.duckdb
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError, SchemaError, SqlglotError, TokenError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema
from sqlglot.tokens import Token

from local.cloud.bigquery import functions, information_schema, name_checks, parameters, pivots, scan, sources
from local.cloud.bigquery.auth import Caller
from local.cloud.bigquery.engine import Engine
from local.cloud.bigquery.errors import BigQueryError, invalid_query, unsupported
from local.cloud.bigquery.fields import Field, from_duckdb, quote, standard_type, stored_sql
from local.cloud.bigquery.lowering.tree import lower
from local.cloud.bigquery.scope import Scope
from local.cloud.bigquery.store import Store, Table

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """What a query job asks, apart from how to run it."""

    sql: str
    project: str
    location: str | None = None
    default: tuple[str, str] | None = None
    parameters: list[dict[str, Any]] = field(default_factory=list)
    parameter_mode: str | None = None


@dataclass(slots=True)
class QueryPlan:
    """What will run. `bytes` are logical bytes processed; `minimum` is set for metadata queries."""

    statement: str
    tree: exp.Expression
    sql: str = ""
    fields: list[Field] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    bytes: int = 0
    location: str | None = None
    deterministic: bool = True
    metadata: bool = False
    bytes_by_table: dict[tuple[str, str, str], int] = field(default_factory=dict)
    columns: list[Field] = field(default_factory=list)
    views: list[Table] = field(default_factory=list)

    @property
    def repeatable(self) -> bool:
        """Whether the same text means the same for as long as no table changes."""
        return self.statement == "SELECT" and self.deterministic

    def copy(self) -> "QueryPlan":
        """One that its job may change."""
        return replace(
            self,
            fields=deepcopy(self.fields),
            tables=list(self.tables),
            views=list(self.views),
            bytes_by_table=dict(self.bytes_by_table),
        )


class Planner:
    def __init__(self, engine: Engine, store: Store, fresh: Callable[[Table], Table]) -> None:
        self.engine, self.store, self.fresh = engine, store, fresh
        self.views = information_schema.Materialised(engine, store, fresh)

    def parse(self, sql: str) -> tuple[exp.Expression, frozenset[str]]:
        """One statement and the functions that it calls."""
        if len(sql) > 1024 * 1024:
            raise invalid_query(
                "The query is too large. The maximum standard SQL query length is 1024.00K characters"
            )
        try:
            tokens: list[Token] = sqlglot.tokenize(sql, read="bigquery")
            called = functions.check(sql, tokens)
            trees = [t for t in sqlglot.parse(sql, read="bigquery") if t is not None]
        except ParseError as error:
            raise _syntax_error(error) from None
        except TokenError as error:
            raise invalid_query(f"Syntax error: {str(error)[:200]}") from None
        except RecursionError:
            raise invalid_query("The query is too deeply nested") from None
        except (AttributeError, IndexError, KeyError, TypeError):
            log.warning("the parser fails on a query", exc_info=True)
            raise unsupported("this form of the query, on which its parser fails") from None
        if not trees:
            raise invalid_query("Syntax error: Unexpected end of script at [1:1]")
        if len(trees) > 1:
            raise unsupported("scripts of several statements")
        if isinstance(trees[0], exp.Command):
            raise unsupported(f"the statement {sql.split()[0].upper()}")
        return trees[0], called

    def scope(self, request: QueryRequest, caller: Caller) -> Scope:
        return Scope(
            self.store,
            lambda sql: self._view_tree(sql),
            request.project,
            request.default,
            request.location,
            caller,
            self._decide,
        )

    def _decide(self, condition: exp.Expression) -> bool | None:
        """The value of a condition over constants."""
        select = exp.Select(expressions=[exp.alias_(condition, "decided")])
        sql = lower(annotate_types(select, dialect="bigquery")).sql("duckdb")
        with contextlib.closing(self.engine.cursor()) as cursor:
            try:
                row = cursor.execute(sql).fetchone()
            except duckdb.Error as error:
                raise translate(error) from None
        return None if row is None else row[0]

    def _view_tree(self, sql: str) -> exp.Expression:
        tree, _ = self.parse(sql)
        if not isinstance(tree, exp.Query):
            raise invalid_query("A view must be a query")
        return tree

    def query(
        self, tree: exp.Expression, request: QueryRequest, called: frozenset[str], caller: Caller
    ) -> QueryPlan:
        """The plan of a SELECT; nothing has run yet."""
        scope = self.scope(request, caller)
        tree = parameters.bind(tree, request.parameters, request.parameter_mode)
        tree = sources.bind(tree, scope, request.sql)
        tree = pivots.write_out(tree)
        name_checks.name_elements(tree, [f for s in scope.sources.values() for f in s.fields])
        if isinstance(tree, exp.Select) and tree.args.get("kind"):
            _open_value_table(tree)
        names = _output_names(tree, scope)
        name_checks.check(
            tree,
            lambda copied: self.resolve(copied, scope, request.sql),
            lambda copied: self.resolve(copied, scope, request.sql, aliases=False),
            request.sql,
        )
        tree = self.resolve(tree, scope, request.sql)
        _refuse_duplicates(tree)
        plan = QueryPlan(statement="SELECT", tree=tree)
        plan.location = next(iter(scope.locations), None)
        plan.metadata = any(s.view for s in scope.sources.values())
        plan.deterministic = not called & functions.NONDETERMINISTIC and not plan.metadata
        seen: dict[tuple[str, str, str], Table] = {}
        for source in scope.sources.values():
            if source.table is not None:
                seen.setdefault(source.table.key, source.table)
        plan.tables = list(seen.values())
        plan.views = scope.views
        plan.bytes_by_table = scan.estimate(tree.copy(), scope.sources, self.fresh, self.engine)
        plan.bytes = sum(plan.bytes_by_table.values())
        if plan.metadata:
            plan.bytes = max(plan.bytes, information_schema.MINIMUM_BYTES)
        plan.sql = self.lower(tree, scope)
        plan.fields = self.describe(plan.sql, names)
        return plan

    def resolve(
        self, tree: exp.Expression, scope: Scope, sql: str, *, aliases: bool = True
    ) -> exp.Expression:
        """Every column tied to its source, every node typed. Without `aliases` those of the SELECT list stay names."""
        mapping = {
            name: {f["name"]: standard_type(f) for f in source.fields}
            for name, source in scope.sources.items()
        }
        try:
            schema = MappingSchema(mapping, dialect="bigquery", normalize=True)
            if not aliases:
                return qualify(
                    tree,
                    schema=schema,
                    dialect="bigquery",
                    expand_alias_refs=False,
                    validate_qualify_columns=False,
                )
            tree = qualify(tree, schema=schema, dialect="bigquery")
            return annotate_types(tree, schema=schema, dialect="bigquery")
        except (OptimizeError, SchemaError) as error:
            raise _name_error(sql, str(error)) from None
        except SqlglotError as error:
            raise invalid_query(str(error)[:300]) from None
        except RecursionError:
            raise invalid_query("The query is too deeply nested") from None

    def lower(self, tree: exp.Expression, scope: Scope) -> str:
        """DuckDB SQL over physical tables."""
        tree = lower(tree)
        for node in tree.find_all(exp.Table):
            source = scope.sources.get(node.name)
            if source is not None:
                physical = source.table.physical if source.table else self.views.table(source.view)  # type: ignore[arg-type]
                parts = [exp.to_identifier(p, quoted=True) for p in str(physical).split(".")]
                node.set("this", parts[-1])
                if len(parts) == 2:
                    node.set("db", exp.to_identifier("main", quoted=True))
                    node.set("catalog", parts[0])
        return str(tree.sql("duckdb", comments=False))

    def describe(self, sql: str, names: list[str] | None) -> list[Field]:
        """The result schema, from DuckDB's own binder."""
        with contextlib.closing(self.engine.cursor()) as cursor:
            try:
                cursor.execute(f"SELECT * FROM ({sql}) LIMIT 0")
                described = cursor.description or []
            except duckdb.Error as error:
                raise translate(error) from None
        fields = [from_duckdb(column[0], column[1]) for column in described]
        if names is not None:
            by_lower = {n.lower(): n for n in names}
            for f in fields:
                f["name"] = by_lower.get(f["name"].lower(), f["name"])
        return fields


def _open_value_table(tree: exp.Select) -> None:
    """At the top a struct for each row is a row of its fields; inside a query it stays a struct."""
    if str(tree.args["kind"]).upper() != "STRUCT":
        raise unsupported("SELECT AS VALUE at the top of a query")
    tree.set("kind", None)


def _refuse_duplicates(tree: exp.Expression) -> None:
    names = [name.lower() for name in tree.named_selects] if isinstance(tree, exp.Query) else []
    for name in names:
        if names.count(name) > 1:
            raise invalid_query(
                f"Duplicate column names in the result are not supported. Found duplicate(s): {name}"
            )


def select_sql(sql: str, fields: list[Field]) -> str:
    """The query with its columns cast to the exact storage types of the result schema."""
    columns = ", ".join(f"{stored_sql(quote(f['name']), f, f)} AS {quote(f['name'])}" for f in fields)
    return f"SELECT {columns} FROM ({sql})"


def _output_names(tree: exp.Expression, scope: Scope) -> list[str]:
    """The names in the case of the query and of the tables, because resolving makes all lower-case.

    Unnamed output columns get BigQuery's names f0_, f1_, … on the way.
    """
    for select in tree.find_all(exp.Select):
        number = 0
        for item in list(select.expressions):
            if item.is_star or isinstance(item, exp.Alias | exp.Aliases | exp.Column | exp.Dot):
                continue
            if isinstance(select.parent, exp.Exists):
                continue
            item.replace(exp.alias_(item.copy(), f"f{number}_"))
            number += 1
    names = [f["name"] for s in scope.sources.values() for f in s.fields]
    names += [
        i.this
        for a in tree.find_all(exp.Alias)
        for i in [a.args.get("alias")]
        if isinstance(i, exp.Identifier)
    ]
    top = tree.selects if isinstance(tree, exp.Query) else []
    return names + [s.output_name for s in top if s.output_name]


def _syntax_error(error: ParseError) -> BigQueryError:
    if "Required keyword" in str(error):
        return unsupported("a call without its optional arguments, or with too few: write them all")
    detail = error.errors[0] if error.errors else {}
    line, column, word = detail.get("line"), detail.get("col"), detail.get("highlight") or ""
    if line is None:
        return invalid_query(f"Syntax error: {str(error)[:200]}")
    start = max(1, (column or 1) - max(len(word) - 1, 0))
    what = f'Unexpected "{word}"' if word else "Unexpected end of statement"
    return invalid_query(f"Syntax error: {what} at [{line}:{start}]")


def _name_error(sql: str, message: str) -> BigQueryError:
    ambiguous = "mbiguous" in message
    found = re.search(r"[Cc]olumn:? '?([\w$`.]+)'?", message)
    if found is None:
        return invalid_query(message[:300])
    name = found[1].strip("`'").split(".")[-1]
    word = re.search(rf"(?<![\w`]){re.escape(name)}(?!\w)|`{re.escape(name)}`", sql, re.IGNORECASE)
    shown = word[0].strip("`") if word else name
    where = f" at {functions.place(sql, word.start())}" if word else ""
    if ambiguous and "ambiguous" in message.lower() and "could not" not in message:
        return invalid_query(f"Column name {shown} is ambiguous or unrecognized{where}")
    return invalid_query(f"Unrecognized name: {shown}{where}")


_DUCKDB_NOISE = re.compile(r"\n\nLINE \d+:.*", re.DOTALL)
_FROM_PYTHON = "Invalid Input Error: Python exception occurred while executing the UDF: ValueError: "
_ENGINE_NAMES = re.compile(r'"?(t_[0-9a-f]{32}|__s\d+|__u\d+)"?\.?')


def translate(error: duckdb.Error) -> BigQueryError:
    """DuckDB's refusal in BigQuery's words where there are some, and always without our internal names."""
    message = _ENGINE_NAMES.sub("", _DUCKDB_NOISE.sub("", str(error))).strip()
    if isinstance(error, duckdb.InterruptException) or "INTERRUPT" in message:
        return BigQueryError(200, "stopped", "Job execution was cancelled")
    if isinstance(error, duckdb.ParserException | duckdb.CatalogException | duckdb.NotImplementedException):
        return unsupported(f"this form of the query ({message.splitlines()[0][:200]})")
    if "GROUP BY clause" in message or "must appear in the GROUP BY" in message:
        column = re.search(r'column "?([\w.]+)"?', message)
        name = column[1] if column else "column"
        return invalid_query(
            f"SELECT list expression references column {name} which is neither grouped nor aggregated"
        )
    if "Out of Memory" in message:
        return BigQueryError(400, "resourcesExceeded", "Resources exceeded during query execution")
    message = message.removeprefix(_FROM_PYTHON)
    if message.startswith("Invalid Input Error: Division by zero"):
        return invalid_query("division by zero")
    for prefix in ("Invalid Input Error: ", "Binder Error: ", "Conversion Error: ", "Out of Range Error: "):
        message = message.removeprefix(prefix)
    return invalid_query(message[:500])
