"""Example values for the OpenAPI document: by name where a value should mean something, by schema elsewhere."""

from typing import Any

ID = "0198a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"
MOMENT = "2026-11-21T09:30:00Z"
DOCUMENT = """\
title: Flights
slug: flights
connection: flights
queries:
  - id: monthly
    sql: SELECT DATE_TRUNC(flight_date, MONTH) AS month, COUNT(*) AS flights FROM demo.flights GROUP BY month
tiles:
  - id: trend
    type: chart
    title: Flights by month
    query: monthly
    chart: {type: line, x: month, y: flights}
"""
NAMED: dict[str, Any] = {
    "author_email": "ada@example.com",
    "code": "flights",
    "connection_type": "bigquery",
    "credentials": "eyJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCJ9",
    "currency": "USD",
    "cursor": "WyJhbHBoYSIsIDNd",
    "email": "ada@example.com",
    "expires_in_days": 30,
    "fully_qualified_name": "bridge-demo.nycflights13.flights",
    "gcs_path": "gs://bridge-dashboards/0198a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b/flights.yaml",
    "generation": "1763717400000000",
    "locale": "en-US",
    "message": "Show monthly flights and average departure delay by carrier",
    "model": "builtin-analyst",
    "name": "Flights",
    "owner_email": "ada@example.com",
    "provider": "builtin",
    "q": "departure delay",
    "slug": "flights",
    "table_type": "TABLE",
    "timezone": "UTC",
    "title": "Flights",
    "token": "brg_shown-this-once",
    "url": "/dash/flights",
    "user_prompt": "Show monthly flights and average departure delay by carrier",
    "yaml_content": DOCUMENT,
}


def example(schema: dict[str, Any], known: dict[str, Any], name: str = "") -> Any:
    """A value that the schema accepts and that reads like a real one. Optional members of a body are left out."""
    if "$ref" in schema:
        return example(known[schema["$ref"].rsplit("/", 1)[-1]], known, name)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return NAMED[name] if NAMED.get(name) in schema["enum"] else schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return example(schema[union][0], known, name)
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        required = schema.get("required", [])
        return {
            member: example(inner, known, member)
            for member, inner in schema.get("properties", {}).items()
            if member in required
        }
    if kind == "array":
        return [example(schema["items"], known, name)] if schema.get("items") else []
    if kind == "string":
        return _text(schema, name)
    if kind == "integer":
        return NAMED[name] if isinstance(NAMED.get(name), int) else max(int(schema.get("minimum", 0)), 3)
    return {"number": 0.5, "boolean": True}.get(str(kind))


def _text(schema: dict[str, Any], name: str) -> str:
    if name in NAMED:
        return str(NAMED[name])
    if schema.get("format") == "date-time" or name.endswith("_at"):
        return MOMENT
    if name == "id" or name.endswith(("_id", "_ids")) or "[0-9a-f]{8}" in schema.get("pattern", ""):
        return ID
    return name.replace("_", " ") or "text"
