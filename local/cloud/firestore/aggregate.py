"""count, sum and avg over a query's results."""

from typing import Any

from local.cloud.firestore import values, wire
from local.cloud.firestore.paths import NAME, field_path, invalid

MOST_AGGREGATIONS = 5
_LARGEST = 2**63 - 1


def check(query: Any, aggregations: Any) -> None:
    """Refuse what the service refuses. Raises Refused with INVALID_ARGUMENT."""
    if not aggregations or len(aggregations) > MOST_AGGREGATIONS:
        raise invalid(
            f"An aggregation query has 1 to {MOST_AGGREGATIONS} aggregations, not {len(aggregations)}."
        )
    aliases = [one.alias for one in aggregations if one.alias]
    if len(aliases) != len(set(aliases)):
        raise invalid("An aggregation alias is used twice.")
    if query.HasField("select") and fields(aggregations):
        raise invalid("Cannot apply property masks when aggregation fields are present.")
    ordered = [item.field.field_path for item in query.order_by]
    after = [name for name in fields(aggregations) if name not in ordered]
    if NAME in ordered and after:
        raise invalid(
            f"This query requires an index that has fields [{', '.join(after)}] after {NAME} and Firestore does "
            "not currently support such an index. Please try the query again with additional ordering on those "
            "fields."
        )


def fields(aggregations: Any) -> list[str]:
    """Fields that sum and avg read; a document must have all of them to be counted."""
    found = []
    for one in aggregations:
        kind = one.WhichOneof("operator")
        if kind in ("sum", "avg"):
            found.append(getattr(one, kind).field.field_path)
    return found


def result(documents: list[Any], aggregations: Any) -> Any:
    """One AggregationResult over documents that all have the aggregated fields."""
    answer = wire.AggregationResult()
    for number, one in enumerate(aggregations, 1):
        answer.aggregate_fields[one.alias or f"field_{number}"].CopyFrom(_one(documents, one))
    return answer


def _one(documents: list[Any], aggregation: Any) -> Any:
    kind = aggregation.WhichOneof("operator")
    if kind == "count":
        most = aggregation.count.up_to
        if aggregation.count.HasField("up_to") and most.value <= 0:
            raise invalid("count's up_to must be greater than zero.")
        return wire.Value(integer_value=min(len(documents), most.value or _LARGEST))
    if kind not in ("sum", "avg"):
        raise invalid("An aggregation needs count, sum or avg.")
    path = field_path(getattr(aggregation, kind).field.field_path)
    numbers = [
        number for number in (_number(values.find(one, path)) for one in documents) if number is not None
    ]
    total = sum(numbers)
    if kind == "avg":
        return wire.Value(double_value=total / len(numbers)) if numbers else wire.Value(null_value=0)
    if isinstance(total, int) and abs(total) <= _LARGEST:
        return wire.Value(integer_value=total)
    return wire.Value(double_value=float(total))


def _number(value: Any) -> int | float | None:
    match value.WhichOneof("value_type"):
        case "integer_value":
            return int(value.integer_value)
        case "double_value":
            return float(value.double_value)
        case _:
            return None
