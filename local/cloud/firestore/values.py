"""How Firestore measures, limits and reaches into values."""

from typing import Any

from local.cloud.firestore.paths import check_field_name, invalid

DEEPEST = 20


def find(document: Any, path: tuple[str, ...]) -> Any | None:
    """The value at a field path, or None."""
    fields = document.fields
    for name in path[:-1]:
        if name not in fields or fields[name].WhichOneof("value_type") != "map_value":
            return None
        fields = fields[name].map_value.fields
    # upb's map makes the key that `[]` reads, so ask first.
    return fields[path[-1]] if path[-1] in fields else None  # noqa: SIM401


def put(document: Any, path: tuple[str, ...], value: Any) -> None:
    """Set the value at a field path; whatever stood where a map is needed gives way."""
    fields = document.fields
    for name in path[:-1]:
        step = fields[name]
        if step.WhichOneof("value_type") != "map_value":
            step.map_value.SetInParent()
        fields = step.map_value.fields
    fields[path[-1]].CopyFrom(value)


def drop(document: Any, path: tuple[str, ...]) -> None:
    """Remove the value at a field path, if it is there."""
    fields = document.fields
    for name in path[:-1]:
        if name not in fields or fields[name].WhichOneof("value_type") != "map_value":
            return
        fields = fields[name].map_value.fields
    if path[-1] in fields:
        del fields[path[-1]]


def name_size(name: str) -> int:
    """Bytes of a document name by the service's rule: each path segment + 1, and 16."""
    return sum(len(part.encode()) + 1 for part in name.split("/")[5:]) + 16


def document_size(document: Any) -> int:
    """Bytes of a document by the published rule (name + fields + 32)."""
    return name_size(document.name) + _fields_size(document.fields) + 32


def _fields_size(fields: Any) -> int:
    return sum(len(name.encode()) + 1 + _value_size(value) for name, value in fields.items())


def _value_size(value: Any) -> int:
    match value.WhichOneof("value_type"):
        case "string_value":
            return len(value.string_value.encode()) + 1
        case "bytes_value":
            return len(value.bytes_value)
        case "integer_value" | "double_value" | "timestamp_value":
            return 8
        case "geo_point_value":
            return 16
        case "reference_value":
            return name_size(value.reference_value)
        case "array_value":
            return sum(_value_size(element) for element in value.array_value.values)
        case "map_value":
            return _fields_size(value.map_value.fields)
        case _:
            return 1


def check_fields(fields: Any, depth: int = 1) -> None:
    """Refuse names, nesting and arrays that the service does not store."""
    for name, value in fields.items():
        if not (name == "__type__" and depth > 1):
            check_field_name(name)
        _check_value(value, depth)


def _check_value(value: Any, depth: int) -> None:
    kind = value.WhichOneof("value_type")
    if kind is None:
        raise invalid("value_type must be set in every field's value")
    if kind == "map_value":
        if depth > DEEPEST:
            raise invalid(f"Maps and arrays are nested deeper than the maximum of {DEEPEST} levels.")
        check_fields(value.map_value.fields, depth + 1)
    elif kind == "array_value":
        for element in value.array_value.values:
            if element.WhichOneof("value_type") == "array_value":
                raise invalid("Cannot convert an array value in an array value.")
            _check_value(element, depth + 1)
