"""What CREATE and ALTER say: columns, partitioning, clustering and options, read from the statement's tree."""

from typing import Any

from sqlglot import exp, tokenize
from sqlglot.tokens import TokenType

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.fields import Field, canonical


def options(tree: exp.Expression) -> dict[str, Any]:
    names = {"description": "description", "friendly_name": "friendlyName", "location": "location"}
    out: dict[str, Any] = {}
    properties = tree.args.get("properties")
    for item in properties.expressions if properties is not None else []:
        if not isinstance(item, exp.Property) or type(item) is not exp.Property:
            continue
        name = item.name.lower()
        value = item.args["value"]
        if name in names and isinstance(value, exp.Literal):
            out[names[name]] = value.name
        elif name == "require_partition_filter" and isinstance(value, exp.Boolean):
            out["requirePartitionFilter"] = bool(value.this)
        elif name == "labels":
            pairs = [[e.name for e in t.expressions] for t in value.find_all(exp.Tuple)]
            out["labels"] = {p[0]: p[1] for p in pairs if len(p) == 2}
        else:
            raise unsupported(f"the option {name}")
    return out


def partition_options(tree: exp.Expression, columns: dict[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    part = tree.find(exp.PartitionedByProperty)
    if part is not None:
        by = part.this.expressions[0] if isinstance(part.this, exp.Schema | exp.Tuple) else part.this
        out |= _partition_by(by, columns)
    cluster = tree.find(exp.ClusterProperty)
    if cluster is not None:
        out["clustering"] = {"fields": [c.name for c in cluster.expressions]}
    return out


def _partition_by(by: Any, columns: dict[str, str]) -> dict[str, Any]:
    if isinstance(by, exp.Column | exp.Identifier):
        kind = columns.get(by.name.lower())
        if kind not in (None, "DATE"):
            raise invalid_query(
                "PARTITION BY expression must be DATE(<timestamp_column>), DATE(<datetime_column>), a DATE column, "
                f"a _TRUNC of one or RANGE_BUCKET; {by.name} is {kind}"
            )
        return {"timePartitioning": {"type": "DAY", "field": by.name}}
    if isinstance(by, exp.DateTrunc | exp.TimestampTrunc | exp.DatetimeTrunc):
        return {"timePartitioning": {"type": by.args["unit"].name.upper(), "field": by.this.name}}
    if isinstance(by, exp.Date | exp.TsOrDsToDate):
        return {"timePartitioning": {"type": "DAY", "field": by.this.name}}
    if isinstance(by, exp.RangeBucket) and isinstance(by.expression, exp.GenerateSeries):
        series = by.expression
        step = series.args.get("step")
        bounds = {
            "start": series.args["start"].sql(),
            "end": series.args["end"].sql(),
            "interval": step.sql() if step else "1",
        }
        return {"rangePartitioning": {"field": by.this.name, "range": bounds}}
    raise unsupported(f"PARTITION BY {by.sql('bigquery')}")


def column(node: exp.ColumnDef) -> Field:
    return canonical(_field(node))


def _field(node: exp.ColumnDef) -> Field:
    field = _typed_field(node.name, node.args["kind"])
    for constraint in node.args.get("constraints") or []:
        if isinstance(constraint.kind, exp.NotNullColumnConstraint):
            field["mode"] = "REQUIRED"
        elif isinstance(constraint.kind, exp.Properties):
            for option in constraint.kind.expressions:
                if option.name.lower() == "description":
                    field["description"] = option.args["value"].name
        else:
            raise unsupported(f"the column constraint {constraint.sql('bigquery')}")
    return field


def _typed_field(name: str, kind: exp.DataType) -> Field:
    spelled = kind.this.name
    if spelled == "ARRAY":
        return _typed_field(name, kind.expressions[0]) | {"mode": "REPEATED"}
    if spelled == "STRUCT":
        children = [_field(child) for child in kind.expressions if isinstance(child, exp.ColumnDef)]
        return {"name": name, "type": "RECORD", "mode": "NULLABLE", "fields": children}
    if kind.find(exp.DataTypeParam) is not None:
        raise unsupported(f"types with parameters: {kind.sql('bigquery')} of column {name}")
    return {"name": name, "type": kind.sql("bigquery"), "mode": "NULLABLE"}


def original_query(sql: str, tree: exp.Create) -> str:
    """The text after the AS of CREATE VIEW, as the author wrote it."""
    depth = 0
    for token in tokenize(sql, read="bigquery"):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 0 and token.token_type == TokenType.ALIAS:
            return sql[token.end + 1 :].strip().rstrip(";")
    return str(tree.expression.sql("bigquery"))
