"""Structured queries: what matches, in which order, between which cursors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from local.firestore import values, wire
from local.firestore.paths import NAME, check_parent, field_path, invalid, name_key
from local.firestore.store import Store
from local.firestore.values import Key

MOST_DISJUNCTIONS = 30

_FIELD = wire.StructuredQuery.FieldFilter
_UNARY = wire.StructuredQuery.UnaryFilter
_AND = wire.StructuredQuery.CompositeFilter.Operator.Value("AND")
DESCENDING = wire.StructuredQuery.Direction.Value("DESCENDING")

Matches = Callable[[Any], bool]


@dataclass(frozen=True)
class Order:
    """One key of the order; `path` is () for the document's name."""

    field: str
    path: tuple[str, ...]
    descending: bool

    def key(self, document: Any) -> Key | None:
        """The document's sort key, or None when it lacks the field."""
        if not self.path:
            return (values.REFERENCE, name_key(document.name))
        value = values.find(document, self.path)
        return None if value is None else values.order_key(value)


@dataclass(frozen=True)
class Query:
    """A checked query, ready to run."""

    parent: str
    database: str
    collection_id: str
    all_descendants: bool
    condition: Matches
    orders: tuple[Order, ...]
    message: Any

    def paths(self, store: Store) -> list[str]:
        """The collections to look into."""
        if not self.all_descendants:
            if self.collection_id:
                return [f"{self.parent}/{self.collection_id}"]
            depth = self.parent.count("/") + 1
            return [path for path in store.collections_under(self.parent) if path.count("/") == depth]
        if not self.collection_id:
            return list(store.collections_under(self.parent))
        prefix = self.parent + "/"
        return [path for path in store.group(self.database, self.collection_id) if path.startswith(prefix)]

    def covers(self, name: str) -> bool:
        """Whether a document of this name lies in the collections that are asked."""
        path = name.rpartition("/")[0]
        if not path.startswith(self.parent + "/"):
            return False
        if self.collection_id and path.rpartition("/")[2] != self.collection_id:
            return False
        return self.all_descendants or path.count("/") == self.parent.count("/") + 1

    def matches(self, document: Any) -> bool:
        """Whether the document could be a result, cursors and limits aside."""
        return (
            self.covers(document.name)
            and self.condition(document)
            and all(order.key(document) is not None for order in self.orders)
        )


def parse(parent: str, message: Any, aggregated: Sequence[str] = ()) -> Query:
    """Check a StructuredQuery. Raises Refused with INVALID_ARGUMENT.

    `aggregated` fields are part of the index that serves a sum, so they order the query, and documents that
    lack one are left out before any limit.
    """
    database = check_parent(parent)
    if len(message.from_) != 1:
        raise invalid("Exactly one collection selector is needed in a query's from.")
    if message.offset < 0:
        raise invalid("offset is negative")
    if message.HasField("limit") and message.limit.value < 0:
        raise invalid("limit is negative")
    if message.HasField("find_nearest"):
        raise invalid("find_nearest is not served by this Firestore: sort in the caller.")
    source = message.from_[0]
    condition = _condition(message.where) if message.HasField("where") else _everything
    _check_shape(message.where)
    if disjunctions(message.where) > MOST_DISJUNCTIONS:
        raise invalid(
            f"Queries support up to {MOST_DISJUNCTIONS} disjunctions; reduce the terms of in and or."
        )
    return Query(
        parent=parent,
        database=database,
        collection_id=source.collection_id,
        all_descendants=source.all_descendants,
        condition=condition,
        orders=_orders(message, aggregated),
        message=message,
    )


def run(query: Query, store: Store, at: int | None = None) -> tuple[list[Any], int]:
    """The documents in order, and how many the offset skipped."""
    message = query.message
    rows: list[tuple[list[Key], Any]] = []
    for path in query.paths(store):
        for document in store.collection(path, at):
            if not query.condition(document):
                continue
            keys = [order.key(document) for order in query.orders]
            if None not in keys:
                rows.append((keys, document))  # type: ignore[arg-type]
    sort_rows(rows, query.orders)
    found = [document for _keys, document in _between(rows, query)]
    skipped = min(message.offset, len(found))
    found = found[skipped:]
    if message.HasField("limit"):
        found = found[: message.limit.value]
    return found, skipped


def selection(message: Any) -> list[tuple[str, ...]] | None:
    """The field paths of a projection; None for whole documents."""
    if not message.HasField("select"):
        return None
    fields = [field.field_path for field in message.select.fields]
    return [field_path(name) for name in fields if name != NAME]


def sort_rows(rows: list[tuple[list[Key], Any]], orders: tuple[Order, ...]) -> None:
    """Sort in place: one stable pass for each run of equal directions, from the last key to the first."""
    position = len(orders)
    while position:
        start = position - 1
        while start and orders[start - 1].descending == orders[position - 1].descending:
            start -= 1
        rows.sort(key=lambda row, a=start, b=position: row[0][a:b], reverse=orders[start].descending)  # type: ignore[misc]
        position = start


def _between(rows: list[tuple[list[Key], Any]], query: Query) -> Iterator[tuple[list[Key], Any]]:
    start = _cursor(query, "start_at")
    end = _cursor(query, "end_at")
    for row in rows:
        if start is not None:
            side = _compare(row[0], start, query.orders)
            if side < 0 or (side == 0 and not query.message.start_at.before):
                continue
        if end is not None:
            side = _compare(row[0], end, query.orders)
            if side > 0 or (side == 0 and query.message.end_at.before):
                break
        yield row


def _cursor(query: Query, which: str) -> list[Key] | None:
    if not query.message.HasField(which):
        return None
    cursor = getattr(query.message, which)
    if len(cursor.values) > len(query.orders):
        raise invalid(f"{which} has more values than the query has order by fields.")
    for order, value in zip(query.orders, cursor.values, strict=False):
        if not order.path and value.WhichOneof("value_type") != "reference_value":
            raise invalid(f"{which}: the value for {NAME} must be a document reference.")
    return [values.order_key(value) for value in cursor.values]


def _compare(keys: list[Key], cursor: list[Key], orders: tuple[Order, ...]) -> int:
    for key, bound, order in zip(keys, cursor, orders, strict=False):
        if key != bound:
            return 1 if (key > bound) != order.descending else -1
    return 0


def _orders(message: Any, aggregated: Sequence[str]) -> tuple[Order, ...]:
    """The whole order: as written, then fields with inequalities, then aggregated ones, then the name."""
    orders: list[Order] = []
    for item in message.order_by:
        if orders and not orders[-1].path:
            raise invalid("order by clause cannot contain more fields after the key")
        orders.append(_order(item.field.field_path, item.direction == DESCENDING))
    descending = orders[-1].descending if orders else False
    named = {order.path for order in orders}
    for text in [*sorted(inequality_fields(message.where)), *sorted(aggregated)]:
        order = _order(text, descending)
        if order.path not in named:
            if () in named:
                raise invalid("order by clause cannot contain more fields after the key")
            named.add(order.path)
            orders.append(order)
    if () not in named:
        orders.append(_order(NAME, descending))
    return tuple(orders)


def _order(text: str, descending: bool) -> Order:
    return Order(text, () if text == NAME else field_path(text), descending)


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


def _check_shape(where: Any) -> None:
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


def _everything(_document: Any) -> bool:
    return True


def _condition(where: Any) -> Matches:
    kind = where.WhichOneof("filter_type")
    if kind == "composite_filter":
        parts = [_condition(one) for one in where.composite_filter.filters]
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


def _unary_condition(found: Any) -> Matches:
    path = field_path(found.field.field_path)
    try:
        test = _UNARY_TESTS[_UNARY.Operator.Name(found.op)]
    except (KeyError, ValueError):
        raise invalid(f"Unknown unary operator on field {found.field.field_path}.") from None

    def condition(document: Any) -> bool:
        value = values.find(document, path)
        return value is not None and test(values.order_key(value))

    return condition


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

    def condition(document: Any) -> bool:
        value = values.find(document, path)
        return value is not None and test(values.order_key(value))

    return condition


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
