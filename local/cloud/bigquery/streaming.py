"""tabledata.insertAll: rows as JSON, each accepted or refused with its reason."""

import json
import uuid
from typing import Any

from local.cloud.bigquery import load
from local.cloud.bigquery.errors import BigQueryError, invalid
from local.cloud.bigquery.fields import Field
from local.cloud.bigquery.service import Service
from local.cloud.bigquery.store import Table


def insert_all(service: Service, table: Table, body: dict[str, Any]) -> dict[str, Any]:
    """Insert all rows, or none when one is wrong (the service's default without skipInvalidRows)."""
    rows = body.get("rows") or []
    if not rows:
        raise invalid("No rows present in the request.")
    if table.kind == "VIEW":
        raise invalid(f"Cannot insert into a view: {table.id}")
    errors = []
    for index, row in enumerate(rows):
        problem = _problem(row.get("json"), table.fields, bool(body.get("ignoreUnknownValues")))
        if problem:
            detail = {"reason": "invalid", "location": problem[0], "debugInfo": "", "message": problem[1]}
            errors.append({"index": index, "errors": [detail]})
    if errors:
        return {"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": errors}
    path = service.engine.uploads / f"{uuid.uuid4().hex}.data"
    path.write_text("\n".join(json.dumps(row["json"]) for row in rows))
    config = {
        "destinationTable": table.reference,
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
        "schema": {"fields": table.fields},
    }
    try:
        load.run(service.tables, service.jobs.statements, config, path, f"insertAll:{uuid.uuid4().hex}")
    except BigQueryError as error:
        detail = {"reason": "invalid", "location": "", "debugInfo": "", "message": error.message}
        return {
            "kind": "bigquery#tableDataInsertAllResponse",
            "insertErrors": [{"index": 0, "errors": [detail]}],
        }
    finally:
        path.unlink(missing_ok=True)
    return {"kind": "bigquery#tableDataInsertAllResponse"}


def _problem(row: Any, fields: list[Field], ignore_unknown: bool) -> tuple[str, str] | None:
    if not isinstance(row, dict):
        return "", "the row has no json object"
    known = {f["name"].lower(): f for f in fields}
    for key in row:
        if key.lower() not in known and not ignore_unknown:
            return key, f"no such field: {key}."
    given = {k.lower() for k, v in row.items() if v is not None}
    for name, field in known.items():
        if field["mode"] == "REQUIRED" and name not in given:
            return field["name"], f"Missing required field: {field['name']}."
    return None
