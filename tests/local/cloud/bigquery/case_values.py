"""Result types and values as the case files write them."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any

from google.cloud import bigquery


def type_name(field: bigquery.SchemaField) -> str:
    """A result column's type in standard SQL."""
    names = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
    kind = names.get(field.field_type, field.field_type)
    if kind in ("RECORD", "STRUCT"):
        kind = f"STRUCT<{', '.join(f'{f.name} {type_name(f)}' for f in field.fields)}>"
    return f"ARRAY<{kind}>" if field.mode == "REPEATED" else kind


def plain(value: Any) -> Any:
    """A client value as the JSON of the case files writes it."""
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
