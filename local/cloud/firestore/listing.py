"""Pages of documents and of collection ids, and split points for parallel readers."""

import secrets
import string
from typing import Any

from local.cloud.firestore import query as queries
from local.cloud.firestore import wire
from local.cloud.firestore.paths import invalid, name_key
from local.cloud.firestore.store import Store
from local.cloud.serving.paging import page

_LETTERS = string.ascii_letters + string.digits
DEFAULT_PAGE = 100
LARGEST_PAGE = 300


def new_id() -> str:
    """A document id as the clients make them: 20 letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(20))


def documents(store: Store, request: Any, at: int | None) -> tuple[list[Any], str]:
    """One page of a collection; with show_missing also names that have only sub-collections."""
    if request.show_missing and request.order_by:
        raise invalid("show_missing and order_by exclude each other.")
    message = wire.StructuredQuery()
    message.from_.add(collection_id=request.collection_id)
    for part in filter(None, (text.strip() for text in request.order_by.split(","))):
        field, _space, direction = part.partition(" ")
        order = message.order_by.add()
        order.field.field_path = field
        if direction.strip().lower() == "desc":
            order.direction = queries.DESCENDING
    found, _skipped = queries.run(queries.parse(request.parent, message), store, at)
    if request.show_missing:
        prefix = f"{request.parent}/{request.collection_id}/"
        known = {document.name for document in found}
        deeper = {
            prefix + path.removeprefix(prefix).partition("/")[0]
            for path in store.collections_under(prefix.rstrip("/"))
            if next(store.collection(path, at), None) is not None
        }
        found += [wire.Document(name=name) for name in deeper - known]
        found.sort(key=lambda document: name_key(document.name))
    return page(found, request.page_token, min(request.page_size or DEFAULT_PAGE, LARGEST_PAGE))


def collection_ids(store: Store, request: Any, at: int | None) -> tuple[list[str], str]:
    """One page of the ids of collections that hold something, directly below a document or the root."""
    prefix = request.parent + "/"
    ids = {
        path.removeprefix(prefix).partition("/")[0]
        for path in store.collections_under(request.parent)
        if next(store.collection(path, at), None) is not None
    }
    return page(sorted(ids), request.page_token, request.page_size or DEFAULT_PAGE)


def split(names: list[str], count: int) -> list[str]:
    """At most `count` names that cut the sorted names into parts of like size."""
    pieces = min(count + 1, len(names))
    return [names[len(names) * piece // pieces] for piece in range(1, pieces)]
