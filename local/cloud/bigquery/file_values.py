"""Values of CSV and JSON files: read as texts and converted by BigQuery's grammars, at every depth.

DuckDB's own readers would round 12.5 to an INT64, take 2024/01/01 for a date and leave out nested keys that the
schema doesn't have.
"""

from collections.abc import Iterator, Sequence

from local.cloud.bigquery.fields import Field, duckdb_type, element, quote, repeated

_MACROS = {
    "INTEGER": "bq_text_to_int", "FLOAT": "bq_text_to_float", "NUMERIC": "bq_text_to_numeric", "DATE": "bq_text_to_date",
    "TIME": "bq_text_to_time", "DATETIME": "bq_text_to_datetime", "TIMESTAMP": "bq_file_timestamp",
    "BOOLEAN": "bq_file_bool", "BYTES": "from_base64",
}  # fmt: skip


def read_type(field: Field) -> str:
    """The DuckDB type as which the reader takes a field: texts, but for JSON documents."""
    if repeated(field):
        return f"{read_type(element(field))}[]"
    if field["type"] == "RECORD":
        return "STRUCT(" + ", ".join(f"{quote(c['name'])} {read_type(c)}" for c in field["fields"]) + ")"
    return "JSON" if field["type"] == "JSON" else "VARCHAR"


def converted(expression: str, field: Field, depth: int = 0) -> str:
    """DuckDB SQL for the value that the text means; an array that is missing is empty."""
    if repeated(field):
        inner = converted(f"x{depth}", element(field), depth + 1)
        return f"coalesce(list_transform({expression}, lambda x{depth}: {inner}), CAST([] AS {duckdb_type(field)}))"
    if field["type"] == "RECORD":
        parts = []
        for child in field["fields"]:
            name = quote(child["name"])
            parts.append(f"{name} := {converted(f'({expression}).{name}', child, depth)}")
        return f"CASE WHEN {expression} IS NULL THEN NULL ELSE struct_pack({', '.join(parts)}) END"
    macro = _MACROS.get(field["type"])
    return f"{macro}({expression})" if macro else expression


def objects(
    fields: Sequence[Field], path: str = "$", shown: str = ""
) -> Iterator[tuple[str, str, list[str]]]:
    """Each object that the schema knows: its JSON path, its name and the keys that it may have."""
    yield path, shown, [f["name"].lower() for f in fields]
    for field in fields:
        if field["type"] == "RECORD":
            below = f'{path}."{field["name"]}"' + ("[*]" if repeated(field) else "")
            yield from objects(field["fields"], below, f"{shown}{field['name']}.")
