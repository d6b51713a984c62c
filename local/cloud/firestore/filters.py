"""Filters of a query: which shapes are allowed, and what matches."""

from collections.abc import Callable, Iterator
from typing import Any

from local.cloud.firestore import values, wire
from local.cloud.firestore.paths import NAME, field_path, invalid, name_key
from local.cloud.firestore.values import Key

Matches = Callable[[Any], bool]

MOST_DISJUNCTIONS = 30

_FIELD = wire.StructuredQuery.FieldFilter
_UNARY = wire.StructuredQuery.UnaryFilter
_AND = wire.StructuredQuery.CompositeFilter.Operator.Value("AND")


def check(where: Any) -> None:
    """Refuse the combinations of operators that the service refuses."""
    names = [_operator(one) for one in leaves(where)]
    if sum(name in _NEGATIVE for name in names) > 1:
        raise invalid(
            "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter allowed per query."
        )
    several = _has_or(where) or "IN" in names or "ARRAY_CONTAINS_ANY" in names
    if "NOT_IN" in names and several:
        raise invalid("'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'.")
    if _most_contains(where) > 1:
        raise invalid("A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.")


def everything(_document: Any) -> bool:
    """The condition of a query without a filter."""
    return True


def condition(where: Any) -> Matches:
    """The filter as a function of a document. Raises Refused."""
    kind = where.WhichOneof("filter_type")
    if kind == "composite_filter":
        parts = [condition(one) for one in where.composite_filter.filters]
        if not parts:
            raise invalid("A composite filter needs at least one filter.")
        if where.composite_filter.op == _AND:
            return lambda document: all(part(document) for part in parts)
        return lambda document: any(part(document) for part in parts)
    if kind == "field_filter":
        return _field_condition(where.field_filter)
    if kind == "unary_filter":
        return _unary_condition(where.unary_filter)
    raise invalid("A filter needs exactly one of composite_filter, field_filter, unary_filter.")


def inequality_fields(where: Any) -> set[str]:
    """Fields whose filters need an order."""
    kind = where.WhichOneof("filter_type")
    if kind == "composite_filter":
        return set().union(*(inequality_fields(one) for one in where.composite_filter.filters))
    if kind == "field_filter" and where.field_filter.op in _INEQUALITIES:
        return {where.field_filter.field.field_path}
    if kind == "unary_filter" and where.unary_filter.op in _NOT_UNARY:
        return {where.unary_filter.field.field_path}
    return set()


def disjunctions(where: Any) -> int:
    """Terms of the filter in disjunctive normal form."""
    kind = where.WhichOneof("filter_type")
    if kind == "composite_filter":
        counts = [disjunctions(one) for one in where.composite_filter.filters]
        if where.composite_filter.op != _AND:
            return sum(counts)
        product = 1
        for count in counts:
            product *= count
        return product
    if kind == "field_filter" and _FIELD.Operator.Name(where.field_filter.op) in ("IN", "ARRAY_CONTAINS_ANY"):
        return max(1, len(where.field_filter.value.array_value.values))
    return 1


def leaves(where: Any) -> Iterator[Any]:
    """The field and unary filters, in order."""
    kind = where.WhichOneof("filter_type")
    if kind == "composite_filter":
        for one in where.composite_filter.filters:
            yield from leaves(one)
    elif kind is not None:
        yield where


def _operator(leaf: Any) -> str:
    if leaf.WhichOneof("filter_type") == "unary_filter":
        return str(_UNARY.Operator.Name(leaf.unary_filter.op))
    return str(_FIELD.Operator.Name(leaf.field_filter.op))


def _has_or(where: Any) -> bool:
    if where.WhichOneof("filter_type") != "composite_filter":
        return False
    composite = where.composite_filter
    return not is_and(composite) or any(_has_or(one) for one in composite.filters)


def _most_contains(where: Any) -> int:
    """The most array-contains filters in any one alternative."""
    kind = where.WhichOneof("filter_type")
    if kind == "composite_filter":
        counts = [_most_contains(one) for one in where.composite_filter.filters]
        return sum(counts) if is_and(where.composite_filter) else max(counts, default=0)
    return int(kind == "field_filter" and _operator(where).startswith("ARRAY_CONTAINS"))


def is_and(composite: Any) -> bool:
    return bool(composite.op == _AND)


def _unary_condition(found: Any) -> Matches:
    path = field_path(found.field.field_path)
    try:
        test = _UNARY_TESTS[_UNARY.Operator.Name(found.op)]
    except (KeyError, ValueError):
        raise invalid(f"Unknown unary operator on field {found.field.field_path}.") from None

    def matches(document: Any) -> bool:
        value = values.find(document, path)
        return value is not None and test(values.order_key(value))

    return matches


def _field_condition(found: Any) -> Matches:
    text = found.field.field_path
    try:
        name = _FIELD.Operator.Name(found.op)
        test = _FIELD_TESTS[name](_operand(found, name))
    except (KeyError, ValueError):
        raise invalid(f"Unknown operator on field {text}.") from None
    if text == NAME:
        return lambda document: test((values.REFERENCE, name_key(document.name)))
    path = field_path(text)

    def matches(document: Any) -> bool:
        value = values.find(document, path)
        return value is not None and test(values.order_key(value))

    return matches


def _operand(found: Any, name: str) -> Key:
    value = found.value
    many = name in ("IN", "NOT_IN", "ARRAY_CONTAINS_ANY")
    if many and value.WhichOneof("value_type") != "array_value":
        raise invalid(f"'{name}' requires an ArrayValue.")
    if many and not value.array_value.values:
        raise invalid(f"'{name}' requires an non-empty ArrayValue.")
    if name == "NOT_IN" and len(value.array_value.values) > 10:
        raise invalid("'NOT_IN' supports up to 10 comparison values.")
    if many and len(value.array_value.values) > MOST_DISJUNCTIONS:
        raise invalid(f"'{name}' supports up to {MOST_DISJUNCTIONS} comparison values.")
    if found.field.field_path == NAME:
        for item in value.array_value.values if many else [value]:
            if item.WhichOneof("value_type") != "reference_value":
                raise invalid(f"{NAME} filter value must be a Key")
    return values.order_key(value)


def _range(test: Callable[[Key, Key], bool]) -> Callable[[Key], Callable[[Key], bool]]:
    """Ranges match inside one type only, and NaN is in none."""
    return lambda bound: lambda key: key[0] == bound[0] and key != values.NAN and test(key, bound)


def _not_in(bounds: Key) -> Callable[[Key], bool]:
    excluded = set(bounds[1:]) - {values.NAN}  # NaN equals nothing, itself included
    if values.NULL_KEY in excluded:
        return lambda _key: False
    return lambda key: key != values.NULL_KEY and key not in excluded


def _one_of(bounds: Key) -> Callable[[Key], bool]:
    wanted = set(bounds[1:]) - {values.NULL_KEY, values.NAN}  # found by their own operators alone
    return lambda key: key in wanted


def _contains_any(bounds: Key) -> Callable[[Key], bool]:
    wanted = set(bounds[1:]) - {values.NULL_KEY, values.NAN}
    return lambda key: key[0] == values.ARRAY and not wanted.isdisjoint(key[1:])


_FIELD_TESTS: dict[str, Callable[[Key], Callable[[Key], bool]]] = {
    "LESS_THAN": _range(lambda key, bound: key < bound),
    "LESS_THAN_OR_EQUAL": _range(lambda key, bound: key <= bound),
    "GREATER_THAN": _range(lambda key, bound: key > bound),
    "GREATER_THAN_OR_EQUAL": _range(lambda key, bound: key >= bound),
    "EQUAL": lambda bound: lambda key: key == bound,
    "NOT_EQUAL": lambda bound: lambda key: key not in (values.NULL_KEY, bound),
    "ARRAY_CONTAINS": lambda bound: lambda key: key[0] == values.ARRAY and bound in key[1:],
    "ARRAY_CONTAINS_ANY": _contains_any,
    "IN": _one_of,
    "NOT_IN": _not_in,
}


_UNARY_TESTS: dict[str, Callable[[Key], bool]] = {
    "IS_NULL": lambda key: key == values.NULL_KEY,
    "IS_NAN": lambda key: key == values.NAN,
    "IS_NOT_NULL": lambda key: key != values.NULL_KEY,
    "IS_NOT_NAN": lambda key: key not in (values.NULL_KEY, values.NAN),
}


_INEQUALITIES = {
    _FIELD.Operator.Value(name)
    for name in (
        "LESS_THAN",
        "LESS_THAN_OR_EQUAL",
        "GREATER_THAN",
        "GREATER_THAN_OR_EQUAL",
        "NOT_EQUAL",
        "NOT_IN",
    )
}


_NEGATIVE = {"NOT_EQUAL", "NOT_IN", "IS_NOT_NULL", "IS_NOT_NAN"}


_NOT_UNARY = {_UNARY.Operator.Value(name) for name in ("IS_NOT_NULL", "IS_NOT_NAN")}
