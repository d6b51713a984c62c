"""PIVOT and UNPIVOT as the queries that they abbreviate.

    PIVOT(SUM(sales) FOR quarter IN ('Q1', 'Q2'))
        → SELECT * EXCEPT(sales, quarter), SUM(IF(quarter = 'Q1', sales, NULL)) AS Q1, … GROUP BY ALL
    UNPIVOT(sales FOR quarter IN (Q1, Q2))
        → SELECT * EXCEPT(Q1, Q2), u.sales, u.quarter FROM …, UNNEST([STRUCT(Q1 AS sales, 'Q1' AS quarter), …]) AS u

Written out, they go through the same rules, type checks and byte counts as everything else, and name their
columns as BigQuery does, where DuckDB's own operators differ.
"""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported

# Aggregates that skip NULL, so that a NULL where the condition fails leaves the row out.
_SKIPS_NULL = (
    exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Count, exp.AnyValue, exp.GroupConcat, exp.CountIf, exp.LogicalAnd,
    exp.LogicalOr, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop, exp.ApproxDistinct,
)  # fmt: skip


def write_out(tree: exp.Expression) -> exp.Expression:
    """The tree without PIVOT and UNPIVOT; names are bound already."""
    for source in [n for n in tree.find_all(exp.Table, exp.Subquery, exp.Unnest) if n.args.get("pivots")]:
        pivots = source.args["pivots"]
        if len(pivots) != 1:
            raise unsupported("several PIVOT or UNPIVOT operators on one table")
        (pivot,) = pivots
        given = pivot.args.get("alias")
        parent, key, index = source.parent, source.arg_key, source.index
        joins = source.args.pop("joins", None)
        source.set("pivots", None)
        if not source.alias:
            source.set("alias", exp.TableAlias(this=exp.to_identifier("_pivoted")))
        query = _unpivot(pivot, source) if pivot.args.get("unpivot") else _pivot(pivot, source)
        name = given.this if given is not None else exp.to_identifier(source.alias_or_name)
        out = exp.Subquery(this=query, alias=exp.TableAlias(this=name.copy()))
        if joins:
            out.set("joins", joins)
        parent.set(key, out, index)
    return tree


def _single_field(pivot: exp.Pivot) -> tuple[Any, list[Any]]:
    fields = pivot.args.get("fields") or []
    if len(fields) != 1 or not isinstance(fields[0], exp.In) or not fields[0].expressions:
        raise unsupported("PIVOT without a list of values")
    return fields[0].this, fields[0].expressions


def _except(names: list[str]) -> exp.Star:
    listed = list(dict.fromkeys(names))
    return exp.Star(except_=[exp.to_identifier(name) for name in listed])


# -- PIVOT --------------------------------------------------------------------------------------------------------------


def _pivot(pivot: exp.Pivot, source: Any) -> exp.Expression:
    column, values = _single_field(pivot)
    used = [c.parts[0].name if len(c.parts) > 1 and not _is_alias(c, source) else c.name
            for part in (column, *pivot.expressions) for c in part.find_all(exp.Column)]  # fmt: skip
    items: list[exp.Expression] = [_except(used)]
    for value in values:
        constant = value.this if isinstance(value, exp.PivotAlias) else value
        for aggregate in pivot.expressions:
            call = aggregate.this if isinstance(aggregate, exp.Alias) else aggregate
            prefix = aggregate.alias if isinstance(aggregate, exp.Alias) else ""
            if not prefix and len(pivot.expressions) > 1:
                raise invalid_query("PIVOT with several aggregate functions needs an alias for each")
            name = "_".join(part for part in (prefix, _value_name(value)) if part)
            items.append(exp.alias_(_conditional(call, column, constant), name))
    query = exp.Select(expressions=items).from_(source)
    query.set("group", exp.Group(all=True))
    return query


def _is_alias(column: exp.Column, source: Any) -> bool:
    return bool(column.parts[0].name.lower() == source.alias_or_name.lower())


def _value_name(value: exp.Expression) -> str:
    if isinstance(value, exp.PivotAlias):
        return str(value.args["alias"].name)
    if isinstance(value, exp.Literal):
        return str(value.name) if value.is_string else "_" + value.name.replace(".", "_point_")
    if isinstance(value, exp.Boolean):
        return str(value.this).lower()
    if isinstance(value, exp.Null):
        return "NULL"
    raise unsupported(f"a PIVOT value without an alias: write {value.sql('bigquery')} AS name")


def _conditional(call: Any, column: exp.Expression, value: exp.Expression) -> exp.Expression:
    if not isinstance(call, _SKIPS_NULL):
        raise unsupported(f"{call.sql('bigquery')[:60]} in a PIVOT")
    test: exp.Expression = (
        exp.Is(this=column.copy(), expression=exp.Null())
        if isinstance(value, exp.Null)
        else exp.EQ(this=column.copy(), expression=value.copy())
    )
    if isinstance(call, exp.Count) and isinstance(call.this, exp.Star):
        return exp.CountIf(this=test)
    out = call.copy()
    argument = out.this
    while isinstance(argument, exp.Distinct | exp.Order | exp.Limit | exp.HavingMax):
        argument = argument.expressions[0] if isinstance(argument, exp.Distinct) else argument.this
    argument.replace(exp.If(this=test, true=argument.copy(), false=exp.Null()))
    return out


# -- UNPIVOT ------------------------------------------------------------------------------------------------------------


def _unpivot(pivot: exp.Pivot, source: Any) -> exp.Expression:
    name, groups = _single_field(pivot)
    outputs = [
        i.name for e in pivot.expressions for i in (e.expressions if isinstance(e, exp.Tuple) else [e])
    ]
    label = name.name
    rows, used = [], []
    for group in groups:
        alias = group.args["alias"] if isinstance(group, exp.PivotAlias) else None
        inner = group.this if isinstance(group, exp.PivotAlias) else group
        columns = inner.expressions if isinstance(inner, exp.Tuple) else [inner]
        columns = [c.this if isinstance(c, exp.Paren) else c for c in columns]
        if len(columns) != len(outputs):
            raise invalid_query(
                f"UNPIVOT: {len(outputs)} values columns but {len(columns)} columns in a group"
            )
        used += [c.name for c in columns]
        shown = alias.copy() if alias is not None else exp.Literal.string("_".join(c.name for c in columns))
        if isinstance(shown, exp.Identifier):
            shown = exp.Literal.string(shown.name)
        pairs: list[exp.Expression] = [
            exp.PropertyEQ(
                this=exp.to_identifier(o), expression=exp.column(c.name, table=source.alias_or_name)
            )
            for o, c in zip(outputs, columns, strict=True)
        ]
        pairs.append(exp.PropertyEQ(this=exp.to_identifier(label), expression=shown))
        rows.append(exp.Struct(expressions=pairs))
    unnest = exp.Unnest(
        expressions=[exp.Array(expressions=rows)],
        alias=exp.TableAlias(columns=[exp.to_identifier("_unpivoted")]),
    )
    items: list[exp.Expression] = [
        exp.Column(this=_except(used), table=exp.to_identifier(source.alias_or_name))
    ]
    values = [exp.column(o, table="_unpivoted") for o in (*outputs, label)]
    items += [exp.alias_(v, v.name) for v in values]
    query = exp.Select(expressions=items).from_(source).join(unnest, join_type="CROSS")
    if pivot.args.get("include_nulls") is not True:
        present = [exp.Not(this=exp.Is(this=v.copy(), expression=exp.Null())) for v in values[:-1]]
        query = query.where(exp.or_(*present, copy=False))
    return query
