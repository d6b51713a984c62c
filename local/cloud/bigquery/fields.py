"""One column type in its five forms: REST field, standard SQL text, DuckDB type, size rule, wire value.

A field is the dict of the REST API (`name`, `type`, `mode`, `fields`, `description`), with the legacy
type names that the service answers with. Size rules: Google's "Estimate query costs", section on data
sizes (INT64, FLOAT64, DATE, DATETIME, TIME, TIMESTAMP 8; NUMERIC 16; BOOL 1; STRING and BYTES 2 + UTF-8
bytes; NULL 0; arrays and structs the sum of their parts).
"""

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from local.cloud.bigquery.errors import invalid, unsupported

Field = dict[str, Any]

# legacy (REST) name -> (standard SQL name, DuckDB type, fixed logical bytes or None)
_SCALARS: dict[str, tuple[str, str, int | None]] = {
    "STRING": ("STRING", "VARCHAR", None),
    "BYTES": ("BYTES", "BLOB", None),
    "INTEGER": ("INT64", "BIGINT", 8),
    "FLOAT": ("FLOAT64", "DOUBLE", 8),
    "NUMERIC": ("NUMERIC", "DECIMAL(38, 9)", 16),
    "BOOLEAN": ("BOOL", "BOOLEAN", 1),
    "TIMESTAMP": ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", 8),
    "DATE": ("DATE", "DATE", 8),
    "TIME": ("TIME", "TIME", 8),
    "DATETIME": ("DATETIME", "TIMESTAMP", 8),
    "JSON": ("JSON", "JSON", None),
    "INTERVAL": ("INTERVAL", "INTERVAL", 16),
}
_ALIASES = {
    "INT64": "INTEGER", "INT": "INTEGER", "BIGINT": "INTEGER", "SMALLINT": "INTEGER", "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN", "STRUCT": "RECORD", "DECIMAL": "NUMERIC", "BYTEINT": "INTEGER", "TINYINT": "INTEGER",
}  # fmt: skip
_COLUMN_NAME = re.compile(r"^[^\W\d][\w\- &%=+:'<>#|]{0,299}$")


def canonical(field: Any, path: str = "") -> Field:
    """A validated field with canonical names; refuses types that this server can't hold exactly."""
    if not isinstance(field, dict) or not isinstance(field.get("name"), str) or not field["name"]:
        raise invalid(f"Field {path or 'of the schema'} has no name")
    name = f"{path}{field['name']}"
    if not _COLUMN_NAME.match(field["name"]):
        raise invalid(f'Invalid field name "{name}". Fields must start with a letter or an underscore')
    kind = str(field.get("type", "")).upper()
    kind = _ALIASES.get(kind, kind)
    if kind in ("BIGNUMERIC", "BIGDECIMAL", "GEOGRAPHY", "RANGE"):
        raise unsupported(f"columns of type {kind} ({name})")
    if (kind != "RECORD" and kind not in _SCALARS) or kind == "INTERVAL":
        raise invalid(f"Invalid type {field.get('type')!r} of field {name}")
    mode = str(field.get("mode") or "NULLABLE").upper()
    if mode not in ("NULLABLE", "REQUIRED", "REPEATED"):
        raise invalid(f"Invalid mode {field.get('mode')!r} of field {name}")
    out: Field = {"name": field["name"], "type": kind, "mode": mode}
    if field.get("description"):
        out["description"] = str(field["description"])
    if field.get("policyTags"):
        out["policyTags"] = field["policyTags"]
    if kind == "RECORD":
        children = field.get("fields") or []
        if not children:
            raise invalid(f"Field {name} is of type RECORD but has no schema")
        out["fields"] = canonical_all(children, f"{name}.")
    return out


def canonical_all(fields: Iterable[Any], path: str = "") -> list[Field]:
    out = [canonical(field, path) for field in fields]
    seen: set[str] = set()
    for field in out:
        if field["name"].lower() in seen:
            raise invalid(f"Duplicate field name: {path}{field['name']}")
        seen.add(field["name"].lower())
    return out


def repeated(field: Field) -> bool:
    return bool(field.get("mode") == "REPEATED")


def element(field: Field) -> Field:
    """One element of a repeated field."""
    return field | {"mode": "NULLABLE"}


def standard_type(field: Field) -> str:
    """`ARRAY<STRUCT<a INT64>>`, as INFORMATION_SCHEMA writes it."""
    if repeated(field):
        return f"ARRAY<{standard_type(element(field))}>"
    if field["type"] == "RECORD":
        inner = ", ".join(f"{child['name']} {standard_type(child)}" for child in field["fields"])
        return f"STRUCT<{inner}>"
    return _SCALARS[field["type"]][0]


def duckdb_type(field: Field) -> str:
    if repeated(field):
        return f"{duckdb_type(element(field))}[]"
    if field["type"] == "RECORD":
        inner = ", ".join(f"{quote(child['name'])} {duckdb_type(child)}" for child in field["fields"])
        return f"STRUCT({inner})"
    return _SCALARS[field["type"]][1]


def quote(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


_FROM_DUCKDB = {
    "bigint": "INTEGER", "integer": "INTEGER", "smallint": "INTEGER", "tinyint": "INTEGER", "hugeint": "INTEGER",
    "ubigint": "INTEGER", "uinteger": "INTEGER", "usmallint": "INTEGER", "utinyint": "INTEGER",
    "double": "FLOAT", "float": "FLOAT", "decimal": "NUMERIC", "varchar": "STRING", "blob": "BYTES",
    "boolean": "BOOLEAN", "date": "DATE", "time": "TIME", "timestamp": "DATETIME",
    "timestamp with time zone": "TIMESTAMP", "interval": "INTERVAL", "json": "JSON",
    "timestamp_ns": "DATETIME", "timestamp_ms": "DATETIME", "timestamp_s": "DATETIME",
}  # fmt: skip


def from_duckdb(name: str, kind: Any) -> Field:
    """The field of a DuckDB result column (`kind` is a DuckDBPyType)."""
    if str(kind) == "JSON":
        return {"name": name, "type": "JSON", "mode": "NULLABLE"}
    if kind.id in ("list", "array"):
        inner = from_duckdb(name, dict(kind.children)["child"])
        if repeated(inner):
            raise unsupported(f"an array of arrays as a result column ({name})")
        return inner | {"mode": "REPEATED"}
    if kind.id == "struct":
        return {
            "name": name,
            "type": "RECORD",
            "mode": "NULLABLE",
            "fields": [from_duckdb(child, inner) for child, inner in kind.children],
        }
    text = str(kind).lower()
    found = _FROM_DUCKDB.get(text) or _FROM_DUCKDB.get(kind.id.replace("_tz", " with time zone"))
    if text == '"null"' or kind.id == "sqlnull":
        found = "INTEGER"  # an untyped NULL is INT64 in BigQuery
    if found is None:
        raise unsupported(f"a result column of DuckDB type {kind} ({name})")
    return {"name": name, "type": found, "mode": "NULLABLE"}


def leaves(fields: Sequence[Field], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Field]]:
    """Every leaf path with its field; the path of `items.price` is ("items", "price")."""
    for field in fields:
        path = (*prefix, field["name"])
        if field["type"] == "RECORD":
            yield from leaves(field["fields"], path)
        else:
            yield path, field


def size_sql(expression: str, field: Field, path: Sequence[str] = (), depth: int = 0) -> str:
    """DuckDB SQL for the logical bytes of one value, or of its leaf at `path` below the field."""
    if repeated(field):
        inner = size_sql(f"x{depth}", element(field), path, depth + 1)
        listed = f"list_transform({expression}, lambda x{depth}: {inner})"
        return f"coalesce(list_sum({listed}), 0)"
    if field["type"] == "RECORD":
        children = [c for c in field["fields"] if not path or c["name"] == path[0]]
        parts = [size_sql(f"({expression}).{quote(c['name'])}", c, path[1:], depth) for c in children]
        return "(" + " + ".join(parts) + ")"
    fixed = _SCALARS[field["type"]][2]
    if fixed is not None:
        return f"(CASE WHEN {expression} IS NULL THEN 0 ELSE {fixed} END)"
    if field["type"] == "BYTES":
        return f"coalesce(2 + octet_length({expression}), 0)"
    return f"coalesce(2 + strlen({expression}), 0)"


def fixed_size(field: Field) -> int | None:
    """The logical bytes of a non-NULL value when they don't depend on the value."""
    if repeated(field) or field["type"] == "RECORD":
        return None
    return _SCALARS[field["type"]][2]


def wire_sql(expression: str, field: Field, depth: int = 0) -> str:
    """DuckDB SQL that turns what Python can't hold into texts and numbers, at any depth.

    Instants become microseconds (Python would want pytz), intervals BigQuery's text (Python has no months).
    """
    if field["type"] in _WIRE and not repeated(field):
        return f"{_WIRE[field['type']]}({expression})"
    if not _needs_wire(field):
        return expression
    if repeated(field):
        inner = wire_sql(f"x{depth}", element(field), depth + 1)
        return f"list_transform({expression}, lambda x{depth}: {inner})"
    parts = []
    for child in field["fields"]:
        name = quote(child["name"])
        parts.append(f"{name} := {wire_sql(f'({expression}).{name}', child, depth)}")
    return f"CASE WHEN {expression} IS NULL THEN NULL ELSE struct_pack({', '.join(parts)}) END"


_WIRE = {"TIMESTAMP": "epoch_us", "INTERVAL": "bq_interval_to_text"}


def _needs_wire(field: Field) -> bool:
    if field["type"] == "RECORD":
        return any(_needs_wire(child) for child in field["fields"])
    return field["type"] in _WIRE


def encode_row(values: Sequence[Any], fields: Sequence[Field], *, int_timestamps: bool) -> dict[str, Any]:
    """`{"f": [{"v": …}]}` for one row."""
    return {"f": [{"v": encode(v, f, int_timestamps)} for v, f in zip(values, fields, strict=True)]}


def encode(value: Any, field: Field, int_timestamps: bool = True) -> Any:
    """One value as the REST API writes it: everything a string, NULL null, nested rows as f/v."""
    if repeated(field):
        inner = element(field)
        return [{"v": encode(item, inner, int_timestamps)} for item in value or ()]
    if value is None:
        return None
    kind = field["type"]
    if kind == "RECORD":
        values = value.values() if isinstance(value, dict) else value
        return {
            "f": [{"v": encode(v, f, int_timestamps)} for v, f in zip(values, field["fields"], strict=True)]
        }
    if kind == "TIMESTAMP":
        return str(value) if int_timestamps else repr(value / 1_000_000)
    return _TEXT[kind](value)


def _float(value: Any) -> str:
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return repr(number)


def _numeric(value: Any) -> str:
    text = f"{Decimal(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _datetime(value: Any) -> str:
    return str(value.isoformat(timespec="microseconds" if value.microsecond else "seconds"))


_TEXT: dict[str, Any] = {
    "STRING": str,
    "BYTES": lambda v: base64.b64encode(bytes(v)).decode(),
    "INTEGER": lambda v: str(int(v)),
    "FLOAT": _float,
    "NUMERIC": _numeric,
    "BOOLEAN": lambda v: "true" if v else "false",
    "DATE": lambda v: v.isoformat(),
    "TIME": _datetime,
    "DATETIME": _datetime,
    "JSON": lambda v: json.dumps(json.loads(v), separators=(",", ":"), ensure_ascii=False),
    "INTERVAL": str,
}


def conform_sql(expression: str, given: Field, target: Field, depth: int = 0) -> str:
    """DuckDB SQL for a value as the target's type; structs are matched by position, as BigQuery assigns them."""
    if target["type"] != "RECORD" or given["type"] != "RECORD":
        return f"CAST({expression} AS {duckdb_type(target)})"
    if repeated(target) and repeated(given):
        inner = conform_sql(f"x{depth}", element(given), element(target), depth + 1)
        return f"list_transform({expression}, lambda x{depth}: {inner})"
    if len(given["fields"]) != len(target["fields"]):
        raise invalid(
            f"The struct for {target['name']} has {len(given['fields'])} fields, not {len(target['fields'])}"
        )
    parts = []
    for source, field in zip(given["fields"], target["fields"], strict=True):
        value = conform_sql(f"({expression}).{quote(source['name'])}", source, field, depth)
        parts.append(f"{quote(field['name'])} := {value}")
    return f"CASE WHEN {expression} IS NULL THEN NULL ELSE struct_pack({', '.join(parts)}) END"


def stored_sql(expression: str, given: Field, target: Field) -> str:
    """DuckDB SQL for a value as it is stored: in the target's type, and an array that is NULL as an empty one."""
    value = conform_sql(expression, given, target)
    return f"coalesce({value}, [])" if repeated(target) else value
