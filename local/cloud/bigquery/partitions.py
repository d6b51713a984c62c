"""Partitioning of a table: ids, the range of values in a partition, and the logical bytes of each column in it."""

# ruff: noqa: S608  (this package writes SQL for its own engine; names are quoted or made here)

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.cloud.bigquery.errors import invalid, unsupported
from local.cloud.bigquery.fields import Field, fixed_size, leaves, quote, repeated, size_sql
from local.cloud.bigquery.store import Table

_UNITS = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}


@dataclass(frozen=True, slots=True)
class Partitioning:
    """`unit` is HOUR, DAY, MONTH or YEAR for a time column, RANGE for an INT64 one."""

    column: str
    unit: str
    kind: str
    start: int = 0
    end: int = 0
    step: int = 1


def partitioning(resource: dict[str, Any], fields: Sequence[Field]) -> Partitioning | None:
    """The validated partitioning of a table resource."""
    time, numbers = resource.get("timePartitioning"), resource.get("rangePartitioning")
    if not time and not numbers:
        return None
    if time and numbers:
        raise invalid("Only one of timePartitioning and rangePartitioning may be given")
    column = (time or numbers or {}).get("field")
    if not column:
        raise unsupported("ingestion-time partitioning; name a DATE, TIMESTAMP or DATETIME column")
    found = next((f for f in fields if f["name"].lower() == column.lower()), None)
    if found is None:
        raise invalid(f"The field specified for partitioning cannot be found in the schema: {column}")
    if repeated(found):
        raise invalid(f"The field specified for partitioning can not be repeated: {column}")
    if time:
        unit = str(time.get("type", "DAY")).upper()
        if unit not in _UNITS or found["type"] not in ("DATE", "TIMESTAMP", "DATETIME"):
            raise invalid(f"A column of type {found['type']} can't be partitioned by {unit}: {column}")
        if unit == "HOUR" and found["type"] == "DATE":
            raise invalid(f"HOUR partitioning is not supported on the DATE column {column}")
        return Partitioning(found["name"], unit, found["type"])
    bounds = (numbers or {}).get("range") or {}
    if found["type"] != "INTEGER":
        raise invalid(f"Range partitioning needs an INTEGER column; {column} is {found['type']}")
    try:
        start, end, step = (int(bounds[key]) for key in ("start", "end", "interval"))
    except (KeyError, ValueError, TypeError):
        raise invalid("rangePartitioning.range needs start, end and interval") from None
    if step <= 0 or end <= start:
        raise invalid("rangePartitioning.range needs start < end and interval > 0")
    return Partitioning(found["name"], "RANGE", "INTEGER", start, end, step)


def check_clustering(resource: dict[str, Any], fields: Sequence[Field]) -> None:
    names = {f["name"].lower() for f in fields if not repeated(f) and f["type"] != "RECORD"}
    columns = (resource.get("clustering") or {}).get("fields") or []
    if len(columns) > 4:
        raise invalid("At most 4 clustering columns are allowed")
    for column in columns:
        if column.lower() not in names:
            raise invalid(f"The field specified for clustering cannot be found in the schema: {column}")


def compute(cursor: Any, table: Table) -> dict[str, Any]:
    """Rows and logical bytes by partition and leaf column: `{"leaves", "partitions": [{id, lo, hi, rows, bytes}]}`."""
    part = partitioning(table.resource, table.fields)
    paths = list(leaves(table.fields))
    sizes = [_leaf_sum(table.fields, path) for path, _ in paths]
    key = _key_sql(part)
    query = f"SELECT {key} AS k, count(*), {', '.join(sizes) or '0'} FROM {quote(str(table.physical))} GROUP BY 1 ORDER BY 1"
    out = []
    for k, count, *sums in cursor.execute(query).fetchall():
        identity, low, high = _bounds(part, k)
        out.append(
            {
                "id": identity,
                "lo": low,
                "hi": high,
                "rows": int(count),
                "bytes": [int(s or 0) for s in sums[: len(paths)]],
            }
        )
    return {"leaves": [".".join(path) for path, _ in paths], "partitions": out}


def _leaf_sum(fields: Sequence[Field], path: Sequence[str]) -> str:
    top = next(f for f in fields if f["name"] == path[0])
    fixed = fixed_size(top)
    if fixed is not None:
        return f"{fixed} * count({quote(path[0])})"
    return f"sum({size_sql(quote(path[0]), top, path[1:])})"


def _key_sql(part: Partitioning | None) -> str:
    if part is None:
        return "NULL"
    column = quote(part.column)
    if part.unit == "RANGE":
        inside = f"{column} >= {part.start} AND {column} < {part.end}"
        lower = f"{part.start} + (({column} - {part.start}) // {part.step}) * {part.step}"
        return (
            f"CASE WHEN {inside} THEN ({lower})::VARCHAR WHEN {column} IS NULL THEN NULL ELSE 'outside' END"
        )
    local = f"timezone('UTC', {column})" if part.kind == "TIMESTAMP" else column
    return f"strftime(date_trunc('{part.unit.lower()}', {local}), '%Y-%m-%dT%H:%M:%S')"


def _bounds(part: Partitioning | None, key: str | None) -> tuple[str | None, Any, Any]:
    """(partition id, lowest value, highest value), the last two inclusive and None when unknown."""
    if part is None:
        return None, None, None
    if key is None:
        return "__NULL__", None, None
    if part.unit == "RANGE":
        if key == "outside":
            return "__UNPARTITIONED__", None, None
        low = int(key)
        return key, low, min(low + part.step, part.end) - 1
    start = dt.datetime.fromisoformat(key)
    identity = start.strftime(_UNITS[part.unit])
    following = {
        "HOUR": lambda: start + dt.timedelta(hours=1),
        "DAY": lambda: start + dt.timedelta(days=1),
        "MONTH": lambda: (start.replace(day=1) + dt.timedelta(days=32)).replace(day=1),
        "YEAR": lambda: start.replace(year=start.year + 1),
    }[part.unit]()
    if part.kind == "DATE":
        return identity, start.date().isoformat(), (following - dt.timedelta(days=1)).date().isoformat()
    high = following - dt.timedelta(microseconds=1)
    suffix = "+00:00" if part.kind == "TIMESTAMP" else ""
    return identity, start.isoformat() + suffix, high.isoformat() + suffix


def total_rows(stats: dict[str, Any] | None) -> int:
    return sum(p["rows"] for p in (stats or {}).get("partitions", ()))


def total_bytes(stats: dict[str, Any] | None) -> int:
    return sum(sum(p["bytes"]) for p in (stats or {}).get("partitions", ()))
