"""Tables and datasets as DDL text and as option rows, for INFORMATION_SCHEMA."""

import json
from collections.abc import Iterator
from typing import Any

from local.cloud.bigquery.fields import standard_type
from local.cloud.bigquery.store import Dataset, Table

Option = tuple[str, str, str]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _labels(labels: dict[str, str]) -> str:
    return "[" + ", ".join(f"STRUCT({_text(k)}, {_text(v)})" for k, v in sorted(labels.items())) + "]"


def _common(resource: dict[str, Any]) -> Iterator[Option]:
    if resource.get("description"):
        yield "description", "STRING", _text(resource["description"])
    if resource.get("friendlyName"):
        yield "friendly_name", "STRING", _text(resource["friendlyName"])
    if resource.get("labels"):
        yield "labels", "ARRAY<STRUCT<STRING, STRING>>", _labels(resource["labels"])


def dataset_options(dataset: Dataset) -> Iterator[Option]:
    yield from _common(dataset.resource)


def table_options(table: Table) -> Iterator[Option]:
    yield from _common(table.resource)
    if table.resource.get("requirePartitionFilter"):
        yield "require_partition_filter", "BOOL", "true"


def schema(dataset: Dataset) -> str:
    return f"CREATE SCHEMA `{dataset.project}.{dataset.name}`\nOPTIONS(\n  location={_text(dataset.location)}\n);"


def table(table: Table) -> str:
    name = f"`{table.project}.{table.dataset}.{table.name}`"
    if table.kind == "VIEW":
        return f"CREATE VIEW {name}\nAS {table.resource['view']['query']};"
    lines = []
    for field in table.fields:
        required = " NOT NULL" if field["mode"] == "REQUIRED" else ""
        described = f" OPTIONS(description={_text(field['description'])})" if field.get("description") else ""
        lines.append(f"  {field['name']} {standard_type(field)}{required}{described}")
    out = f"CREATE TABLE {name}\n(\n" + ",\n".join(lines) + "\n)"
    time = table.resource.get("timePartitioning")
    if time:
        kind = next(f["type"] for f in table.fields if f["name"].lower() == time["field"].lower())
        unit = time.get("type", "DAY")
        out += "\nPARTITION BY " + (
            time["field"] if kind == "DATE" and unit == "DAY" else f"{_trunc(kind)}({time['field']}, {unit})"
        )
    numbers = table.resource.get("rangePartitioning")
    if numbers:
        r = numbers["range"]
        out += f"\nPARTITION BY RANGE_BUCKET({numbers['field']}, GENERATE_ARRAY({r['start']}, {r['end']}, {r['interval']}))"
    clustered = (table.resource.get("clustering") or {}).get("fields")
    if clustered:
        out += "\nCLUSTER BY " + ", ".join(clustered)
    options = [f"  {name}={value}" for name, _, value in table_options(table)]
    return out + ("\nOPTIONS(\n" + ",\n".join(options) + "\n)" if options else "") + ";"


def _trunc(kind: str) -> str:
    return {"DATE": "DATE_TRUNC", "TIMESTAMP": "TIMESTAMP_TRUNC", "DATETIME": "DATETIME_TRUNC"}[kind]
