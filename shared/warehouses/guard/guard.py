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

from shared.warehouses.contract import DryRun
from shared.warehouses.declared import DatasetNotAllowed, QueryNotReadOnly
from shared.warehouses.dialect import Dialect
from shared.warehouses.guard.rules import Rules
from shared.warehouses.sql import parsing

MAX_NODES = 20_000

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0085\u2028\u2029]")
_ESCAPED_QUOTE = re.compile(r"\\[\"'`]")
_WILDCARD = re.compile(r"[^*]+\*\Z")
_NAMES_FOLLOW = ("DOT", "PARAMETER")
_PATH = "path"


@dataclass(frozen=True)
class Checked:
    """A statement that passed: its tree, the tables it names (project.dataset.table) and its fingerprint."""

    tree: Any
    tables: tuple[str, ...]
    fingerprint: str
    rules: Rules
    """By which it passed."""

    def path_of(self, table: Any) -> str | None:
        """The full path (project.dataset.table) of a table of the tree; None for a name of a WITH."""
        path = table.meta.get(_PATH)
        return None if path is None else str(path)


def check(sql: str, dialect: Dialect, *, allowed: Collection[str] | None, project: str) -> Checked:
    """The statement, understood and allowed; raises QueryNotReadOnly or DatasetNotAllowed with the reason.

    `allowed` are the datasets ("project.dataset") that may be read; None leaves that to the caller.
    `project` completes names that have none.
    """
    try:
        rules = _rules_of(dialect)
        if rules is None:
            raise QueryNotReadOnly(
                f"Queries in {dialect.name} are not supported.", field="sql", reason="dialect"
            )
        tree = _parse(sql, dialect)
        for node in _nodes(tree):
            _check_node(node, rules)
        tables = tuple(sorted(set(_tables(tree, project, rules))))
        if allowed is not None:
            for table in tables:
                _check_dataset(table, allowed)
        return Checked(tree, tables, fingerprint(sql, dialect), rules)
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
        if any(checked.rules.is_metadata(part) for part in table.split(".")):
            raise DatasetNotAllowed(field="sql", reason=f"{table} is metadata of the warehouse")
        _check_dataset(table, allowed)


def fingerprint(sql: str, dialect: Dialect) -> str:
    """SHA-256 of the statement without comments, layout and the case of reserved words.

    Made from tokens as the author wrote them, not from a regenerated statement: two statements share it only
    if the warehouse would read the same words. Texts, numbers and quoted names count letter by letter, and so
    does a name behind a dot or an @, also where it is spelled like a reserved word.
    """
    digest = hashlib.sha256(dialect.name.encode())
    before = ""
    for token in parsing.tokens(sql, dialect):
        kind = token.token_type.name
        if kind == "SEMICOLON":
            continue
        # With its quotes, so that no text or quoted name is ever taken for a word.
        text = sql[token.start : token.end + 1]
        if before not in _NAMES_FOLLOW:
            words = text.upper().split()
            if dialect.reserved.issuperset(words):
                text = " ".join(words)
        digest.update(f"{kind}\x1f{len(text)}\x1f{text}\x1e".encode())
        before = kind
    return digest.hexdigest()


def _rules_of(dialect: Dialect) -> Rules | None:
    """The lists of a dialect; None where it has none, so that nothing in it may run."""
    if dialect.name == "bigquery":
        from shared.warehouses.guard.rules_bigquery import RULES as bigquery

        return bigquery
    if dialect.name == "postgres":
        from shared.warehouses.guard.rules_postgres import RULES as postgres

        return postgres
    return None


def _parse(sql: str, dialect: Dialect) -> Any:
    from sqlglot import exp

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


def _check_node(node: Any, rules: Rules) -> None:
    from sqlglot import exp

    kind = type(node).__name__
    if isinstance(node, exp.Anonymous):
        _check_unknown_function(node, rules)
    elif isinstance(node, exp.Func):
        if kind not in rules.functions:
            raise _function_refused(node.sql_name())
        if isinstance(node.parent, exp.Dot) and node.arg_key == "expression":
            raise _function_refused(f"{node.parent.this.name}.{node.sql_name()}")
    elif kind not in rules.nodes:
        raise QueryNotReadOnly(field="sql", reason=f"{_spoken(node)} is not allowed")
    if rules.types is not None and isinstance(node, exp.DataType) and node.this.name not in rules.types:
        raise QueryNotReadOnly(field="sql", reason=f"the type {node.sql()[:80]} is not allowed")
    if isinstance(node, exp.Parameter) and not isinstance(node.this, exp.Var | exp.Identifier):
        raise QueryNotReadOnly(field="sql", reason="system variables (@@) are not allowed")


def _check_unknown_function(node: Any, rules: Rules) -> None:
    """A function that the parser has no class for: known by name, or refused."""
    from sqlglot import exp

    name = str(node.name or node.this).upper()
    parent = node.parent
    if isinstance(parent, exp.Dot) and node.arg_key == "expression":
        owner = parent.this
        listed = rules.on_names.get(owner.name.upper()) if isinstance(owner, exp.Identifier) else None
        if listed is None:
            raise _function_refused(f"{owner.name}.{name}")
        known = name in listed
    elif isinstance(parent, exp.NetFunc):
        known = name in rules.on_names.get("NET", ())
    else:
        known = name in rules.plain_names
    if not known:
        raise _function_refused(name)


def _tables(tree: Any, project: str, rules: Rules) -> Iterator[str]:
    """Every table that is not a name of a WITH, fully qualified; its path is kept on the node."""
    from sqlglot import exp

    for table, scope in _in_scope(tree):
        parts = table.parts
        if len(parts) == 1 and type(parts[0]).__name__ in rules.table_functions:
            continue
        if not parts or not all(isinstance(part, exp.Identifier) for part in parts):
            raise QueryNotReadOnly(field="sql", reason="a function stands where a table is expected")
        names = [str(part.name) for part in parts]
        if len(names) == 1 and _names_a_cte(scope, names[0]):
            continue
        path = _qualified(names, project, rules)
        table.meta[_PATH] = path
        yield path


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


def _qualified(names: list[str], project: str, rules: Rules) -> str:
    if len(names) == 1:
        raise DatasetNotAllowed(
            f"Write the table {names[0]!r} as dataset.table.", field="sql", reason="no dataset is named"
        )
    if len(names) > 3 or any(rules.is_metadata(name) for name in names):
        raise DatasetNotAllowed(field="sql", reason=f"{'.'.join(names)} is not a table of a dataset")
    *place, table = names
    if any("*" in name or "." in name for name in place) or "$" in table or "@" in table:
        raise DatasetNotAllowed(field="sql", reason=f"{'.'.join(names)} is not a plain table name")
    if ("*" in table and not (rules.wildcards and _WILDCARD.match(table))) or "." in table:
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
