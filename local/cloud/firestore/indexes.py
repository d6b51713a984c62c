"""Refuse a query that the deployed indexes do not serve, as the service does and emulators do not.

The rules, from Firestore's documentation of query indexes:

* a single field is indexed on its own, ascending, descending and by array element, in each collection;
  across a collection group only where a field override says so;
* equality filters on several fields merge their indexes;
* anything with another order or range needs composite indexes whose last fields are that order and whose
  first fields are equality fields; several such indexes merge when together they cover all equalities.
"""

import base64
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.cloud.firestore import filters, wire
from local.cloud.firestore import query as queries
from local.cloud.firestore.paths import NAME, check_parent
from local.cloud.serving.grpc_server import Code, Refused

Part = tuple[str, str]
"""A field of an index and its mode: ASCENDING, DESCENDING or CONTAINS."""

COLLECTION, GROUP = "COLLECTION", "COLLECTION_GROUP"
_EXEMPT: frozenset[Part] = frozenset()
_FIELD = wire.StructuredQuery.FieldFilter.Operator
_OPPOSITE = {"ASCENDING": "DESCENDING", "DESCENDING": "ASCENDING"}


@dataclass
class Indexes:
    """The deployed indexes; `enforced` is off when no file was given."""

    enforced: bool = False
    composite: dict[tuple[str, str], list[tuple[Part, ...]]] = field(default_factory=dict)
    single: dict[tuple[str, str], set[tuple[str, str]]] = field(default_factory=dict)
    ttl: list[tuple[str, str]] = field(default_factory=list)

    def check(self, parent: str, message: Any, aggregated: Sequence[str] = ()) -> None:
        """Raise FAILED_PRECONDITION when no index serves the query."""
        if not self.enforced or len(message.from_) != 1:
            return
        source = message.from_[0]
        scope = GROUP if source.all_descendants else COLLECTION
        for terms in _disjunctions(message.where):
            need = _need(terms, message, aggregated)
            if not self._serves(source.collection_id, scope, *need):
                raise _refusal(parent, source.collection_id, scope, *need)

    def _serves(self, collection: str, scope: str, equal: frozenset[Part], tail: tuple[Part, ...]) -> bool:
        if not equal and not tail:
            return True
        names = {name for name, _mode in (*equal, *tail)}
        simple = len(tail) <= 1 and (not tail or not equal)
        if simple and all(self._single(collection, scope, part) for part in (*equal, *tail)):
            return True
        if len(names) == 1 and all(self._single(collection, scope, part) for part in tail or equal):
            return True
        covered: set[Part] = set()
        found = False
        for index in self.composite.get((collection, scope), []):
            split = len(index) - len(tail)
            head, end = frozenset(_any_direction(index[:split])), index[split:]
            if split >= 0 and end in (tail, _reversed(tail)) and head <= equal:
                found = True
                covered |= head
        if not tail:
            covered |= {part for part in equal if self._single(collection, scope, part)}
            found = found or bool(covered)
        return found and covered == equal

    def _single(self, collection: str, scope: str, part: Part) -> bool:
        name, mode = part
        if name == NAME:
            return mode == "ASCENDING"
        allowed = self.single.get((collection, name), self.single.get(("*", name)))
        if allowed is None:
            return scope == COLLECTION
        return (scope, mode) in allowed


def load(path: Path) -> Indexes:
    """Read a `firestore.indexes.json` as the Firebase tools write it. Raises ValueError on a bad entry."""
    content = json.loads(path.read_text())
    found = Indexes(enforced=True)
    for number, entry in enumerate(content.get("indexes", [])):
        parts = tuple(_part(path, number, item) for item in entry["fields"])
        if parts and parts[-1][0] == NAME and len(parts) > 1:
            parts = parts[:-1] if parts[-1][1] == parts[-2][1] else parts
        key = (entry["collectionGroup"], entry.get("queryScope", COLLECTION))
        found.composite.setdefault(key, []).append(parts)
    for entry in content.get("fieldOverrides", []):
        group, name = entry["collectionGroup"], entry["fieldPath"]
        if entry.get("ttl"):
            found.ttl.append((group, name))
        if "indexes" in entry:
            found.single[group, name] = {
                (item.get("queryScope", COLLECTION), item.get("order") or item.get("arrayConfig"))
                for item in entry["indexes"]
            }
    return found


def _part(path: Path, number: int, item: dict[str, Any]) -> Part:
    mode = item.get("order") or item.get("arrayConfig")
    if mode not in ("ASCENDING", "DESCENDING", "CONTAINS"):
        raise ValueError(
            f"{path}: indexes[{number}]: field {item.get('fieldPath')} has no order or arrayConfig"
        )
    return item["fieldPath"], mode


def _any_direction(parts: tuple[Part, ...]) -> list[Part]:
    """For an equality either direction serves: write both as ASCENDING."""
    return [(name, "CONTAINS" if mode == "CONTAINS" else "ASCENDING") for name, mode in parts]


def _reversed(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    return tuple((name, _OPPOSITE.get(mode, mode)) for name, mode in parts)


def _disjunctions(where: Any) -> list[list[Any]]:
    """The filter as alternatives of conjunctions of plain filters; IN stays one equality."""
    kind = where.WhichOneof("filter_type")
    if kind is None:
        return [[]]
    if kind != "composite_filter":
        return [[where]]
    alternatives = [_disjunctions(one) for one in where.composite_filter.filters]
    if filters.is_and(where.composite_filter):
        return [list(itertools.chain(*chosen)) for chosen in itertools.product(*alternatives)]
    return [terms for one in alternatives for terms in one]


def _need(
    terms: list[Any], message: Any, aggregated: Sequence[str]
) -> tuple[frozenset[Part], tuple[Part, ...]]:
    """The equality fields, and the order that follows them in an index."""
    equal: set[Part] = set()
    ranges: set[str] = set()
    for term in terms:
        ranges |= filters.inequality_fields(term)
        if term.WhichOneof("filter_type") == "unary_filter":
            name = term.unary_filter.field.field_path
            if name not in ranges:
                equal.add((name, "ASCENDING"))
        elif term.field_filter.field.field_path not in ranges:
            contains = _FIELD.Name(term.field_filter.op).startswith("ARRAY_CONTAINS")
            equal.add((term.field_filter.field.field_path, "CONTAINS" if contains else "ASCENDING"))
    equal = {part for part in equal if part[0] != NAME}
    fixed = {name for name, mode in equal if mode == "ASCENDING"}
    tail: list[Part] = []
    for item in message.order_by:
        mode = "DESCENDING" if item.direction == queries.DESCENDING else "ASCENDING"
        tail.append((item.field.field_path, mode))
    last = tail[-1][1] if tail else "ASCENDING"
    tail += [
        (name, last) for name in sorted(ranges | set(aggregated)) if name not in {one for one, _ in tail}
    ]
    tail = [part for part in tail if part[0] not in fixed]
    if tail and tail[-1][0] == NAME:
        # Every index ends with the name in its last field's direction; names alone are kept ascending only.
        alone = tail[-1][1] == "ASCENDING" or bool(equal)
        if alone if len(tail) == 1 else tail[-1][1] == tail[-2][1]:
            tail.pop()
    return frozenset(equal), tuple(tail)


def _refusal(
    parent: str, collection: str, scope: str, equal: frozenset[Part], tail: tuple[Part, ...]
) -> Refused:
    project, database = check_parent(parent).split("/")[1::2]
    parts = [*sorted(equal), *tail]
    if scope == GROUP and len(parts) == 1:
        name, mode = parts[0]
        short = {"ASCENDING": "ASC", "DESCENDING": "DESC", "CONTAINS": "CONTAINS"}[mode]
        text = f"The query requires a COLLECTION_GROUP_{short} index for collection {collection} and field {name}."
    else:
        text = "The query requires an index."
    wanted = {
        "collectionGroup": collection,
        "queryScope": scope,
        "fields": [
            {"fieldPath": name, ("arrayConfig" if mode == "CONTAINS" else "order"): mode}
            for name, mode in parts
        ],
    }
    packed = base64.urlsafe_b64encode(json.dumps(wanted).encode()).decode().rstrip("=")
    return Refused(
        Code.FAILED_PRECONDITION,
        f"{text} You can create it here: https://console.firebase.google.com/v1/r/project/{project}/firestore/"
        f"databases/{database}/indexes?create_composite={packed} (add to firestore.indexes.json: "
        f"{json.dumps(wanted)})",
    )
