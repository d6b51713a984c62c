"""The gate before the warehouse: one read-only SELECT over tables that the connection offers.

    text ── characters ── parsing ── one tree ── every node ── every function ── every table ── Checked
                                                                      dry run ── agree() ──┘

It fails closed: whatever can't be understood is refused, also when the reason is a fault in the parser.
It is one wall of three: the warehouse's own dry run must name only tables that are allowed (`agree`),
and the credentials should hold read permissions only.
tests/guard/allowed.sql and refused.sql specify it, a statement a line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.warehouses.contract import Dialect, DryRun
from shared.warehouses.declared import DatasetNotAllowed, QueryNotReadOnly
from shared.warehouses.guard import rules_bigquery as rules
from shared.warehouses.sql import parsing
from shared.warehouses.sql.loading import loaded

MAX_NODES = 20_000

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0085\u2028\u2029]")
_ESCAPED_QUOTE = re.compile(r"\\[\"'`]")
_WILDCARD = re.compile(r"[^*]+\*\Z")


@dataclass(frozen=True)
class Checked:
    """A statement that passed: its tree, the tables it names (project.dataset.table) and its fingerprint."""

    tree: Any
    tables: tuple[str, ...]
    fingerprint: str


def check(sql: str, dialect: Dialect, *, allowed: Collection[str] | None, project: str) -> Checked:
    """The statement, understood and allowed; raises QueryNotReadOnly or DatasetNotAllowed with the reason.

    `allowed` are the datasets ("project.dataset") that may be read; None leaves that to the caller.
    `project` completes names that have none.
    """
    try:
        tree = _parse(sql, dialect)
        for node in _nodes(tree):
            _check_node(node)
        tables = tuple(sorted(set(_tables(tree, project))))
        if allowed is not None:
            for table in tables:
                _check_dataset(table, allowed)
        return Checked(tree, tables, fingerprint(sql, dialect))
    except (QueryNotReadOnly, DatasetNotAllowed):
        raise
    except Exception as error:
        raise QueryNotReadOnly(
            "The query can't be understood, so it is not run. Write one plain SELECT statement.",
            field="sql",
            reason="it can't be parsed" + _place(error),
        ) from error


def agree(checked: Checked, dry_run: DryRun, allowed: Collection[str]) -> None:
    """Compare with what the warehouse says that it would do; raises where it would do more.

    The bases of views count: a view must not lead out of the datasets that the connection offers.
    """
    if dry_run.statement_type != "SELECT":
        raise QueryNotReadOnly(
            field="sql", reason=f"the warehouse reads it as {dry_run.statement_type[:40] or 'something else'}"
        )
    if checked.tables and not dry_run.tables:
        raise QueryNotReadOnly(field="sql", reason="the warehouse does not say which tables it reads")
    for table in dry_run.tables:
        if any(_is_metadata(part) for part in table.split(".")):
            raise DatasetNotAllowed(field="sql", reason=f"{table} is metadata of the warehouse")
        _check_dataset(table, allowed)


def fingerprint(sql: str, dialect: Dialect) -> str:
    """SHA-256 of the statement without comments, layout and the case of reserved words.

    Made from tokens, not from a regenerated statement: two statements share it only if the warehouse
    would read the same words.
    """
    import sqlglot

    digest = hashlib.sha256(dialect.encode())
    for token in sqlglot.tokenize(sql, read=loaded(dialect)):
        text = token.text.upper() if token.text.upper() in rules.RESERVED else token.text
        kind = token.token_type.name
        if kind == "SEMICOLON":
            continue
        digest.update(f"{kind}\x1f{len(text)}\x1f{text}\x1e".encode())
    return digest.hexdigest()


def _parse(sql: str, dialect: Dialect) -> Any:
    from sqlglot import exp

    if dialect != "bigquery":
        raise QueryNotReadOnly(f"Queries in {dialect} are not supported.", field="sql", reason="dialect")
    if _CONTROL.search(sql):
        raise QueryNotReadOnly(field="sql", reason="it contains a control character")
    if _ESCAPED_QUOTE.search(sql):
        # Readers of SQL disagree on what a backslash does in a raw string; the other quote needs none.
        raise QueryNotReadOnly(
            "Write a quote inside a text with the other kind of quote, not with a backslash.",
            field="sql",
            reason="a backslash before a quote",
        )
    tree = parsing.statement(sql, dialect)
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
        raise QueryNotReadOnly(field="sql", reason=f"it is {_spoken(tree)}, not a SELECT")
    return tree


def _nodes(tree: Any) -> Iterator[Any]:
    for count, node in enumerate(tree.walk(), start=1):
        if count > MAX_NODES:
            raise QueryNotReadOnly("The query is too large.", field="sql", reason="too many parts")
        yield node


def _check_node(node: Any) -> None:
    from sqlglot import exp

    kind = type(node).__name__
    if isinstance(node, exp.Anonymous):
        _check_unknown_function(node)
    elif isinstance(node, exp.Func):
        if kind not in rules.FUNCTIONS:
            raise _function_refused(node.sql_name())
        if isinstance(node.parent, exp.Dot) and node.arg_key == "expression":
            raise _function_refused(f"{node.parent.this.name}.{node.sql_name()}")
    elif kind not in rules.NODES:
        raise QueryNotReadOnly(field="sql", reason=f"{_spoken(node)} is not allowed")
    if isinstance(node, exp.Parameter) and not isinstance(node.this, exp.Var | exp.Identifier):
        raise QueryNotReadOnly(field="sql", reason="system variables (@@) are not allowed")


def _check_unknown_function(node: Any) -> None:
    """A function that the parser has no class for: known by name, or refused."""
    from sqlglot import exp

    name = str(node.name or node.this).upper()
    parent = node.parent
    if isinstance(parent, exp.Dot) and node.arg_key == "expression":
        owner = parent.this
        if not (isinstance(owner, exp.Identifier) and owner.name.upper() == "HLL_COUNT"):
            raise _function_refused(f"{owner.name}.{name}")
        known = name in rules.HLL_NAMES
    elif isinstance(parent, exp.NetFunc):
        known = name in rules.NET_NAMES
    else:
        known = name in rules.PLAIN_NAMES
    if not known:
        raise _function_refused(name)


def _tables(tree: Any, project: str) -> Iterator[str]:
    """Every table that is not a name of a WITH, fully qualified."""
    from sqlglot import exp

    for table, scope in _in_scope(tree):
        parts = table.parts
        if not parts or not all(isinstance(part, exp.Identifier) for part in parts):
            raise QueryNotReadOnly(field="sql", reason="a function stands where a table is expected")
        names = [str(part.name) for part in parts]
        if len(names) == 1 and _names_a_cte(scope, names[0]):
            continue
        yield _qualified(names, project)


@dataclass(frozen=True)
class _Scope:
    """What a WITH defines, and what is visible around it."""

    places: Mapping[str, int]
    """Each name, with its place in the WITH."""
    visible: int
    """So many of them, from the first, can be seen."""
    around: _Scope | None


def _in_scope(tree: Any) -> Iterator[tuple[Any, _Scope | None]]:
    """Every table of the tree, with the names that it may mean.

    A WITH is seen by the query that carries it; inside it, a query sees those before it, and all of them
    in a recursive one. One walk from the root down: the way up from each table is as long as the chain of
    unions that it stands in.
    """
    from sqlglot import exp

    stack: list[tuple[Any, _Scope | None]] = [(tree, None)]
    while stack:
        node, scope = stack.pop()
        if isinstance(node, exp.Table):
            yield node, scope
        inside, carried = scope, node.args.get("with_")
        if carried is not None:
            common = carried.expressions
            places: dict[str, int] = {}
            for place, cte in enumerate(common):
                places.setdefault(cte.alias.lower(), place)
            inside = _Scope(places, len(common), scope)
            recursive = carried.args.get("recursive")
            stack += [
                (cte, inside if recursive else _Scope(places, place, scope))
                for place, cte in enumerate(common)
            ]
        stack += [(child, inside) for child in node.iter_expressions() if child is not carried]


def _names_a_cte(scope: _Scope | None, name: str) -> bool:
    while scope is not None:
        if scope.places.get(name.lower(), scope.visible) < scope.visible:
            return True
        scope = scope.around
    return False


def _qualified(names: list[str], project: str) -> str:
    if len(names) == 1:
        raise DatasetNotAllowed(
            f"Write the table {names[0]!r} as dataset.table.", field="sql", reason="no dataset is named"
        )
    if len(names) > 3 or any(_is_metadata(name) for name in names):
        raise DatasetNotAllowed(field="sql", reason=f"{'.'.join(names)} is not a table of a dataset")
    *place, table = names
    if any("*" in name or "." in name for name in place) or "$" in table or "@" in table:
        raise DatasetNotAllowed(field="sql", reason=f"{'.'.join(names)} is not a plain table name")
    if ("*" in table and not _WILDCARD.match(table)) or "." in table:
        raise DatasetNotAllowed(field="sql", reason=f"{'.'.join(names)} is not a plain table name")
    return ".".join(names if len(names) == 3 else [project, *names])


def _check_dataset(table: str, allowed: Collection[str]) -> None:
    dataset = table.rpartition(".")[0]
    if dataset in allowed:
        return
    offered = ", ".join(sorted(allowed)[:10]) or "none yet: scan it first"
    raise DatasetNotAllowed(
        f"The query reads {table}, which this connection does not offer. Its datasets: {offered}.",
        field="sql",
        reason=f"{dataset or table} is not a dataset of this connection",
    )


def _is_metadata(name: str) -> bool:
    upper = name.upper()
    return "INFORMATION_SCHEMA" in upper.split(".") or upper.startswith("__")


def _function_refused(name: str) -> QueryNotReadOnly:
    return QueryNotReadOnly(
        f"The function {name.upper()[:80]} is not allowed in a query.",
        field="sql",
        reason=f"the function {name.upper()[:80]} is not allowed",
    )


def _spoken(node: Any) -> str:
    from sqlglot import exp

    if isinstance(node, exp.Command):
        return f"a {str(node.this).split(' ')[0].upper()[:40]} command"
    return f"{type(node).__name__.upper()}"


def _place(error: Exception) -> str:
    problems = getattr(error, "errors", None)
    if isinstance(problems, list) and problems and isinstance(problems[0], dict) and problems[0].get("line"):
        return f" at line {problems[0]['line']}, column {problems[0].get('col')}"
    return ""
