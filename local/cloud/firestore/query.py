"""Structured queries: what matches, in which order, between which cursors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from local.cloud.firestore import filters, values, wire
from local.cloud.firestore.paths import NAME, check_parent, field_path, invalid, name_key
from local.cloud.firestore.store import Store
from local.cloud.firestore.values import Key

DESCENDING = wire.StructuredQuery.Direction.Value("DESCENDING")


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
    condition: filters.Matches
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
    condition = filters.condition(message.where) if message.HasField("where") else filters.everything
    filters.check(message.where)
    if filters.disjunctions(message.where) > filters.MOST_DISJUNCTIONS:
        raise invalid(
            f"Queries support up to {filters.MOST_DISJUNCTIONS} disjunctions; reduce the terms of in and or."
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
    for text in [*sorted(filters.inequality_fields(message.where)), *sorted(aggregated)]:
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
