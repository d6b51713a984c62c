"""Field transforms: increment, maximum, minimum, array union and removal, the server's time."""

import math
from collections.abc import Callable
from typing import Any

from local.cloud.firestore import values, wire
from local.cloud.firestore.paths import field_path, invalid

_LARGEST, _SMALLEST = 2**63 - 1, -(2**63)
MOST_TRANSFORMS = 500


def apply(document: Any, transforms: Any, request_time: int) -> list[Any]:
    """Change the document in place, in order, and return each transform's result."""
    if len(transforms) > MOST_TRANSFORMS:
        raise invalid(
            f"A document cannot have more than {MOST_TRANSFORMS} field transforms in one write; "
            f"{len(transforms)} were sent."
        )
    return [_one(document, transform, request_time) for transform in transforms]


def _one(document: Any, transform: Any, request_time: int) -> Any:
    path = field_path(transform.field_path)
    kind = transform.WhichOneof("transform_type")
    before = values.find(document, path)
    if kind == "set_to_server_value":
        after = wire.Value(timestamp_value=wire.timestamp(request_time // 1000 * 1000))
    elif kind in _NUMERIC:
        operand = getattr(transform, kind)
        if _number(operand) is None:
            raise invalid(f"{kind} of field {transform.field_path} needs a number.")
        after = _NUMERIC[kind](before, operand)
    elif kind in _ARRAY:
        elements = _elements(before)
        after = wire.Value()
        after.array_value.values.extend(_ARRAY[kind](elements, getattr(transform, kind).values))
        after.array_value.SetInParent()
    else:
        raise invalid(f"The transform of field {transform.field_path} names no operation.")
    values.put(document, path, after)
    return wire.Value(null_value=0) if kind in _ARRAY else after


def _elements(value: Any | None) -> list[Any]:
    is_array = value is not None and value.WhichOneof("value_type") == "array_value"
    return list(value.array_value.values) if value is not None and is_array else []


def _number(value: Any | None) -> int | float | None:
    kind = None if value is None else value.WhichOneof("value_type")
    if value is None or kind not in ("integer_value", "double_value"):
        return None
    return int(value.integer_value) if kind == "integer_value" else float(value.double_value)


def _increment(before: Any | None, operand: Any) -> Any:
    base, step = _number(before), _number(operand)
    if base is None or step is None:
        return operand
    total = base + step
    if isinstance(total, int):
        return wire.Value(integer_value=min(max(total, _SMALLEST), _LARGEST))
    return wire.Value(double_value=total)


def _extreme(wins: Callable[[float, float], bool]) -> Callable[[Any, Any], Any]:
    def choose(before: Any | None, operand: Any) -> Any:
        base, other = _number(before), _number(operand)
        if base is None or other is None:
            return operand
        if math.isnan(base) or math.isnan(other):
            return wire.Value(double_value=math.nan)
        return operand if wins(other, base) else before  # equal (3 and 3.0) leaves the field alone

    return choose


def _union(elements: list[Any], added: Any) -> list[Any]:
    seen = {values.order_key(element) for element in elements}
    for element in added:
        key = values.order_key(element)
        if key not in seen:
            seen.add(key)
            elements.append(element)
    return elements


def _without(elements: list[Any], removed: Any) -> list[Any]:
    gone = {values.order_key(element) for element in removed}
    return [element for element in elements if values.order_key(element) not in gone]


_NUMERIC = {
    "increment": _increment,
    "maximum": _extreme(lambda new, old: new > old),
    "minimum": _extreme(lambda new, old: new < old),
}
_ARRAY = {"append_missing_elements": _union, "remove_all_from_array": _without}
