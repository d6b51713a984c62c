"""INSERT, UPDATE, DELETE and MERGE: first every row that will change is selected, then all changes are applied.

    MERGE t USING s ON c                 queries, resolved and typed like any other        one transaction
      WHEN MATCHED AND a THEN UPDATE  →  SELECT t.rowid, values FROM t JOIN s ON c WHERE a  → UPDATE … FROM selected
      WHEN NOT MATCHED THEN INSERT    →  SELECT values FROM s WHERE NOT EXISTS(… t … c)     → INSERT … FROM selected

All selections see the state before the statement. A target row that two of them want, or one of them twice, is the
error that BigQuery documents for a source that matches more than once.
"""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp

from local.cloud.bigquery import parameters
from local.cloud.bigquery.assignments import check_assignable, literal_columns, without_default
from local.cloud.bigquery.auth import Caller
from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.fields import Field, quote, stored_sql
from local.cloud.bigquery.planner import Plan, Planner, Request
from local.cloud.bigquery.results import check_values
from local.cloud.bigquery.sources import ROW_ID
from local.cloud.bigquery.store import Table

_ROW = "__row"


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change: the query of its rows, and the columns that it writes with the fields of their values."""

    verb: str
    sql: str
    columns: list[Field]
    values: list[Field]


@dataclass(slots=True)
class Dml:
    """Plans statements on one table; `target` is checked and `whole` are all its logical bytes."""

    planner: Planner
    request: Request
    called: frozenset[str]
    caller: Caller
    target: Table
    whole: int
    _inner: list[Plan] = field(default_factory=list)

    def plan(self, tree: Any) -> Plan:
        """The plan of the statement, with its changes."""
        tree = parameters.bind(tree, self.request.parameters, self.request.parameter_mode)
        self.request = replace(self.request, parameters=[], parameter_mode=None)
        if isinstance(tree, exp.Insert):
            return self._insert(tree)
        return self._merge(tree) if isinstance(tree, exp.Merge) else self._change(tree)

    # -- INSERT

    def _insert(self, tree: exp.Insert) -> Plan:
        given = tree.this.expressions if isinstance(tree.this, exp.Schema) else []
        columns = self._columns([c.name for c in given] or [f["name"] for f in self.target.fields])
        source: Any = tree.expression
        if isinstance(source, exp.Values):
            source = _values_query(source, len(columns))
        if not isinstance(source, exp.Query):
            raise unsupported("this form of INSERT")
        return self._planned("INSERT", tree, [self._selected("INSERT", source, columns)])

    def _columns(self, names: list[str]) -> list[Field]:
        known = {f["name"].lower(): f for f in self.target.fields}
        out: list[Field] = []
        for name in names:
            found = known.get(name.lower())
            if found is None:
                raise invalid_query(f"Column {name} is not present in table {self.target.id}")
            if found in out:
                raise invalid_query(f"Column {name} is named more than once")
            out.append(found)
        return out

    # -- UPDATE and DELETE

    def _change(self, tree: Any) -> Plan:
        verb = "UPDATE" if isinstance(tree, exp.Update) else "DELETE"
        where = tree.args.get("where")
        if where is None:
            raise invalid_query(f"{verb} must have a WHERE clause")
        if tree.args.get("using"):
            raise unsupported("DELETE with several tables")
        table = _marked(target_of(tree))
        query = exp.Select().from_(table)
        others = tree.args.get("from_")
        if others is not None:
            joins = others.this.args.pop("joins", None) or []
            query = query.join(others.this.copy(), join_type="CROSS")
            query.args["joins"] += [j.copy() for j in joins]
        sets = self._assignments(tree.expressions, table) if verb == "UPDATE" else []
        query = query.where(where.this.copy())
        change = self._selected(verb, _with_values(query, table, sets), [f for f, _ in sets])
        return self._planned(verb, tree, [change])

    def _assignments(self, items: list[Any], table: exp.Table) -> list[tuple[Field, exp.Expression]]:
        out = []
        for item in items:
            column = item.this
            if not isinstance(item, exp.EQ) or not isinstance(column, exp.Column):
                raise unsupported(f"the assignment {item.sql('bigquery')[:60]}")
            if column.table and column.table.lower() != table.alias_or_name.lower():
                raise unsupported(
                    f"assigning to the field {column.sql('bigquery')} of a struct; assign the whole struct"
                )
            out.append((column.name, without_default(item.expression.copy())))
        fields = self._columns([name for name, _ in out])
        return [(f, value) for f, (_, value) in zip(fields, out, strict=True)]

    # -- MERGE

    def _merge(self, tree: exp.Merge) -> Plan:
        if tree.args.get("using_cond"):
            raise unsupported("MERGE … USING (column)")
        changes: list[Change] = []
        before: dict[tuple[bool, bool], list[exp.Expression]] = {}
        for when in tree.args["whens"].expressions:
            earlier = before.setdefault((bool(when.args["matched"]), bool(when.args.get("source"))), [])
            changes.append(self._when(tree, when, earlier))
            earlier.append(when.args.get("condition") or exp.true())
        return self._planned("MERGE", tree, changes)

    def _when(self, tree: exp.Merge, when: Any, earlier: list[exp.Expression]) -> Change:
        """The rows of a WHEN clause: those that its side of the join gives and no earlier clause has taken."""
        table, source, on = _marked(tree.this), tree.args["using"], tree.args["on"]
        then = when.args["then"]
        by_source = bool(when.args.get("source"))
        if when.args["matched"]:
            query = exp.Select().from_(table).join(source.copy(), on=on.copy(), join_type="INNER")
        elif by_source:
            query = exp.Select().from_(table).where(_absent(source, on))
        else:
            query = exp.Select().from_(source.copy()).where(_absent(tree.this, on))
        for condition in earlier:
            query = query.where(
                exp.Not(this=exp.Paren(this=exp.func("IFNULL", condition.copy(), exp.false())))
            )
        if when.args.get("condition") is not None:
            query = query.where(when.args["condition"].copy())
        if isinstance(then, exp.Insert):
            if when.args["matched"] or by_source:
                raise invalid_query("INSERT is only allowed in a WHEN NOT MATCHED [BY TARGET] clause")
            return self._merge_insert(then, query, source)
        if not when.args["matched"] and not by_source:
            raise invalid_query("Only INSERT is allowed in a WHEN NOT MATCHED [BY TARGET] clause")
        if isinstance(then, exp.Update):
            sets = self._assignments(then.expressions, table)
            return self._selected("UPDATE", _with_values(query, table, sets), [f for f, _ in sets])
        if then.name.upper() != "DELETE":
            raise unsupported(f"the MERGE clause {then.sql('bigquery')[:60]}")
        return self._selected("DELETE", _with_values(query, table, []), [])

    def _merge_insert(self, then: exp.Insert, query: exp.Select, source: Any) -> Change:
        named: Any = then.this
        if isinstance(named, exp.Var) and named.name.upper() == "ROW":
            columns = self.target.fields
            values: list[Any] = [exp.column(f["name"], table=source.alias_or_name) for f in columns]
            query.set("expressions", _aliased(values))
            return self._selected("INSERT", query, columns)
        given = then.args.get("expression")
        first = named.expressions[0] if isinstance(named, exp.Tuple) and len(named.expressions) == 1 else None
        if not given and isinstance(first, exp.Anonymous) and str(first.this).upper() == "VALUES":
            columns, values = self.target.fields, first.expressions
        elif isinstance(named, exp.Tuple) and given:
            columns = self._columns([c.name for c in named.expressions])
            values = given.expressions if isinstance(given, exp.Tuple) else [given.unnest()]
        else:
            raise unsupported("this form of INSERT in a MERGE")
        if len(values) != len(columns):
            raise invalid_query(
                f"Inserted row has wrong column count; Has {len(values)}, expected {len(columns)}"
            )
        query.set("expressions", _aliased([without_default(v.copy()) for v in values]))
        return self._selected("INSERT", query, columns)

    # -- selections

    def _selected(self, verb: str, query: exp.Query, columns: list[Field]) -> Change:
        literals = literal_columns(query)
        inner = self.planner.query(query.copy(), self.request, self.called, self.caller)
        self._inner.append(inner)
        values = inner.fields if verb == "INSERT" else inner.fields[1:]
        literals = literals if verb == "INSERT" else literals[1:]
        if len(values) != len(columns):
            raise invalid_query(
                f"Inserted row has wrong column count; Has {len(values)}, expected {len(columns)}"
            )
        for value, column, literal in zip(values, columns, literals, strict=True):
            check_assignable(value, column, literal)
        return Change(verb, inner.sql, columns, values)

    def _planned(self, statement: str, tree: Any, changes: list[Change]) -> Plan:
        """Bytes: what the selections read, each table once; all of the target when rows of it change."""
        sizes: dict[tuple[str, str, str], int] = {}
        tables = {self.target.key: self.target}
        for inner in self._inner:
            for table in inner.tables:
                tables.setdefault(table.key, table)
            for key, size in inner.bytes_by_table.items():
                sizes[key] = max(sizes.get(key, 0), size)
        if any(change.verb != "INSERT" for change in changes):
            sizes[self.target.key] = self.whole
        location = self.request.location
        plan = Plan(statement, tree, "", [], list(tables.values()), sum(sizes.values()), location)
        plan.changes = changes
        return plan


def target_of(tree: Any) -> exp.Table:
    """The table that a statement changes; `DELETE t WHERE …` keeps it in another place than `DELETE FROM t`."""
    named = tree.this or (tree.args.get("tables") or [None])[0]
    table = named.find(exp.Table) if isinstance(named, exp.Expression) else None
    if table is None:
        raise unsupported(f"this form of {type(tree).__name__.upper()}")
    return table


def _marked(table: Any) -> exp.Table:
    """The target in a selection: its rows have numbers there."""
    out: exp.Table = table.copy()
    out.meta["row_id"] = True
    return out


def _absent(table: Any, on: exp.Expression) -> exp.Expression:
    found = (
        exp.Select(expressions=[exp.alias_(exp.Literal.number(1), "one")])
        .from_(table.copy())
        .where(on.copy())
    )
    return exp.Not(this=exp.Exists(this=found))


def _aliased(values: list[Any]) -> list[exp.Expression]:
    return [exp.Alias(this=v, alias=exp.to_identifier(f"v{i}")) for i, v in enumerate(values)]


def _with_values(query: exp.Select, table: exp.Table, sets: list[tuple[Field, exp.Expression]]) -> exp.Select:
    """The number of each row of the target, and what it will hold."""
    row = exp.alias_(exp.column(ROW_ID, table=table.alias_or_name), _ROW)
    query.set("expressions", [row, *_aliased([value for _, value in sets])])
    return query


def _values_query(values: exp.Values, width: int) -> exp.Query:
    """VALUES as a UNION ALL of selects, so that each expression is resolved and typed like any other."""
    selects: list[exp.Query] = []
    for row in values.expressions:
        items = row.expressions if isinstance(row, exp.Tuple) else [row.unnest()]
        if len(items) != width:
            raise invalid_query(f"Inserted row has wrong column count; Has {len(items)}, expected {width}")
        selects.append(exp.Select(expressions=_aliased([without_default(item.copy()) for item in items])))
    out = selects[0]
    for select in selects[1:]:
        out = exp.Union(this=out, expression=select, distinct=False)
    return out


# -- applied ------------------------------------------------------------------------------------------------------------


def apply(cursor: Any, target: Table, changes: list[Change]) -> int:
    """Make the changes inside the caller's transaction; answers the number of rows that changed."""
    physical = quote(str(target.physical))
    for number, change in enumerate(changes):
        names = ", ".join([_ROW] * (change.verb != "INSERT") + [f"v{i}" for i in range(len(change.columns))])
        stored = ", ".join(
            [_ROW] * (change.verb != "INSERT")
            + [
                f"{stored_sql(f'v{i}', v, c)} AS v{i}"
                for i, (v, c) in enumerate(zip(change.values, change.columns, strict=True))
            ]
        )
        cursor.execute(
            f"CREATE TEMP TABLE selected_{number} AS SELECT {stored} FROM ({change.sql}) AS q({names})"
        )
        check_values(
            cursor, f"selected_{number}", [c | {"name": f"v{i}"} for i, c in enumerate(change.columns)]
        )
    _refuse_double(cursor, [n for n, change in enumerate(changes) if change.verb != "INSERT"])
    count = 0
    for number, change in enumerate(changes):
        selected = f"selected_{number}"
        if change.verb == "DELETE":
            sql = f"DELETE FROM {physical} WHERE rowid IN (SELECT {_ROW} FROM {selected})"
        elif change.verb == "UPDATE":
            sets = ", ".join(f"{quote(c['name'])} = q.v{i}" for i, c in enumerate(change.columns))
            sql = f"UPDATE {physical} SET {sets} FROM {selected} AS q WHERE {physical}.rowid = q.{_ROW}"
        else:
            columns = ", ".join(quote(c["name"]) for c in change.columns)
            sql = f"INSERT INTO {physical} ({columns}) SELECT * FROM {selected}"
        count += int(cursor.execute(sql).fetchone()[0])
    for number in range(len(changes)):
        cursor.execute(f"DROP TABLE selected_{number}")
    return count


def _refuse_double(cursor: Any, numbers: list[int]) -> None:
    """Whether two rows of the source want the same row of the target."""
    if not numbers:
        return
    every = " UNION ALL ".join(f"SELECT {_ROW} FROM selected_{n}" for n in numbers)
    double = f"SELECT 1 FROM ({every}) GROUP BY {_ROW} HAVING count(*) > 1 LIMIT 1"
    if cursor.execute(double).fetchone() is not None:
        raise invalid_query("UPDATE/MERGE must match at most one source row for each target row")
